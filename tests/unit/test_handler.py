"""Gateway events in, gateway responses out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from digits.model.identity import READER_FILE
from digits.registry.layout import POINTER_KEY, object_key
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler
from tests.unit.conftest import MemoryReader


@pytest.mark.parametrize("name", sorted(events.EXPECTED))
def test_sample_event_is_answered(handler: Handler, name: str) -> None:
    status, digits = events.EXPECTED[name]
    response = handler(events.load(name))
    assert events.status_of(response) == status
    assert events.digits_of(response) == digits if digits else True
    if "statusCode" in response:
        assert response["headers"]["access-control-allow-origin"] == "*"
        assert response["headers"]["x-request-id"]


@pytest.mark.parametrize("event", [{"Records": []}, {"source": "aws.s3"}, [], None, "text", 7, {"requestContext": {}}])
def test_an_event_that_is_no_request_gets_a_problem_not_a_stack_trace(handler: Handler, event: Any) -> None:
    problem = handler(event)
    assert problem["status"] == 400
    assert problem["request_id"] == "test-request"


WARM_UPS = {
    "nothing": {},
    "schedule": events.load("warm_up"),
    "scheduler": {"version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"},
    "serverless-plugin-warmup": {"source": "serverless-plugin-warmup"},
    "lambda-warmer": {"warmer": True, "concurrency": 3},
}


@pytest.mark.parametrize("name", WARM_UPS)
def test_a_warm_up_leaves_a_container_that_needs_the_store_no_more(
    handler: Handler, objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    answer = handler(WARM_UPS[name])
    assert answer == {"warm": True, "model": json.loads(objects[POINTER_KEY])["version"]}

    def fail(*_: object) -> None:
        raise AssertionError("the store was asked")

    monkeypatch.setattr("tests.unit.conftest.MemoryReader.get", fail)
    for event in ("http_v2_predict_json", "http_v2_read_json", "http_v2_infer_json"):
        response = handler(events.load(event))
        assert response["statusCode"] == 200
        assert "cold" not in response["headers"].get("server-timing", "")


@pytest.mark.parametrize("reader", [None, b"damaged"])
def test_a_warm_up_without_a_reader_that_can_be_used_loads_the_rest(
    handler: Handler, objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, reader: bytes | None
) -> None:
    version = json.loads(objects[POINTER_KEY])["version"]
    without = {key: data for key, data in objects.items() if key != object_key(version, READER_FILE)}
    changed = without if reader is None else {**without, object_key(version, READER_FILE): reader}
    monkeypatch.setattr("functions.predict_api.app.S3Reader", lambda *_: MemoryReader(changed))
    assert handler(events.load("warm_up")) == {"warm": True, "model": version}
    assert handler(events.load("http_v2_predict_json"))["statusCode"] == 200


def test_a_form_that_is_the_event_itself_is_read(handler: Handler) -> None:
    form = json.loads(events.load("http_v2_read_form")["body"])
    for document in (form | {"token": EVENT_TOKEN}, {"token": EVENT_TOKEN, "params": form}):
        assert handler(document)["fields"]["year"]["text"] == "2026"


def test_a_warm_up_before_the_first_model_is_no_error(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("functions.predict_api.app.S3Reader", lambda *_: MemoryReader({}))
    assert cold_handler(events.load("warm_up")) == {"warm": False, "model": None}
    assert "no model has been published" in caplog.text
