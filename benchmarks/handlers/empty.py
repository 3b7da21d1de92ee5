"""The floor: a handler that returns a constant, so that what is left is the runtime's and the emulator's."""

from __future__ import annotations

from typing import Any


def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Answer every event alike."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"pred": 7}'}
