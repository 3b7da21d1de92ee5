"""A model trained once for the whole run, and an object store with that model in it."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from digits.model.identity import MANIFEST_FILE, sha256
from digits.model.manifest import Manifest
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from functions.predict_api import handler as predict_api
from functions.predict_api.app import app_from_environment
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore
from tests import few_digits
from training.artifacts import DISTORTED_FOLDER, latest_folder, read_folder
from training.provenance import code_sha256

ROOT = Path(__file__).parents[1]

Handler = Callable[[Any], dict[str, Any]]


def pytest_configure() -> None:
    """Let the processes that tests start hear SIGINT, which a shell has its background jobs ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _few_digits_per_row() -> None:
    """Have tables of robustness that the kept distorted digits and outliers are enough for."""
    few_digits.draw_few()


@pytest.fixture(autouse=True)
def _loggers_of_this_test() -> Iterator[None]:
    """Forget Powertools' loggers after each test, as they keep the standard output that they began with."""
    yield
    for name in ("batch", "pre_traffic", "retrain"):
        logging.Logger.manager.loggerDict.pop(name, None)


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest) -> Path:
    """The folder of a version, trained on the embedded digits by the command itself; its robustness table is short."""
    return _train(request, "artifacts")


@pytest.fixture(scope="session")
def second_version(request: pytest.FixtureRequest, trained: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Another version's manifest and files: other weights, which answer a little differently."""
    distorted = trained.parent / DISTORTED_FOLDER
    shutil.copytree(distorted, trained.parents[1] / "second" / DISTORTED_FOLDER, dirs_exist_ok=True)
    return read_folder(_train(request, "second", "--recipe", "quick", "--seed", "2"))


def _train(request: pytest.FixtureRequest, name: str, *options: str) -> Path:
    """Return the folder of a version; it is kept in pytest's cache until a source of the training changes."""
    output = request.config.cache.mkdir("trained") / _training_digest() / name
    output.mkdir(parents=True, exist_ok=True)
    with (output / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and one of them trains
        if not list(output.glob(f"*/{MANIFEST_FILE}")):
            command = [sys.executable, "-m", "tests.few_digits", "train", "--data", "embedded", "--output", str(output)]
            finished = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
            assert finished.returncode == 0, finished.stderr
    return latest_folder(output)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what needs no trained model, so that one process trains while another goes on."""
    files = {item.path for item in items if "trained" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in files)


def _training_digest() -> str:
    libraries = (ROOT / "requirements/train.txt").read_text()
    few = (ROOT / "tests/few_digits.py").read_text()
    return sha256(f"{code_sha256()} {libraries} {few}".encode())[:16]


@pytest.fixture(scope="session")
def version(trained: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The trained version's manifest and files."""
    return read_folder(trained)


@pytest.fixture(scope="session")
def running_store() -> Iterator[EmbeddedStore]:
    """A store for the whole run; `store` empties it."""
    with EmbeddedStore() as running:
        yield running


@pytest.fixture
def store(running_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> EmbeddedStore:
    """An empty store that this process's environment points at."""
    running_store.reset()
    for name, value in running_store.environment().items():
        monkeypatch.setenv(name, value)
    return running_store


@pytest.fixture
def bucket(store: EmbeddedStore) -> Bucket:
    """The store's bucket, for writing."""
    return Bucket(BUCKET, store.client)


@pytest.fixture(scope="session")
def published_objects(running_store: EmbeddedStore, version: tuple[Manifest, dict[str, bytes]]) -> dict[str, bytes]:
    """What is in the bucket once the trained model is live and the events' token issued: key to bytes."""
    running_store.reset()
    bucket, (manifest, files) = Bucket(BUCKET, running_store.client), version
    Registry(bucket).publish(manifest, files)
    Registry(bucket).promote(manifest.version)
    tokens.add(bucket, "events", EVENT_TOKEN)
    return {key: bucket.get(key).data for key in bucket.keys("")}


@pytest.fixture
def published(published_objects: dict[str, bytes], bucket: Bucket) -> Bucket:
    """The bucket with the trained model as the live one, and the events' token."""
    objects = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # in this process, where no socket is needed
    for key, data in published_objects.items():
        objects.put_object(BUCKET, key, data)
    return bucket


@pytest.fixture
def served(store: object) -> Iterator[LocalServer]:
    """The application over a store with nothing in it."""
    with LocalServer(app_from_environment(os.environ)) as server:
        yield server


@pytest.fixture
def site(published: Bucket, served: LocalServer) -> str:
    """The address of the application, with a model and a token to find."""
    return served.url


@pytest.fixture
def cold_handler() -> Iterator[Handler]:
    """Lambda's handler in a cold container, with the environment as it is when it is first called."""
    end_container()
    yield lambda event: predict_api.handler(event, SimpleNamespace(aws_request_id="test-request"))
    end_container()


def end_container() -> None:
    """Make the next invocation a cold one."""
    if predict_api._adapter.cache_info().currsize:
        asyncio.get_event_loop().close()
        asyncio.set_event_loop(None)
    predict_api._adapter.cache_clear()


@pytest.fixture
def handler(published: Bucket, cold_handler: Handler) -> Handler:
    """Lambda's handler with a model and a token to find."""
    return cold_handler
