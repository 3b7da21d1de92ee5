"""The service's own troubles, as problem documents."""

from __future__ import annotations

import json

import pytest

from digits.model.manifest import Manifest
from digits.registry import layout, tokens
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from local.lambda_invoke import EVENT_TOKEN
from local.store import EmbeddedStore
from tests import events
from tests.conftest import Handler
from tests.problems import assert_problem


def test_before_the_first_model_the_service_says_when_to_come_back(bucket: Bucket, cold_handler: Handler) -> None:
    tokens.add(bucket, "events", EVENT_TOKEN)
    response = cold_handler(events.load("http_v2_predict_json"))
    assert_problem(response, 503, "no model has been published")
    assert int(response["headers"]["retry-after"]) > 0


@pytest.mark.usefixtures("unreachable_store")
@pytest.mark.parametrize("name", ["http_v2_predict_json", "http_v2_model"])
def test_an_unreachable_store_is_a_503_without_inner_detail(cold_handler: Handler, name: str) -> None:
    problem = assert_problem(cold_handler(events.load(name)), 503, "cannot be read at the moment")
    assert "127.0.0.1" not in json.dumps(problem)


def test_without_a_bucket_the_service_says_so(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    assert_problem(cold_handler(events.load("http_v2_predict_json")), 503, "not configured")
    assert "DIGITS_BUCKET" in caplog.text


def test_a_bucket_that_does_not_exist_is_a_503(
    handler: Handler, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_BUCKET", "another-bucket")
    assert_problem(handler(events.load("http_v2_predict_json")), 503, "cannot be read at the moment")


def test_a_model_that_fails_its_digest_is_never_served(
    bucket: Bucket, version: tuple[Manifest, dict[str, bytes]], cold_handler: Handler
) -> None:
    manifest, files = version
    registry_ = Registry(bucket)
    tokens.add(bucket, "events", EVENT_TOKEN)
    registry_.publish(manifest, files)
    registry_.promote(manifest.version)
    key = layout.object_key(manifest.version, "model.tflite")
    bucket.replace(key, files["model.tflite"][:-1], bucket.get(key).etag)
    assert_problem(cold_handler(events.load("http_v2_predict_json")), 503, "cannot be read at the moment")
