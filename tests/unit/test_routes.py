"""What the paths answer, and with which headers."""

from __future__ import annotations

import pytest

from digits.model.manifest import Manifest
from tests import events
from tests.conftest import Handler


def test_model_summary_is_the_manifests(handler: Handler, version: tuple[Manifest, dict[str, bytes]]) -> None:
    summary = events.body_of(handler(events.load("http_v2_model")))
    manifest, files = version
    assert summary["version"] == manifest.version
    assert summary["accuracy"] == manifest.test.accuracy
    assert summary["dataset"] == "mnist-subset-5000"
    assert summary["training_count"] == 4_000
    assert summary["size_bytes"] == len(files["model.tflite"])
    assert summary["classes"] == list("0123456789")


def test_health_needs_neither_token_nor_bucket(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    response = cold_handler(events.load("http_v2_health"))
    assert (response["statusCode"], events.body_of(response)) == (
        200,
        {"status": "ok", "model": None, "refresh_failures": 0},
    )


def test_headers_tell_the_model_the_time_and_not_to_keep_the_answer(
    handler: Handler, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    first, second = (handler(events.load("http_v2_predict_json"))["headers"] for _ in range(2))
    assert first["x-model-version"] == version[0].version
    assert first["cache-control"] == "no-store"
    assert [phases(each) for each in (first, second)] == [
        ["cold", "token", "decode", "canonical", "load", "inference", "encoding"],
        ["token", "decode", "canonical", "inference", "encoding"],
    ]


def phases(headers: dict[str, str]) -> list[str]:
    return [part.partition(";")[0].strip() for part in headers["server-timing"].split(",")]


@pytest.mark.parametrize(("name", "found"), [("http_v2_read_json", ["rows"]), ("http_v2_read_form", [])])
def test_a_load_is_told_only_where_something_was_loaded_to_read_a_number(
    handler: Handler, name: str, found: list[str]
) -> None:
    handler(events.load("http_v2_predict_json"))  # which needs no reader
    first, second = (phases(handler(events.load(name))["headers"]) for _ in range(2))
    assert first == ["token", "decode", *found, "load", "inference", "encoding"]
    assert second == ["token", "decode", *found, "inference", "encoding"]


def test_a_refused_request_does_not_warm_a_container(handler: Handler) -> None:
    assert handler(events.load("http_v2_wrong_token"))["statusCode"] == 401
    assert handler(events.load("http_v2_predict_json"))["headers"]["server-timing"].startswith("cold;")
