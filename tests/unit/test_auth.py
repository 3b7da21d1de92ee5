"""Tokens in requests."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.registry.tokens import TokenSet
from functions.predict_api import documents
from functions.predict_api.payloads import MAX_BODY_BYTES
from functions.predict_api.request_schemas import MAX_INSTANCES
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


# Envelopes


def filled(head: str, filler: str, tail: str) -> str:
    """A body that is as large as bodies may be."""
    return head + filler * ((MAX_BODY_BYTES - len(head + tail)) // len(filler)) + tail


@pytest.mark.parametrize(
    "parts",
    [
        ('{"token": "wrong", "params": {"pixels": [', "0.5, ", "0]}}"),
        ('{"params": {"pixels": [', "0.5, ", '0]}, "token": "wrong"}'),
        ('{"params": {"pixels": [', "0.5, ", "0]}}"),
        ('{"params": ', "[{", ""),
        ("{", '"token":"wrong",', '"params": {}}'),
        ('{"token": "', "x", '"}'),
        ('{"token": ', " ", "7}"),
        ("", '"token', ""),
        ("", '"token":"', ""),
    ],
)
@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_document_without_a_valid_token_is_not_parsed(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, str, str], encoding: str | None
) -> None:
    body = filled(*parts)
    assert handler(events.load("http_v2_predict_envelope"))["statusCode"] == 200
    looked_up: list[str] = []

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the document is parsed")

    monkeypatch.setattr(documents, "from_json", fail)
    monkeypatch.setattr(TokenSet, "name_of", lambda _, token: looked_up.append(token))
    data = gzip.compress(body.encode()) if encoding else body.encode()
    assert_problem(handler(events.without_token(events.post(data, {"content-encoding": encoding}))), 401, "token")
    assert len(looked_up) <= MAX_INSTANCES + 1
    assert max(map(len, looked_up), default=0) <= 1_000


@pytest.mark.parametrize("side", [28, 1_800])
def test_an_envelope_may_be_as_large_as_any_body_and_hold_its_token_anywhere(handler: Handler, side: int) -> None:
    large = Image.open(BytesIO(events.digit_file(7))).resize((side, side), Image.Resampling.BICUBIC)
    image = base64.b64encode(events.image_file(np.asarray(large), "BMP")).decode()
    token, params = {"token": EVENT_TOKEN}, {"params": {"image": image}}
    documents = [token | params, params | token, {"note": {"token": "another"}} | params | token]
    bodies = [json.dumps(document, indent=indent) for document in documents for indent in (None, 1)]
    bodies += [json.dumps(token | {"params": {"instances": [{"token": "x", "image": image}]}})]
    bodies += [json.dumps({"params": {"instances": [{"token": str(n)} for n in range(256)]}} | token)]
    for body in bodies:
        assert len(body) < MAX_BODY_BYTES
        assert handler(events.without_token(events.post(body)))["statusCode"] == 200, body[:80]


@pytest.mark.parametrize(
    "document",
    [
        '{"params": {"token": "TOKEN", "image": ""}}',
        '{"token": "wrong", "params": {"token": "TOKEN"}}',
        '{"token": "TOKEN", "token": "wrong"}',
        '{"token": ["TOKEN"], "note": {"token": "TOKEN"}}',
        r'{"note": "\"token\": \"TOKEN\""}',
        '{"nottoken": "TOKEN"}',
    ],
)
def test_only_the_envelopes_own_token_counts(handler: Handler, document: str) -> None:
    event = events.without_token(events.post(document.replace("TOKEN", EVENT_TOKEN)))
    assert_problem(handler(event), 401, "token")


def test_an_escaped_token_is_read(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenSet, "name_of", lambda _, token: "umlauts" if token == "ä/ö" else None)
    for text in (r"\u00e4\/\u00f6", "ä/ö"):
        event = events.without_token(events.post(f'{{"token": "{text}", "params": {{}}}}'))
        assert_problem(handler(event), 422, "give one of")


def test_who_has_a_valid_token_learns_what_is_wrong_with_the_envelope(handler: Handler) -> None:
    member = f'{{"token": "{EVENT_TOKEN}"'
    for body in (member + ', "params": {', member + "} and more"):
        assert_problem(handler(events.without_token(events.post(body))), 400, "not a JSON document")
    countless = filled(f'{{"token": "{EVENT_TOKEN}", "params": [', "0,", "0]}")
    assert_problem(handler(events.without_token(events.post(countless))), 400, "more values")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "text/json", "application/ld+json"],
)
def test_an_envelope_of_another_type_is_told_its_type(handler: Handler, content_type: str) -> None:
    envelope = events.post({"token": EVENT_TOKEN, "params": image_json()}, None, content_type)
    assert_problem(handler(events.without_token(envelope)), 415, "application/json")
    assert_problem(handler(events.without_token(events.post("hello", None, content_type))), 415, "application/json")
    envelope["headers"]["authorization"] = "Bearer wrong"
    assert_problem(handler(envelope), 401, "not valid")


def test_an_envelope_whose_encoding_cannot_be_undone_is_told_so(handler: Handler) -> None:
    envelope = {"token": EVENT_TOKEN, "params": image_json()}
    for encoding, status in (("br", 415), ("gzip", 400)):
        event = events.post(envelope, {"content-encoding": encoding})
        assert_problem(handler(events.without_token(event)), status, "gzip")


def test_logs_name_the_token_and_never_show_it_or_the_image(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handler(events.load("http_v2_predict_envelope"))
    handler(events.load("http_v2_wrong_token"))
    told = [vars(record) for record in caplog.records]
    assert [each["token"] for each in told if "token" in each] == ["events"]
    assert EVENT_TOKEN not in str(told)
    assert "not-a-valid-token" not in str(told)
    assert image_json(1)["image"] not in str(told)
