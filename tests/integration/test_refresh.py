"""Warm containers: news within the TTL, the last good model whatever is in the bucket, pins and snapshots."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import numpy as np
import pytest
from PIL import Image

from digits.errors import DigitsError, NoModelError, NoReaderError, StoreError
from digits.model.identity import READER_FILE, sha256
from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.registry import store as digits_store
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, manifest_key, object_key
from digits.registry.live import LiveModel, live_model
from digits.registry.pointer import Pointer
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api import handler as predict_api
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.conftest import Handler
from tests.integration.test_versions import another

type Version = tuple[Manifest, dict[str, bytes]]


def reader(store: EmbeddedStore) -> S3Reader:
    return S3Reader(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})


@pytest.fixture
def warm(published: Bucket, store: EmbeddedStore) -> LiveModel:
    """The trained model as a container has loaded it, which asks for news in every request."""
    model = live_model(reader(store), ttl_seconds=0)
    model.get()
    return model


def point_at(bucket: Bucket, version: str, manifest_sha256: str | None = None) -> None:
    """Swap the pointer without a look at what it points at."""
    stored = bucket.get(POINTER_KEY)
    if manifest_sha256 is None:
        manifest_sha256 = sha256(bucket.get(manifest_key(version)).data)
    pointer = Pointer(version=version, manifest_sha256=manifest_sha256, previous=None, promoted_at=datetime.now(UTC))
    bucket.replace(POINTER_KEY, pointer.to_json(), stored.etag)


# News


def test_a_promoted_model_answers_in_the_next_request_after_the_ttl(
    warm: LiveModel, published: Bucket, version: Version, second_version: Version
) -> None:
    assert warm.get().manifest == version[0]
    Registry(published).publish(*second_version)
    Registry(published).promote(second_version[0].version)
    assert warm.get().manifest == second_version[0]
    Registry(published).rollback()
    assert warm.get().manifest == version[0]


def test_a_promoted_model_brings_its_reader_and_takes_it_along(
    warm: LiveModel, published: Bucket, version: Version, second_version: Version
) -> None:
    assert warm.get().numbers.get().network.model == version[1][READER_FILE]
    Registry(published).publish(*second_version)
    Registry(published).promote(second_version[0].version)
    assert warm.get().numbers.get().network.model == second_version[1][READER_FILE]
    Registry(published).rollback()
    assert warm.get().numbers.get().network.model == version[1][READER_FILE]


def test_a_promoted_model_without_a_reader_ends_the_reading_of_numbers(
    warm: LiveModel, published: Bucket, version: Version
) -> None:
    assert warm.get().numbers.exists
    manifest, files = another(version)
    others = {name: record for name, record in manifest.files.items() if name != READER_FILE}
    earlier = manifest.model_copy(update={"schema_version": 1, "reader": None, "files": others})
    Registry(published).publish(earlier, {name: files[name] for name in others})
    Registry(published).promote(earlier.version)
    assert warm.get().manifest == earlier
    with pytest.raises(NoReaderError, match=f"{earlier.version} reads single digits only"):
        warm.get().numbers.get()


def test_where_numbers_are_read_a_version_with_a_damaged_reader_does_not_take_over(
    handler: Handler, published: Bucket, version: Version
) -> None:
    assert handler(events.load("http_v2_read_json"))["statusCode"] == 200
    later = another(version)
    Registry(published).publish(*later)
    Registry(published).promote(later[0].version)
    key = object_key(later[0].version, READER_FILE)
    published.replace(key, b"damaged", published.get(key).etag)
    predict_api._application().state.container.model.expire()
    for name in ("http_v2_read_json", "http_v2_predict_json"):
        response = handler(events.load(name))
        assert (response["statusCode"], response["headers"]["x-model-version"]) == (200, version[0].version)


def test_a_damaged_reader_leaves_the_digits(handler: Handler, published: Bucket, version: Version) -> None:
    key = object_key(version[0].version, READER_FILE)
    published.replace(key, b"damaged", published.get(key).etag)
    assert handler(events.load("http_v2_predict_json"))["statusCode"] == 200
    assert handler(events.load("http_v2_read_json"))["statusCode"] == 503
    assert handler(events.load("http_v2_predict_json"))["statusCode"] == 200


def test_under_load_no_request_fails_and_no_answer_mixes_two_models(
    published: Bucket, store: EmbeddedStore, version: Version, second_version: Version
) -> None:
    Registry(published).publish(*second_version)
    pixels = np.asarray(Image.open(events.DIGITS / "7.png"))
    expected = {
        manifest.version: prove(manifest, files["model.tflite"]).classifier.predict(pixels[None])[0].tolist()
        for manifest, files in (version, second_version)
    }
    first, second = expected
    assert np.abs(np.subtract(expected[first], expected[second])).max() > 1e-5, "the models are too much alike"
    body = {"instances": [{"pixels": pixels.tolist()}] * 8}
    stop = threading.Event()

    def ask(client: httpx.Client) -> list[str]:
        seen = []
        while not stop.is_set():
            response = client.post("/v1/predict", json=body)
            assert response.status_code == 200, response.text
            name = response.headers["x-model-version"]
            for prediction in response.json()["predictions"]:
                assert prediction["model"]["version"] == name
                assert prediction["probabilities"] == pytest.approx(expected[name], abs=1e-6)
            seen.append(name)
        return seen

    app = create_app(Settings(BUCKET, model_ttl_seconds=0.02), reader(store))
    with LocalServer(app) as server, ThreadPoolExecutor(8) as threads:
        headers = {"authorization": f"Bearer {EVENT_TOKEN}"}
        clients = [httpx.Client(base_url=server.url, headers=headers, timeout=30) for _ in range(8)]
        asking = [threads.submit(ask, client) for client in clients]
        for name in (second, first) * 8:
            time.sleep(0.1)
            Registry(published).promote(name)
        time.sleep(0.1)
        stop.set()
        seen = [each.result() for each in asking]
        for client in clients:
            client.close()
    assert {name for each in seen for name in each} == set(expected)
    assert sum(map(len, seen)) > 50


# What may be wrong in the bucket: each leaves the bucket so that the next refresh fails


def damaged_model(bucket: Bucket, later: Version, change: Callable[[bytes], bytes], consistent: bool) -> None:
    """Point at a version with a changed model; `consistent` has its manifest and name agree with the damage."""
    manifest, files = later
    model = change(files["model.tflite"])
    if consistent:
        record = manifest.files["model.tflite"].model_copy(update={"sha256": sha256(model), "size_bytes": len(model)})
        name = f"{manifest.version[:-8]}{record.sha256[:8]}"
        manifest = manifest.model_copy(update={"version": name, "files": {"model.tflite": record}})
    bucket.create(object_key(manifest.version, "model.tflite"), model)
    bucket.create(manifest_key(manifest.version), manifest.to_json())
    point_at(bucket, manifest.version)


def changed_manifest(bucket: Bucket, later: Version, change: Callable[[dict[str, Any]], object]) -> None:
    manifest, files = later
    document = json.loads(manifest.to_json())
    change(document)
    bucket.create(object_key(manifest.version, "model.tflite"), files["model.tflite"])
    bucket.create(manifest_key(manifest.version), json.dumps(document).encode())
    point_at(bucket, manifest.version)


def swapped_manifest(bucket: Bucket, later: Version) -> None:
    Registry(bucket).publish(*later)
    point_at(bucket, later[0].version, "0" * 64)


def unreadable_pointer(bucket: Bucket, _: Version) -> None:
    bucket.replace(POINTER_KEY, b"\x00{", bucket.get(POINTER_KEY).etag)


def garbage(model: bytes) -> bytes:
    return model[:8] + bytes(range(256)) * 40


def unflattened(model: bytes) -> bytes:
    """Have the layer that flattens wait for one feature more than there are."""
    features = struct.pack("<i", 7 * 7 * 48)
    assert features in model
    return model.replace(features, struct.pack("<i", 7 * 7 * 48 + 1), 1)


WRONG: dict[str, tuple[Callable[[Bucket, Version], None], str]] = {
    "truncated model": (lambda b, v: damaged_model(b, v, lambda m: m[:-100], False), "digest"),
    "truncated model, digests agree": (lambda b, v: damaged_model(b, v, lambda m: m[: len(m) // 2], True), "LiteRT"),
    "empty model, digests agree": (lambda b, v: damaged_model(b, v, lambda _: b"", True), "LiteRT"),
    "hostile model, digests agree": (lambda b, v: damaged_model(b, v, garbage, True), "LiteRT"),
    "model whose shapes do not fit": (lambda b, v: damaged_model(b, v, unflattened, True), "LiteRT"),
    "swapped model": (lambda b, v: damaged_model(b, v, lambda _: b"another version's model", False), "digest"),
    "oversized model": (lambda b, v: damaged_model(b, v, lambda m: m + bytes(16 * 2**20), False), "no more than"),
    "unknown schema": (lambda b, v: changed_manifest(b, v, lambda d: d.update(schema_version=3)), "schema_version"),
    "missing field": (lambda b, v: changed_manifest(b, v, lambda d: d.pop("goldens")), "goldens"),
    "wrong type": (lambda b, v: changed_manifest(b, v, lambda d: d.update(files=7)), "files"),
    "unknown canonical form": (lambda b, v: changed_manifest(b, v, lambda d: d.update(canonical_form=99)), "form 99"),
    "manifest of another": (
        lambda b, v: changed_manifest(b, v, lambda d: d.update(version="20260101T000000Z-00000000")),
        "says that it is",
    ),
    "no JSON": (unreadable_pointer, "pointer"),
    "version that is gone": (lambda b, v: point_at(b, v[0].version, "0" * 64), "missing"),
    "pointer that is gone": (lambda b, _: b.delete(POINTER_KEY), "no model"),
    "manifest swapped after the promotion": (swapped_manifest, "not the one that was promoted"),
}


@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_the_last_good_model_keeps_answering(
    name: str, warm: LiveModel, published: Bucket, version: Version, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, message = WRONG[name]
    spoil(published, another(version))
    assert warm.get().manifest == version[0]
    assert warm.failures == 1
    assert message in caplog.text
    assert "the last good one stays" in caplog.text


@pytest.mark.parametrize("name", WRONG)
def test_a_cold_container_says_that_the_service_cannot_answer(
    name: str, handler: Handler, published: Bucket, version: Version
) -> None:
    WRONG[name][0](published, another(version))
    response = handler(events.load("http_v2_predict_png"))
    problem = events.body_of(response)
    assert response["statusCode"] == problem["status"] == 503
    assert response["headers"]["retry-after"]
    assert "Traceback" not in response["body"]


def test_what_is_mended_is_taken_up(warm: LiveModel, published: Bucket, version: Version) -> None:
    later = another(version)
    point = published.get(POINTER_KEY).data
    WRONG["truncated model"][0](published, later)
    warm.get()
    published.replace(POINTER_KEY, point, published.get(POINTER_KEY).etag)
    assert warm.get().manifest == version[0]
    assert warm.failures == 0


# What may be wrong with the store


class Faulty(BaseHTTPRequestHandler):
    """A store that answers every request in the same wrong way."""

    fault: ClassVar[str] = ""
    ANSWERS: ClassVar[dict[str, tuple[int, bytes]]] = {
        "denies, as for a key that is missing": (
            403,
            b"<Error><Code>AccessDenied</Code></Error>",
        ),
        "finds the clock wrong": (403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"),
        "throttles": (503, b"<Error><Code>SlowDown</Code></Error>"),
        "fails": (500, b"<Error><Code>InternalError</Code></Error>"),
        "answers something else": (200, b"<html>hello</html>"),
    }

    def do_GET(self) -> None:
        if self.fault == "hangs":
            time.sleep(10)
            return
        status, body = self.ANSWERS[self.fault]
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"x"')
        self.send_header("last-modified", "Wed, 25 Nov 2026 03:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[*Faulty.ANSWERS, "hangs"])
def faulty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Reader]:
    monkeypatch.setattr(Faulty, "fault", request.param)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield S3Reader(BUCKET, "us-east-1", f"http://127.0.0.1:{server.server_address[1]}", {})
        server.shutdown()


def test_a_store_in_trouble_leaves_the_last_good_model_within_the_stated_bound(
    faulty: S3Reader, warm: LiveModel, version: Version
) -> None:
    warm._reader = faulty
    started = time.monotonic()
    assert warm.get().manifest == version[0]
    # The bound of one read, twice where the store fails first and hangs then; generous for a busy machine.
    assert time.monotonic() - started < 2 * digits_store.TIMEOUT.total_seconds() + 3
    assert warm.failures == 1


def test_a_store_in_trouble_is_told_to_a_cold_container(faulty: S3Reader) -> None:
    with pytest.raises(DigitsError) as caught:
        live_model(faulty, ttl_seconds=60).get()
    assert isinstance(caught.value, StoreError) or "pointer" in str(caught.value)


# Pinned


def test_a_pinned_container_serves_its_version_whatever_is_promoted(
    published: Bucket, store: EmbeddedStore, version: Version, second_version: Version
) -> None:
    Registry(published).publish(*second_version)
    model = live_model(reader(store), 0, second_version[0].version)
    assert model.get().manifest == second_version[0]
    Registry(published).promote(second_version[0].version)
    Registry(published).rollback()
    assert model.get().manifest == second_version[0]


def test_a_pin_on_a_version_that_is_not_there_is_told(store: EmbeddedStore) -> None:
    with pytest.raises(NoModelError, match="model 20200101T000000Z-00000000 is not published"):
        live_model(reader(store), 0, "20200101T000000Z-00000000").get()


def test_the_handler_takes_the_pin_from_its_environment(
    handler: Handler, published: Bucket, second_version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(published).publish(*second_version)
    monkeypatch.setenv("DIGITS_MODEL_VERSION", second_version[0].version)
    response = handler(events.load("http_v2_model"))
    assert events.body_of(response)["version"] == second_version[0].version


# Snapshots


def test_a_snapshot_holds_the_model_and_a_restored_container_asks_for_news(
    handler: Handler, published: Bucket, version: Version, second_version: Version
) -> None:
    predict_api.before_snapshot()
    container = predict_api._application().state.container
    assert container.model.value is not None
    assert container.model.value.manifest == version[0]
    store_before = container.reader._store
    Registry(published).publish(*second_version)
    Registry(published).promote(second_version[0].version)
    predict_api.after_restore()
    assert container.reader._store is not store_before
    for name in ("http_v2_predict_png", "http_v2_read_json"):
        response = handler(events.load(name))
        assert (response["statusCode"], response["headers"]["x-model-version"]) == (200, second_version[0].version)


def test_a_snapshot_holds_the_reader(handler: Handler, published: Bucket, version: Version) -> None:
    predict_api.before_snapshot()
    published.delete(object_key(version[0].version, READER_FILE))
    predict_api.after_restore()
    assert events.digits_of(handler(events.load("http_v2_read_json"))) == [2, 0, 2, 6]


def test_a_snapshot_of_an_empty_bucket_is_taken_all_the_same(
    cold_handler: Handler, bucket: Bucket, version: Version
) -> None:
    predict_api.before_snapshot()
    Registry(bucket).publish(*version)
    Registry(bucket).promote(version[0].version)
    predict_api.after_restore()
    assert events.body_of(cold_handler(events.load("http_v2_model")))["version"] == version[0].version


def test_a_snapshot_with_settings_that_make_no_sense_is_taken_too(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_MODEL_TTL_SECONDS", "soon")
    predict_api.before_snapshot()
    predict_api.after_restore()
    assert cold_handler(events.load("http_v2_health"))["statusCode"] == 503  # not configured


def test_the_hooks_are_those_that_lambdas_runtime_calls() -> None:
    registered = pytest.importorskip("snapshot_restore_py", reason="needs awslambdaric, which is for Linux")
    assert [hook[0] for hook in registered.get_before_snapshot()] == [predict_api.before_snapshot]
    assert [hook[0] for hook in registered.get_after_restore()] == [predict_api.after_restore]
