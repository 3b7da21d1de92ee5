"""The sample events, one file each, and what each of them must be answered."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "events"
DIGITS = FOLDER / "digits"

# name: (status, digit that must be read or None)
EXPECTED: dict[str, tuple[int, int | None]] = {
    "http_v2_health": (200, None),
    "http_v2_model": (200, None),
    "http_v2_predict_envelope": (200, 1),
    "http_v2_predict_json": (200, 7),
    "http_v2_predict_pixels": (200, 2),
    "http_v2_predict_png": (200, 4),
    "http_v2_preflight": (204, None),
    "http_v2_wrong_token": (401, None),
    "rest_v1_predict_json": (200, 9),
}


def load(name: str) -> dict[str, Any]:
    """Return a sample event."""
    event: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return event


def post(
    body: bytes | str | dict[str, Any],
    headers: dict[str, str] | None = None,
    content_type: str | None = "application/json",
) -> dict[str, Any]:
    """Return the sample predict event with another body, its headers changed; a None removes one."""
    event = copy.deepcopy(load("http_v2_predict_json"))
    changes: dict[str, str | None] = {"content-type": content_type, **(headers or {})}
    for name, value in changes.items():
        if value is None:
            event["headers"].pop(name, None)
        else:
            event["headers"][name] = value
    if isinstance(body, dict):
        body = json.dumps(body).replace("Infinity", "1e999")  # JSON has no infinity, but big exponents
    if isinstance(body, bytes):
        event["isBase64Encoded"] = True
        body = base64.b64encode(body).decode()
    event["body"] = body
    return event


def without_token(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event without its authorization header."""
    event["headers"].pop("authorization", None)
    return event


def digit_file(digit: int) -> bytes:
    """Return the PNG file of a real digit."""
    return (DIGITS / f"{digit}.png").read_bytes()


def body_of(response: dict[str, Any]) -> dict[str, Any]:
    """Return the document in a gateway response."""
    text = response["body"]
    document: dict[str, Any] = json.loads(base64.b64decode(text) if response["isBase64Encoded"] else text)
    return document
