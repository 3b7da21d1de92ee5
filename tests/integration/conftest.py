"""A store that cannot be reached, a server on this machine, trainings that take no time, and readers to compare."""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import reserved_port
from digits.model.contract import LOGITS
from digits.model.identity import MODEL_FILE, READER_FILE, new_version, sha256
from digits.model.manifest import FileRecord, LineGolden, Manifest
from digits.model.reader import Reader
from digits.numbers import read_line
from digits.pictures.rows import find_rows
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore
from tests.numbers import written
from training.artifacts import DISTORTED_FOLDER

type Version = tuple[Manifest, dict[str, bytes]]


@pytest.fixture
def unreachable_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the environment at an address where nobody listens."""
    with reserved_port() as port:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DIGITS_BUCKET": "lambda-digits",
        }.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def reader(store: EmbeddedStore) -> S3Reader:
    """The store's bucket, as the request path reads it."""
    return S3Reader(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})


@pytest.fixture
def allowed_origins() -> tuple[str, ...]:
    """The origins that `server` allows."""
    return ("*",)


@pytest.fixture
def server(published: Bucket, reader: S3Reader, allowed_origins: tuple[str, ...]) -> Iterator[LocalServer]:
    """The API over HTTP, with a model and the events' token."""
    with LocalServer(create_app(Settings(BUCKET, allowed_origins=allowed_origins), reader)) as running:
        yield running


@pytest.fixture
def output(trained: Path, tmp_path: Path) -> Path:
    """A folder for versions that has the distorted digits already."""
    folder = tmp_path / "artifacts"
    shutil.copytree(trained.parent / DISTORTED_FOLDER, folder / DISTORTED_FOLDER)
    return folder


@pytest.fixture
def trainings(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Have the trained model for the outcome of every training; gives the time limit of each."""
    from training import job

    limits: list[float | None] = []
    shutil.copytree(trained.parent / DISTORTED_FOLDER, tmp_path / "artifacts" / DISTORTED_FOLDER)

    def run(*arguments: Any, stop: Any, **_: Any) -> Path:
        limits.append(stop._limit_seconds)
        return Path(shutil.copytree(trained, arguments[3] / trained.name, dirs_exist_ok=True))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(job, "run", run)
    monkeypatch.setenv("DIGITS_MNIST", "embedded")
    monkeypatch.setenv("POWERTOOLS_LOG_DEDUPLICATION_DISABLED", "1")  # or pytest would see nothing of the log
    return limits


@pytest.fixture
def digits_only(version: Version) -> Version:
    """The trained version without its reader."""
    manifest, files = version
    name = new_version(files[MODEL_FILE], datetime(2031, 1, 1, tzinfo=UTC))
    others = {name: data for name, data in files.items() if name != READER_FILE}
    records = {name: manifest.files[name] for name in others}
    return manifest.model_copy(update={"version": name, "reader": None, "files": records}), others


@pytest.fixture(scope="session")
def forgetful(version: Version, trained: Path) -> Version:
    """The trained version with a reader that has forgotten what a 7 is."""
    manifest, files = version
    assert manifest.reader is not None
    model = _without_sevens(trained / "reader.keras")
    record = FileRecord(sha256=sha256(model), size_bytes=len(model))
    reader = manifest.reader.model_copy(update={"goldens": [_golden(Reader(model))]})
    name = new_version(files[MODEL_FILE], datetime(2032, 1, 1, tzinfo=UTC))
    update = {"version": name, "reader": reader, "files": {**manifest.files, READER_FILE: record}}
    return manifest.model_copy(update=update), {**files, READER_FILE: model}


def _without_sevens(path: Path) -> bytes:
    import keras

    from training.export import to_litert
    from training.recipes import COLUMN_LOGITS

    network = keras.saving.load_model(path)
    weights, biases = network.get_layer(COLUMN_LOGITS).get_weights()
    biases[7] -= 100
    network.get_layer(COLUMN_LOGITS).set_weights([weights, biases])
    assert list(network.output) == [LOGITS.name]
    return to_litert(network)


def _golden(reader: Reader) -> LineGolden:
    (row,) = find_rows(written(["2026"])).rows
    reading = read_line(row.pixels, reader)
    assert reading is not None
    return LineGolden(
        pixels_base64=base64.b64encode(row.pixels.tobytes()).decode(),
        text="".join(map(str, reading.string)),
        probability=reading.probability,
    )
