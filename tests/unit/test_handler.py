"""Gateway events in, gateway responses out."""

from __future__ import annotations

from typing import Any

import pytest

from tests import events
from tests.conftest import Handler


@pytest.mark.parametrize("name", sorted(events.EXPECTED))
def test_sample_event_is_answered(handler: Handler, name: str) -> None:
    status, digits = events.EXPECTED[name]
    response = handler(events.load(name))
    assert events.status_of(response) == status
    assert events.digits_of(response) == digits if digits else True
    if "statusCode" in response:
        assert response["headers"]["access-control-allow-origin"] == "*"
        assert response["headers"]["x-request-id"]


@pytest.mark.parametrize("event", [{}, {"Records": []}, [], None, "text", 7, {"requestContext": {}}])
def test_an_event_that_is_no_request_gets_a_problem_not_a_stack_trace(handler: Handler, event: Any) -> None:
    problem = handler(event)
    assert problem["status"] == 400
    assert problem["request_id"] == "test-request"
