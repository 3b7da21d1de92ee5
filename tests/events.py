"""The sample events, one file each, and what each of them must be answered."""

from __future__ import annotations

import base64
import copy
import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parents[1] / "events"
DIGITS = FOLDER / "digits"
NUMBERS = FOLDER / "numbers"

# name: (status, digits that must be read, in order)
EXPECTED: dict[str, tuple[int, list[int]]] = {
    "direct_predict": (200, [8]),
    "function_url_predict_json": (200, [3]),
    "http_v2_health": (200, []),
    "http_v2_infer_binary": (200, [7]),
    "http_v2_infer_json": (200, [7]),
    "http_v2_model": (200, []),
    "http_v2_page": (200, []),
    "http_v2_predict_envelope": (200, [1]),
    "http_v2_predict_instances": (200, [7, 2]),
    "http_v2_predict_json": (200, [7]),
    "http_v2_predict_multipart": (200, [7, 1]),
    "http_v2_predict_pixels": (200, [2]),
    "http_v2_predict_png": (200, [4]),
    "http_v2_preflight": (204, []),
    "http_v2_read_form": (200, [2, 0, 2, 6, 7, 9, 0, 9, 8, 7]),
    "http_v2_read_json": (200, [2, 0, 2, 6]),
    "http_v2_stage_predict_json": (200, [6]),
    "http_v2_wrong_token": (401, []),
    "rest_v1_custom_domain_predict_json": (200, [5]),
    "rest_v1_predict_json": (200, [9]),
    "rest_v1_predict_png": (200, [0]),
    "warm_up": (200, []),
}


def load(name: str) -> dict[str, Any]:
    """Return a sample event."""
    event: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return event


def post(
    body: bytes | str | dict[str, Any],
    headers: dict[str, str | None] | None = None,
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


def at(event: dict[str, Any], path: str, query: str = "") -> dict[str, Any]:
    """Return the HTTP API event with another path and query."""
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["rawQueryString"] = query
    return event


def without_token(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event without its authorization header."""
    event["headers"].pop("authorization", None)
    return event


def digit_file(digit: int) -> bytes:
    """Return the PNG file of a real digit."""
    return (DIGITS / f"{digit}.png").read_bytes()


def number_file(name: str = "2026") -> bytes:
    """Return the PNG file of a number, or of a form."""
    return (NUMBERS / f"{name}.png").read_bytes()


def image_json(digit: int = 7) -> dict[str, Any]:
    """Return a request document with the file of a real digit."""
    return {"image": base64.b64encode(digit_file(digit)).decode()}


def image_file(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    """Return pixels as a file of that kind, as Pillow names it."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def multipart(*files: bytes) -> tuple[bytes, str]:
    """Return a form with these files, and its content type."""
    boundary = "digits-boundary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'.encode()
    body = b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def body_of(response: dict[str, Any]) -> dict[str, Any]:
    """Return the document in a gateway response, or the response itself where it is the document."""
    if "statusCode" not in response:
        return response
    text = response["body"]
    document: dict[str, Any] = json.loads(base64.b64decode(text) if response["isBase64Encoded"] else text)
    return document


def status_of(response: dict[str, Any]) -> int:
    """Return the status of a gateway response, or of a bare answer document."""
    status: int = response.get("statusCode", response.get("status", 200))
    return status


def digits_of(response: dict[str, Any]) -> list[int]:
    """Return the digits that a response tells, in order, whichever kind of answer it is; those of a form by fields."""
    length = response.get("headers", {}).get("inference-header-content-length")
    if length:
        tensor = base64.b64decode(response["body"])[int(length) :]
        return _argmax_rows([value[0] for value in struct.iter_unpack("<f", tensor)])
    if response.get("headers", {}).get("content-type", "").startswith("text/html"):
        return []
    document = body_of(response)
    if "outputs" in document:
        return _argmax_rows(document["outputs"][0]["data"])
    if "text" in document or "fields" in document:
        texts = [field["text"] for field in document.get("fields", {"": document}).values()]
        return [int(character) for character in "".join("".join(texts).split())]
    return [answer["pred"] for answer in document.get("predictions", [document]) if "pred" in answer]


def _argmax_rows(values: list[float]) -> list[int]:
    rows = [values[start : start + 10] for start in range(0, len(values), 10)]
    return [row.index(max(row)) for row in rows]
