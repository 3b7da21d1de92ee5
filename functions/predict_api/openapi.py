"""What the OpenAPI description says of request bodies, which FastAPI does not read itself.

The token in an envelope is checked before the rest of the body is judged, so the routes take bodies as they come.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, WithJsonSchema
from pydantic.json_schema import models_json_schema

from functions.predict_api.bodies import TOKEN_HEADERS
from functions.predict_api.inference_schemas import InferenceRequest
from functions.predict_api.request_schemas import (
    Envelope,
    FormEnvelope,
    FormRequest,
    ImageRequest,
    InstancesRequest,
    PixelsRequest,
)

_COMPONENTS = "#/components/schemas/{model}"


class FilesForm(BaseModel):
    """A form of one file or several."""

    file: list[Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]]


def add_request_schemas(document: dict[str, Any]) -> None:
    """Add the schemas that the routes' request bodies name, and the headers that carry a token."""
    models = (
        ImageRequest,
        PixelsRequest,
        InstancesRequest,
        Envelope,
        FormRequest,
        FormEnvelope,
        FilesForm,
        InferenceRequest,
    )
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_COMPONENTS)
    components = document["components"]["schemas"] | schemas["$defs"]
    document["components"] |= {"schemas": dict(sorted(components.items())), "securitySchemes": TOKEN_HEADERS}
