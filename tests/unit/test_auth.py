"""Tokens in requests."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from functions.predict_api.payloads import MAX_BODY_BYTES
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler
from tests.events import image_json
from tests.problems import assert_problem


def test_the_token_comes_before_every_other_judgement(handler: Handler) -> None:
    event = events.without_token(events.post(bytes(MAX_BODY_BYTES + 1), content_type="image/png"))
    assert_problem(handler(events.at(event, "/v1/predict", "explain=perhaps")), 401)


@pytest.mark.parametrize(
    "event",
    [
        events.without_token(events.post(image_json())),
        events.without_token(events.post("not even JSON")),
        events.without_token(events.post(events.digit_file(7), content_type="image/png")),
        events.without_token(events.post({"token": "wrong", "params": image_json()})),
        events.without_token(events.post({"token": 7, "params": image_json()})),
        events.post(image_json(), {"authorization": "Bearer wrong"}),
        events.post(image_json(), {"authorization": "Bearer "}),
        events.post(image_json(), {"authorization": None, "x-api-key": ""}),
        events.post(image_json(), {"authorization": "Basic eDp5"}),
        events.post({"token": EVENT_TOKEN, "params": image_json()}, {"authorization": "Bearer wrong"}),
        events.post("not even JSON", {"authorization": "Bearer wrong"}),
    ],
)
def test_without_a_valid_token_nothing_is_read(handler: Handler, event: dict[str, Any]) -> None:
    response = handler(event)
    assert_problem(response, 401, "token")
    assert response["headers"]["www-authenticate"].startswith("Bearer")


def test_logs_name_the_token_and_never_show_it_or_the_image(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handler(events.load("http_v2_predict_envelope"))
    handler(events.load("http_v2_wrong_token"))
    assert "'events'" in caplog.text
    assert EVENT_TOKEN not in caplog.text
    assert "not-a-valid-token" not in caplog.text
    assert image_json(1)["image"] not in caplog.text
