"""CORS, and what nobody expected."""

from __future__ import annotations

import pytest

from tests import events
from tests.conftest import Handler
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
