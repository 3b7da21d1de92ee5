"""What every problem document must be, whatever the problem."""

from __future__ import annotations

from typing import Any

from tests import events


def assert_problem(response: dict[str, Any], status: int, detail: str = "") -> dict[str, Any]:
    """Return the problem document in a gateway response."""
    problem = events.body_of(response)
    assert response["statusCode"] == status, problem
    assert response["headers"]["content-type"] == "application/problem+json"
    assert response["headers"]["access-control-allow-origin"] == "*"
    assert response["isBase64Encoded"] is False
    assert problem.keys() >= {"type", "title", "status", "detail", "request_id"}
    assert problem["status"] == status
    assert problem["request_id"] == response["headers"]["x-request-id"]
    assert detail in problem["detail"]
    assert "Traceback" not in response["body"]
    return problem
