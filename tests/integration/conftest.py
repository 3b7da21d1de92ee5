"""A store that cannot be reached, a server on this machine, and trainings that take no time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import reserved_port
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore
from training.artifacts import DISTORTED_FOLDER


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
