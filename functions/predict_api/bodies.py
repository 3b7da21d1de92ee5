"""The routes' request bodies for the OpenAPI description: content types, examples, and schemas by their names.

The bodies are read by hand, as the token in an envelope is checked before the rest is judged. The schemas themselves
are added when the description is asked for, which no prediction waits for (`openapi`).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header

from digits.pictures.canonical import SIDE
from digits.pictures.images import MEDIA_TYPES
from functions.predict_api.request_schemas import MULTIPART_TYPE

# For OpenAPI: the body itself knows its encoding, as its headers told it.
ContentEncoding = Annotated[
    str, Header(alias="Content-Encoding", json_schema_extra={"enum": ["", "gzip", "deflate", "identity"]})
]
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


def named(*models: str) -> dict[str, Any]:
    """Return a schema that is any of those of these names."""
    references = [{"$ref": f"#/components/schemas/{model}"} for model in models]
    return references[0] if len(references) == 1 else {"anyOf": references}


PREDICT: dict[str, Any] = {
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

READ: dict[str, Any] = {
    "required": True,
    "content": {
        **PREDICT["content"],
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

INFER: dict[str, Any] = {
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
