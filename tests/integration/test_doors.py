"""The contract: the same request gets the same answer through every door."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from digits.pictures.images import decode
from local.lambda_invoke import EVENT_TOKEN
from tests import doors, events
from tests.conftest import Handler, end_container
from tests.doors import Request

TOKEN = {"authorization": f"Bearer {EVENT_TOKEN}"}
JSON = {"content-type": "application/json"}
PREDICT, INFER = "/v1/predict", "/v2/models/digits/infer"
IMAGE = {"image": base64.b64encode(events.digit_file(7)).decode()}
FORM, FORM_TYPE = events.multipart(events.digit_file(7), b"no image", events.digit_file(1))
TENSOR_HEADER = json.dumps(
    {
        "inputs": [
            {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "parameters": {"binary_data_size": 784}}
        ],
        "parameters": {"binary_data_output": True},
    }
).encode()
PIXELS = np.ascontiguousarray(decode(events.digit_file(7)).pixels)
ENVELOPE = Request("POST", PREDICT, JSON, json.dumps({"token": EVENT_TOKEN, "params": IMAGE}).encode())
BAD_ENVELOPE = Request("POST", PREDICT, JSON, json.dumps({"token": EVENT_TOKEN, "params": {"image": 7}}).encode())
WRONG_ENVELOPE = Request("POST", PREDICT, JSON, json.dumps({"token": "wrong", "params": IMAGE}).encode())
SEVERAL = {"token": EVENT_TOKEN, "params": {"instances": [IMAGE, {"image": "*"}, {"pixels": PIXELS.tolist()}]}}

# name: (request, status)
CONTRACT: dict[str, tuple[Request, int]] = {
    "health": (Request("GET", "/health"), 200),
    "model": (Request("GET", "/v1/model"), 200),
    "openapi": (Request("GET", "/openapi.json"), 200),
    "json": (Request("POST", PREDICT, JSON | TOKEN, json.dumps(IMAGE).encode()), 200),
    "envelope": (ENVELOPE, 200),
    "instances": (Request("POST", PREDICT, JSON, json.dumps(SEVERAL).encode()), 200),
    "png": (Request("POST", PREDICT, {"content-type": "image/png"} | TOKEN, events.digit_file(4)), 200),
    "form": (Request("POST", PREDICT, {"content-type": FORM_TYPE} | TOKEN, FORM), 200),
    "infer": (
        Request(
            "POST",
            INFER,
            {"inference-header-content-length": str(len(TENSOR_HEADER))} | TOKEN,
            TENSOR_HEADER + PIXELS.tobytes(),
        ),
        200,
    ),
    "preflight": (
        Request("OPTIONS", PREDICT, {"origin": "https://a.example", "access-control-request-method": "POST"}),
        204,
    ),
    "refused preflight": (
        Request("OPTIONS", PREDICT, {"origin": "https://a.example", "access-control-request-method": "PUT"}),
        400,
    ),
    "malformed": (Request("POST", PREDICT, JSON | TOKEN, b"{"), 400),
    "no token": (Request("POST", PREDICT, JSON, json.dumps(IMAGE).encode()), 401),
    "wrong token": (WRONG_ENVELOPE, 401),
    "unknown path": (Request("GET", "/nowhere"), 404),
    "wrong method": (Request("DELETE", PREDICT), 405),
    "large body": (Request("POST", PREDICT, {"content-type": "image/png"} | TOKEN, bytes(4_500_001)), 413),
    "media type": (Request("POST", PREDICT, {"content-type": "text/plain"} | TOKEN, b"7"), 415),
    "field": (BAD_ENVELOPE, 422),
    "blank": (Request("POST", PREDICT, JSON | TOKEN, json.dumps({"pixels": [0] * 784}).encode()), 422),
}


def comparable(response: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal: status, body, and the headers that matter, without what names the request."""
    changing = ("server-timing", "content-length")
    headers = {name: value for name, value in response["headers"].items() if name not in changing}
    body = response["body"]
    if not body:
        headers.pop("content-type", None)  # Mangum makes one up, for format 2.0 only
    elif headers.get("content-type", "").endswith("json"):
        body = json.loads(body)
        for answer in (body, *body.get("predictions", [])):
            answer.pop("servers", None)
            if answer.get("status") in (404, 405):
                answer.pop("detail")  # it names the path as the caller wrote it
    return {"status": response["statusCode"], "headers": headers, "body": body, "base64": response["isBase64Encoded"]}


@pytest.mark.parametrize("door", [name for name in doors.DOORS if name != "http_v2"])
@pytest.mark.parametrize("name", CONTRACT)
def test_every_door_gives_the_same_answer(handler: Handler, door: str, name: str) -> None:
    request, status = CONTRACT[name]
    expected, answer = handler(doors.http_v2(request)), handler(doors.DOORS[door](request))
    assert expected["statusCode"] == status, expected
    assert "access-control-allow-origin" in expected["headers"]
    assert comparable(answer) == comparable(expected)


@pytest.mark.parametrize("name", ["envelope", "instances", "wrong token", "field"])
def test_a_direct_invoke_gets_the_bare_document(handler: Handler, name: str) -> None:
    request, _ = CONTRACT[name]
    assert handler(doors.direct(request)) == json.loads(handler(doors.http_v2(request))["body"])


@pytest.mark.parametrize("name", ["png", "form", "infer"])
def test_binary_comes_in_and_goes_out_as_base64_where_it_must(handler: Handler, name: str) -> None:
    request, _ = CONTRACT[name]
    event = doors.http_v2(request)
    assert event["isBase64Encoded"] is True
    assert handler(event)["isBase64Encoded"] is (name == "infer")


@pytest.mark.parametrize(
    ("door", "document"),
    [
        ("http_v2", "/openapi.json"),
        ("http_v2_stage", "/prod/openapi.json"),
        ("rest_v1", "/prod/openapi.json"),
        ("rest_v1_custom_domain", "/digits/openapi.json"),
    ],
)
def test_docs_find_their_document_behind_a_path(handler: Handler, door: str, document: str) -> None:
    answer = handler(doors.DOORS[door](Request("GET", "/docs")))
    assert answer["statusCode"] == 200
    assert f"'{document}'" in answer["body"]


def test_a_custom_domains_path_on_an_http_api_is_a_setting(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_BASE_PATH", "/digits")
    assert handler(doors.http_v2(Request("GET", "/digits/health")))["statusCode"] == 200
    assert "'/digits/openapi.json'" in handler(doors.http_v2(Request("GET", "/digits/docs")))["body"]
    assert handler(doors.http_v2(Request("GET", "/digitsx/health")))["statusCode"] == 404


def test_a_stage_named_like_a_route_is_not_taken_for_it(handler: Handler) -> None:
    event = doors.http_v2(Request("GET", "/v1/model"))
    event["requestContext"].update(stage="v1", domainName="api.example.com")
    assert handler(event)["statusCode"] == 200


def test_nothing_at_all_goes_wrong_with_a_stack_trace(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    event = doors.http_v2(CONTRACT["json"][0])
    broken: dict[str, Any]
    for broken in ({**event, "headers": None}, {"requestContext": {"http": {}}}, {**event, "body": "\ud800"}):
        answer = handler(broken)
        assert answer["statusCode"] in (400, 500)
        assert answer["headers"]["access-control-allow-origin"] == "*"
        assert json.loads(answer["body"])["request_id"] == "test-request"
    monkeypatch.setenv("DIGITS_MODEL_TTL_SECONDS", "soon")
    end_container()
    assert handler(event)["statusCode"] == 500
