"""A store that cannot be reached, and a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.ports import free_port
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore


@pytest.fixture
def unreachable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the environment at an address where nobody listens."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DIGITS_BUCKET": "lambda-digits",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def allowed_origins() -> tuple[str, ...]:
    """The origins that `server` allows."""
    return ("*",)


@pytest.fixture
def server(published: Bucket, store: EmbeddedStore, allowed_origins: tuple[str, ...]) -> Iterator[LocalServer]:
    """The API over HTTP, with a model and the events' token."""
    reader = S3Reader(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})
    with LocalServer(create_app(Settings(BUCKET, allowed_origins=allowed_origins), reader)) as running:
        yield running
