"""What the OpenAPI description says of requests that carry a picture: tokens, encodings, bodies with examples.

All of that is read by hand: the token in an envelope is checked before the rest is judged, and the framework would take
a tenth of a request to look for it. The schemas themselves are added when the description is asked for, which no
prediction waits for (`openapi`).
"""

from __future__ import annotations

from typing import Any

from digits.pictures.canonical import SIDE
from digits.pictures.images import MEDIA_TYPES
from functions.predict_api.request_schemas import MULTIPART_TYPE

JSON_TYPE = "application/json"
BINARY_TYPE = "application/octet-stream"
BINARY = {"schema": {"type": "string", "format": "binary"}}

_ONE = [[255 if 4 <= row < 24 and 13 <= column < 15 else 0 for column in range(SIDE)] for row in range(SIDE)]

# A PNG of 100 x 64 pixels that shows 70.
_SEVENTY = (
    "iVBORw0KGgoAAAANSUhEUgAAAGQAAABAAQAAAADEpO/ZAAAA7ElEQVR42s2SQW6DQAxFHwgJduEG5Ai9AfQmPUilIrX3KlUvkuy6nO5QNeF1MRAg"
    "UvbxZvTlb4/9vzNZ4zdnGw+JvnoAA5QqjYYc4A8u/GyYkbigHMZmAgoO8gHh5XnJFXDun/q1LqcCUC313bE1oHrQ0tjM/wEV+dzF+mZOa7KQ0LTf"
    "4XjDnIAxoZjSyyzdljnuu/T3VQo7lO3QaYc2teq3xkbLtN+Q0lV6ijuukGTx4LTR5coUYGSa62rglXhcu3TQQT6LNKUtNbbq6W3QgI6tGppsdroD"
    "qvM8f5ksLBbHXG7iOvHwCWQPe+X/9Rt62qaHgSQAAAAASUVORK5CYII="
)
_PLACES = [{"name": "tens", "box": [4, 4, 44, 56], "length": 1}, {"name": "ones", "box": [0.48, 0.05, 0.45, 0.9]}]


# Either header is enough.
TOKEN_HEADERS: dict[str, Any] = {
    "HTTPBearer": {"type": "http", "description": "a token that `make token` printed", "scheme": "bearer"},
    "APIKeyHeader": {"type": "apiKey", "description": "the same token", "in": "header", "name": "x-api-key"},
}
_CONTENT_ENCODING: dict[str, Any] = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {
        "type": "string",
        "enum": ["", "gzip", "deflate", "identity"],
        "default": "",
        "title": "Content-Encoding",
    },
}


def _described(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a route that takes such a body has in its description."""
    security: list[Any] = [{name: []} for name in TOKEN_HEADERS]
    return {"security": security, "parameters": [_CONTENT_ENCODING], "requestBody": body}


def named(*models: str) -> dict[str, Any]:
    """Return a schema that is any of those of these names."""
    references = [{"$ref": f"#/components/schemas/{model}"} for model in models]
    return references[0] if len(references) == 1 else {"anyOf": references}


_PREDICT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON_TYPE: {
            "schema": named("ImageRequest", "PixelsRequest", "InstancesRequest", "Envelope"),
            "examples": {
                "pixels": {"value": {"pixels": _ONE}},
                "several": {"value": {"instances": [{"pixels": _ONE}, {"pixels": _ONE}]}},
                "envelope": {"value": {"token": "…", "params": {"pixels": _ONE}}},
            },
        },
        **dict.fromkeys(MEDIA_TYPES, BINARY),
        MULTIPART_TYPE: {"schema": named("FilesForm")},
    },
}

_READ_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **_PREDICT_BODY["content"],
        JSON_TYPE: {
            "schema": named(
                "ImageRequest", "PixelsRequest", "InstancesRequest", "Envelope", "FormRequest", "FormEnvelope"
            ),
            "examples": {
                "number": {"value": {"image": _SEVENTY}},
                "several": {"value": {"instances": [{"image": _SEVENTY}, {"image": _SEVENTY}]}},
                "envelope": {"value": {"token": "…", "params": {"image": _SEVENTY}}},
                "form": {"value": {"image": _SEVENTY, "fields": _PLACES}},
            },
        },
    },
}

_INFER_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON_TYPE: {
            "schema": named("InferenceRequest"),
            "example": {
                "id": "a-one",
                "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, SIDE, SIDE], "data": [_ONE]}],
            },
        },
        BINARY_TYPE: BINARY,
    },
}

PREDICT, READ, INFER = (_described(body) for body in (_PREDICT_BODY, _READ_BODY, _INFER_BODY))
