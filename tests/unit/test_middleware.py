"""CORS, the headers of every answer, HEAD, and what nobody expected."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from functions.predict_api import middleware, page, reference
from functions.predict_api.app import app_from_environment
from tests import doors, events
from tests.conftest import Handler
from tests.doors import Request
from tests.problems import assert_problem


def test_preflight_needs_no_token_and_loads_nothing(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    response = cold_handler(events.load("http_v2_preflight"))
    assert response["statusCode"] == 204
    assert "POST" in response["headers"]["access-control-allow-methods"]
    assert "authorization" in response["headers"]["access-control-allow-headers"]


def test_a_refused_preflight_is_a_problem(cold_handler: Handler) -> None:
    event = events.load("http_v2_preflight")
    event["headers"]["access-control-request-method"] = "DELETE"
    assert_problem(cold_handler(event), 400, "method")


@pytest.mark.parametrize(("origin", "allowed"), [("https://a.example", True), ("https://b.example", False)])
def test_only_allowed_origins_are_named(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, origin: str, allowed: bool
) -> None:
    monkeypatch.setenv("DIGITS_ALLOWED_ORIGINS", "https://a.example, https://c.example")
    event = events.load("http_v2_predict_json")
    event["headers"]["origin"] = origin
    headers = handler(event)["headers"]
    assert headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert "Origin" in headers["vary"]


def test_what_nobody_expected_is_a_problem_with_cors_and_a_logged_traceback(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret inner detail")

    monkeypatch.setattr("digits.reading.canonicalize", fail)
    response = handler(events.load("http_v2_predict_json"))
    assert_problem(response, 500)
    assert "secret" not in response["body"]
    assert "ZeroDivisionError: secret inner detail" in caplog.text


# An answer of every kind: of a route, of files, of the framework, of the middleware, of the handler, unchanged files.
ASKED: dict[str, Request] = {
    "route": Request("GET", "/health"),
    "page": Request("GET", "/"),
    "file": Request("GET", "/page/samples.png"),
    "reference": Request("GET", "/docs"),
    "description": Request("GET", "/openapi.json"),
    "no path": Request("GET", "/nowhere"),
    "no method": Request("PUT", "/v1/predict"),
    "no token": Request("POST", "/v1/predict", {"content-type": "application/json"}, b"{}"),
    "preflight": Request("OPTIONS", "/", {"origin": "https://a.example", "access-control-request-method": "POST"}),
    "refused": Request("OPTIONS", "/", {"origin": "https://a.example", "access-control-request-method": "PUT"}),
    "no model": Request("GET", "/v1/model"),
    "protocol": Request("GET", "/v2"),
}


@pytest.mark.parametrize("door", doors.DOORS)
@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(("proto", "is_https"), [("https", True), ("http", False), ("HTTPS, http", True)])
def test_every_answer_tells_browsers_to_be_careful(
    cold_handler: Handler, door: str, name: str, proto: str, is_https: bool
) -> None:
    event = doors.DOORS[door](ASKED[name])
    event["headers"] = {key: value for key, value in event["headers"].items() if key.lower() != "x-forwarded-proto"}
    event["headers"]["x-forwarded-proto"] = proto
    event["multiValueHeaders"] = None
    for asked in (event, {**event, "body": "\ud800", "isBase64Encoded": False}):  # which only the handler answers
        headers = cold_handler(asked)["headers"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers.get("strict-transport-security") == ("max-age=31536000" if is_https else None)


@pytest.mark.parametrize("name", ["unchanged", "redirect", "failure"])
def test_so_do_the_rarer_ones(handler: Handler, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    event = doors.http_v2(Request("GET", "/"))
    if name == "unchanged":
        event["headers"]["if-none-match"] = handler(event)["headers"]["etag"]
    elif name == "redirect":
        event = doors.http_v2_stage(Request("GET", ""))
    else:
        monkeypatch.setattr("functions.predict_api.page._read", lambda _: 1 / 0)
    response = handler(event)
    assert response["statusCode"] == {"unchanged": 304, "redirect": 308, "failure": 500}[name]
    assert response["headers"]["x-content-type-options"] == "nosniff"
    assert response["headers"]["referrer-policy"] == "no-referrer"
    assert response["headers"]["strict-transport-security"]


def paths_with_get() -> list[str]:
    described = app_from_environment({}).openapi()["paths"].items()
    paths = [path.replace("{name}", "digits") for path, operations in described if "get" in operations]
    paths += ["/openapi.json", *(route.path for route in (*page.ROUTES, *reference.ROUTES))]
    return [path for path in paths if "{version}" not in path]


@pytest.mark.parametrize("door", ["http_v2", "rest_v1"])
@pytest.mark.parametrize("path", [*paths_with_get(), "/nowhere", "/v1/predict"])
def test_head_is_answered_as_get_is_but_without_a_body(handler: Handler, door: str, path: str) -> None:
    got, head = (handler(doors.DOORS[door](Request(method, path))) for method in ("GET", "HEAD"))
    assert head.pop("body") == ""
    assert got.pop("body") != ""
    assert head["isBase64Encoded"] is False
    assert (head["statusCode"], head["headers"]) == (got["statusCode"], got["headers"])
    assert int(head["headers"]["content-length"]) > 0


def test_a_request_that_tells_its_length_in_two_ways_ends_its_connection(handler: Handler) -> None:
    event = events.load("http_v2_predict_json")
    event["headers"] |= {"content-length": "5", "transfer-encoding": "chunked"}
    response = handler(event)
    assert_problem(response, 400, "two ways")
    assert response["headers"]["connection"] == "close"


def test_more_requests_than_are_taken_on_are_refused(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "MOST_AT_A_TIME", 0)
    response = handler(events.load("http_v2_predict_json"))
    assert_problem(response, 503, "no more are taken on")
    assert response["headers"]["retry-after"] == "1"
    monkeypatch.setattr(middleware, "MOST_AT_A_TIME", 1)
    assert [handler(events.load("http_v2_predict_json"))["statusCode"] for _ in range(3)] == [200] * 3


def test_headers_without_an_end_are_refused(handler: Handler) -> None:
    event = events.load("http_v2_predict_json")
    event["headers"] |= {f"a{number}": "b" * 100 for number in range(400)}
    assert_problem(handler(event), 431, "more than 32,768 bytes")


def test_health_is_told_at_any_load(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "MOST_AT_A_TIME", 0)
    assert handler(doors.http_v2(Request("GET", "/health")))["statusCode"] == 200


def test_a_body_that_does_not_come_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.05)
    sent: list[Message] = []

    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits for that long")

    async def send(message: Message) -> None:
        sent.append(message)

    application = app_from_environment({})
    headers = [(b"content-type", b"application/json")]  # with the token in it
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "query_string": b"", "headers": headers}
    asyncio.run(application(scope, never, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
