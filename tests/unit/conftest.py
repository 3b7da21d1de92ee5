"""Unit tests touch no socket: their handler reads from a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_socket

from digits.errors import ObjectNotFoundError
from digits.model.identity import sha256
from digits.model.manifest import Manifest
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, manifest_key, object_key
from digits.registry.pointer import Pointer
from digits.registry.store import StoredObject
from local.lambda_invoke import EVENT_TOKEN
from tests.conftest import Handler
from tests.template import Resources, read, transformed


@pytest.fixture(autouse=True)
def _no_socket() -> Iterator[None]:
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


class MemoryReader:
    """An object store in memory."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        if key not in self._objects:
            raise ObjectNotFoundError(key)
        stored = StoredObject(self._objects[key], sha256(self._objects[key]))
        return None if stored.etag == etag else stored

    def begin(self, key: str, etag: str | None = None) -> None:
        """Nothing is worth asking for ahead."""

    def reconnect(self) -> None:
        """Nothing is connected."""


@pytest.fixture(scope="session")
def objects(version: tuple[Manifest, dict[str, bytes]]) -> dict[str, bytes]:
    """A bucket with the trained model as the live one, and the events' token."""
    return bucket_of(*version)


def bucket_of(manifest: Manifest, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return a bucket's objects with a version as the live one, and the events' token."""
    at = datetime.now(UTC)
    pointer = Pointer(
        version=manifest.version, manifest_sha256=sha256(manifest.to_json()), previous=None, promoted_at=at
    )
    tokens = {"events": {"sha256": sha256(EVENT_TOKEN.encode()), "created_at": at.isoformat()}}
    return {
        POINTER_KEY: pointer.to_json(),
        TOKENS_KEY: json.dumps(tokens).encode(),
        manifest_key(manifest.version): manifest.to_json(),
        **{object_key(manifest.version, name): data for name, data in files.items()},
    }


@pytest.fixture
def handler(objects: dict[str, bytes], cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> Handler:
    """Lambda's handler in a cold container, with a model and a token to find."""
    monkeypatch.setattr("functions.predict_api.app.S3Reader", lambda *_: MemoryReader(objects))
    return cold_handler


@pytest.fixture
def template() -> dict[str, Any]:
    """The template, as it stands in the repository."""
    return read()


@pytest.fixture
def resources(template: dict[str, Any]) -> Resources:
    """The CloudFormation resources, as if everything had been built and uploaded."""
    return transformed(template)
