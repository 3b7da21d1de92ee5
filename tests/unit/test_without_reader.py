"""Versions whose reader of numbers is missing, damaged, or not needed yet: digits are read all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from digits.errors import StoreError
from digits.model import proof
from digits.model.contract import OUTPUT
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import Manifest
from digits.registry.layout import object_key
from digits.registry.store import StoredObject
from tests import events
from tests.conftest import Handler
from tests.problems import assert_problem
from tests.unit.conftest import MemoryReader, bucket_of

type Version = tuple[Manifest, dict[str, bytes]]

NUMBERS = "/v2/models/numbers"
READ_EVENTS = ("http_v2_read_json", "http_v2_read_form")


@dataclass
class Store(MemoryReader):
    """A store in memory that notes what is asked for, and may fail to give it."""

    objects: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(self.objects)

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        self.asked.append(key)
        if key in self.failing:
            raise StoreError("no answer")
        return super().get(key, etag)


@pytest.fixture
def serve(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], Store]:
    """Has `cold_handler` serve from these objects."""

    def over(objects: dict[str, bytes]) -> Store:
        store = Store(objects)
        monkeypatch.setattr("functions.predict_api.app.S3Reader", lambda *_: store)
        return store

    return over


def earlier(version: Version) -> Version:
    """Return a version as releases wrote it that did not know readers."""
    manifest, files = version
    document = json.loads(manifest.to_json()) | {"schema_version": 1}
    del document["reader"], document["files"][READER_FILE]
    read = Manifest.from_json(json.dumps(document).encode())
    return read, {name: data for name, data in files.items() if name != READER_FILE}


def changed(version: Version, **reader: Any) -> Version:
    """Return a version with something else said of its reader."""
    manifest, files = version
    assert manifest.reader is not None
    return manifest.model_copy(update={"reader": manifest.reader.model_copy(update=reader)}), files


def ask(handler: Handler, path: str, body: bytes | None = None) -> dict[str, Any]:
    event = events.load("http_v2_health") if body is None else events.post(body)
    return handler(events.at(event, path))


def assert_digits_go_on(handler: Handler) -> None:
    for name in ("http_v2_predict_json", "http_v2_infer_json"):
        response = handler(events.load(name))
        assert (response["statusCode"], events.digits_of(response)) == (200, [7])


def test_a_version_of_an_earlier_release_reads_digits_and_says_that_it_reads_no_numbers(
    cold_handler: Handler, serve: Callable[[dict[str, bytes]], Store], version: Version
) -> None:
    serve(bucket_of(*earlier(version)))
    reason = f"{version[0].version} reads single digits only: it has no reader of numbers"
    for name in READ_EVENTS:
        response = cold_handler(events.load(name))
        problem = assert_problem(response, 503, reason)
        assert problem["type"] == "urn:lambda-digits:no-reader"
        assert response["headers"]["retry-after"]
    for path in (NUMBERS, f"{NUMBERS}/ready", f"{NUMBERS}/versions/{version[0].version}"):
        assert assert_problem(ask(cold_handler, path), 503, reason)["error"] == reason
    assert_problem(ask(cold_handler, f"{NUMBERS}/infer", b"{}"), 503, reason)
    assert events.body_of(ask(cold_handler, "/v2/health/ready")) == {"ready": True}
    assert events.body_of(ask(cold_handler, "/v1/model"))["reader"] is None
    assert_digits_go_on(cold_handler)


def test_the_model_tells_of_its_reader(handler: Handler, version: Version) -> None:
    record, files = version[0].reader, version[1]
    assert record is not None
    told = events.body_of(handler(events.load("http_v2_model")))["reader"]
    assert told["size_bytes"] == len(files[READER_FILE])
    assert told["acceptance_threshold"] == record.acceptance_threshold
    assert told["exact"].keys() == {row.name for row in record.test.rows}


def test_the_reader_is_fetched_once_and_only_for_numbers(
    cold_handler: Handler, serve: Callable[[dict[str, bytes]], Store], objects: dict[str, bytes], version: Version
) -> None:
    store, key = serve(objects), object_key(version[0].version, READER_FILE)
    assert_digits_go_on(cold_handler)
    for path in ("/health", "/v1/model", "/v2/health/ready", "/v2/models/digits"):
        assert ask(cold_handler, path)["statusCode"] == 200
    refused = cold_handler(events.at(events.post({"pixels": [0] * 784}), "/v1/read"))
    assert events.body_of(refused)["verdict"] == "blank"
    assert key not in store.asked
    for name in READ_EVENTS:
        assert cold_handler(events.load(name))["statusCode"] == 200
    assert ask(cold_handler, NUMBERS)["statusCode"] == 200
    assert store.asked.count(key) == 1


@pytest.fixture
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "RETRY_SECONDS", 0.0)


@pytest.mark.usefixtures("without_pause")
def test_a_reader_that_is_missing_is_looked_for_again(
    cold_handler: Handler,
    serve: Callable[[dict[str, bytes]], Store],
    objects: dict[str, bytes],
    version: Version,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = object_key(version[0].version, READER_FILE)
    store = serve(dict(objects))
    del store.objects[key]
    assert_unavailable(cold_handler)
    assert f"{key} is missing" in caplog.text
    assert events.body_of(cold_handler(events.load("http_v2_health")))["refresh_failures"] == 0
    store.objects[key] = objects[key]
    assert events.digits_of(cold_handler(events.load("http_v2_read_json"))) == [2, 0, 2, 6]


def assert_unavailable(handler: Handler) -> None:
    """Check that numbers are not read, and the reason is for the log alone."""
    for name in READ_EVENTS:
        assert_problem(handler(events.load(name)), 503, "cannot be read at the moment")
    assert_problem(ask(handler, f"{NUMBERS}/ready"), 503, "cannot be read at the moment")
    assert_digits_go_on(handler)


@pytest.mark.usefixtures("without_pause")
def test_a_store_that_does_not_give_the_reader_is_asked_again(
    cold_handler: Handler,
    serve: Callable[[dict[str, bytes]], Store],
    objects: dict[str, bytes],
    version: Version,
) -> None:
    store = serve(objects)
    store.failing = {object_key(version[0].version, READER_FILE)}
    assert_unavailable(cold_handler)
    store.failing = set()
    assert events.digits_of(cold_handler(events.load("http_v2_read_json"))) == [2, 0, 2, 6]


def damaged(version: Version, data: bytes, *, agreeing: bool) -> dict[str, bytes]:
    """Return a bucket with other bytes for the reader; `agreeing` has the manifest's digest be theirs."""
    manifest, files = version
    if agreeing:
        record = manifest.files[READER_FILE].model_copy(update={"sha256": sha256(data), "size_bytes": len(data)})
        manifest = manifest.model_copy(update={"files": manifest.files | {READER_FILE: record}})
    return bucket_of(manifest, files | {READER_FILE: data})


def other_golden(version: Version) -> dict[str, bytes]:
    """Return a bucket whose manifest expects another answer of the reader."""
    assert version[0].reader is not None
    first, *others = version[0].reader.goldens
    return bucket_of(*changed(version, goldens=[first.model_copy(update={"text": first.text + "0"}), *others]))


WRONG: dict[str, tuple[Callable[[Version], dict[str, bytes]], str]] = {
    "truncated": (lambda v: damaged(v, v[1][READER_FILE][:-100], agreeing=False), "digest"),
    "no network": (lambda v: damaged(v, b"no network", agreeing=True), "LiteRT"),
    "the classifier in its place": (lambda v: damaged(v, v[1][MODEL_FILE], agreeing=True), "does not take uint8 lines"),
    "another line form": (lambda v: bucket_of(*changed(v, line_form=99)), "line form 99"),
    "another output": (lambda v: bucket_of(*changed(v, output=OUTPUT)), "another input or output"),
    "another answer": (other_golden, "golden inputs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_reader_that_fails_a_proof_is_not_served(
    name: str,
    cold_handler: Handler,
    serve: Callable[[dict[str, bytes]], Store],
    version: Version,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoiled, message = WRONG[name]
    serve(spoiled(version))
    assert_unavailable(cold_handler)
    assert message in caplog.text
