"""Whose pages may call the API, and what browsers are told of it."""

from __future__ import annotations

import pytest

from digits.errors import ConfigurationError
from functions.predict_api.cors import ANSWER_HEADERS, read_origins
from tests import events
from tests.conftest import Handler
from tests.problems import assert_problem

TRACING = ["traceparent", "tracestate", "sentry-trace", "baggage", "x-requested-with", "x-amzn-trace-id", "B3"]


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("", ()),
        (" https://a.example , https://b.example,", ("https://a.example", "https://b.example")),
        ("https://a.example/", ("https://a.example",)),
        ("HTTPS://A.Example", ("https://a.example",)),
        ("https://a.example:443,http://a.example:80", ("https://a.example", "http://a.example")),
        ("https://a.example:8443,http://localhost:3000", ("https://a.example:8443", "http://localhost:3000")),
        ("https://*.example.com/", ("https://*.example.com",)),
        ("http://[::1]:3000", ("http://[::1]:3000",)),
        ("capacitor://localhost", ("capacitor://localhost",)),
    ],
)
def test_origins_are_read_as_a_browser_writes_them(text: str, origins: tuple[str, ...]) -> None:
    assert read_origins(text) == origins


@pytest.mark.parametrize(
    "text",
    [
        "a.example",
        "*.example.com",
        "https://",
        "https://*",
        "https://a.*.example",
        "https://a*.example",
        "https://a.example/page",
        "https://a.example//",
        "https://a.example?x",
        "https://a.example:port",
        "https://a.example:0",
        "https://a.example:65536",
        "https://user@a.example",
        "https://a.example;https://b.example",
        "https://a.example https://b.example",
        "https://ä.example",
        "null",
    ],
)
def test_what_would_be_without_effect_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGITS_ALLOWED_ORIGINS"):
        read_origins(f"https://fine.example,{text}")


@pytest.mark.parametrize(
    ("allowed", "origin", "allows"),
    [
        ("https://a.example/", "https://a.example", True),
        ("HTTPS://A.EXAMPLE", "https://a.example", True),
        ("https://a.example", "http://a.example", False),
        ("https://a.example", "https://a.example.evil", False),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://.example.com", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "http://a.example.com", False),
        ("https://*.example.com", "https://a.example.com:8443", False),
        ("https://*.example.com:8443", "https://a.example.com:8443", True),
        ("https://b.example, *", "null", True),
        ("", "https://a.example", False),
    ],
)
def test_only_allowed_origins_are_named_in_answers_and_preflights(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch, allowed: str, origin: str, allows: bool
) -> None:
    monkeypatch.setenv("DIGITS_ALLOWED_ORIGINS", allowed)
    named = ("*" if "*" in allowed.split(", ") else origin) if allows else None
    for name, status in (("http_v2_health", 200), ("http_v2_preflight", 204 if allows else 400)):
        event = events.load(name)
        event["headers"]["origin"] = origin
        response = cold_handler(event)
        assert response["statusCode"] == status
        assert response["headers"].get("access-control-allow-origin") == named
        assert (response["headers"].get("vary") == "Origin") == (named != "*")


@pytest.mark.parametrize("name", TRACING)
def test_a_page_that_is_watched_may_call_the_api(cold_handler: Handler, name: str) -> None:
    event = events.load("http_v2_preflight")
    event["headers"]["access-control-request-headers"] = f"authorization,content-type, {name}"
    response = cold_handler(event)
    assert response["statusCode"] == 204
    assert name.lower() in response["headers"]["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("member", "value", "what"),
    [
        ("access-control-request-method", "DELETE", "method"),
        ("access-control-request-headers", "x-other", "headers"),
        ("origin", "https://b.example", "origin"),
    ],
)
def test_a_refused_preflight_tells_why(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch, member: str, value: str, what: str
) -> None:
    event = events.load("http_v2_preflight")
    monkeypatch.setenv("DIGITS_ALLOWED_ORIGINS", event["headers"]["origin"])
    event["headers"][member] = value
    response = cold_handler(event)
    assert response["statusCode"] == 400
    assert events.body_of(response)["detail"].endswith(f": {what}")


def test_pages_may_read_the_headers_that_the_service_adds(handler: Handler) -> None:
    event = events.load("http_v2_predict_json")
    answer = handler(event)["headers"]
    assert answer.keys() >= {"x-request-id", "server-timing", "x-model-version"}
    assert answer["access-control-expose-headers"] == ", ".join(ANSWER_HEADERS)
    assert_problem(handler(events.load("http_v2_wrong_token")), 401)
