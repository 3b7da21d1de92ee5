"""The reader signs with what Lambda gives it: keys in the environment, or a container endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from digits.errors import ConfigurationError, StoreError
from digits.registry import store as store_module
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from local.store import EmbeddedStore


class Recorder(BaseHTTPRequestHandler):
    """Gives credentials at /credentials, and refuses everything else after noting who asked."""

    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        body = json.dumps(
            {
                "AccessKeyId": "FROMCONTAINER",
                "SecretAccessKey": "secret",
                "Token": "session",
                "Expiration": "2030-01-01T00:00:00Z",
            }
        ).encode()
        self.send_response(200 if self.path == "/credentials" else 403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Recorder.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def ask(address: str, environment: dict[str, str]) -> dict[str, str]:
    """Return the headers with which the reader asked the store."""
    with pytest.raises(StoreError):
        S3Reader("bucket", "us-east-1", address, environment).get("key")
    return next(headers for path, headers in Recorder.seen if path == "/bucket/key")


def test_keys_in_the_environment_sign_the_request(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": "FROMENVIRONMENT",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "session",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    headers = ask(address, environment)
    assert "Credential=FROMENVIRONMENT/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "session"  # pragma: allowlist secret


def test_a_restored_snapshot_signs_with_the_containers_credentials(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    headers = ask(
        address,
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "knock",
        },
    )
    assert Recorder.seen[0][0] == "/credentials"
    assert Recorder.seen[0][1]["authorization"] == "knock"
    assert "Credential=FROMCONTAINER/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "session"  # pragma: allowlist secret


def test_an_empty_endpoint_variable_is_not_taken_for_an_address(
    published: Bucket, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployed function has the variable, and it is empty there."""
    address = store.environment()["AWS_ENDPOINT_URL_S3"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert S3Reader(published.name, "us-east-1", address, {}).get("models/current.json") is not None


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("eu-central-1", "https://s3.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_without_an_endpoint_the_regions_own_is_asked(
    region: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Any] = {}
    monkeypatch.setattr(store_module, "S3Store", lambda _, **options: made.update(options))
    S3Reader("bucket", region, None, {})
    assert made["config"] == {"aws_endpoint_url_s3": address}
    assert made["region"] == region


@pytest.mark.parametrize(
    ("bucket", "endpoint", "message"),
    [
        ("", None, "DIGITS_BUCKET"),
        ("two words", None, "no name of a bucket"),
        ("bucket", "localhost:9000", "no http or https address"),
        ("bucket", "http://", "no http or https address"),
    ],
)
def test_settings_that_make_no_sense_are_told_at_the_first_read(
    bucket: str, endpoint: str | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        S3Reader(bucket, "us-east-1", endpoint, {}).get("key")
