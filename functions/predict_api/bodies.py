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
