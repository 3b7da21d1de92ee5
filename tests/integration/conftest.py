"""A store that cannot be reached."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def unreachable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the environment at an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DIGITS_BUCKET": "lambda-digits",
    }.items():
        monkeypatch.setenv(name, value)
