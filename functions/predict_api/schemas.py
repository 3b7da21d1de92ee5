"""What the API answers, as pydantic models; the OpenAPI page is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The process is up."""

    status: str = "ok"


class ModelReference(BaseModel):
    """Which model answered."""

    version: str
    accuracy: Annotated[float, Field(description="share of MNIST's 10,000 test digits that it reads right")]


class Prediction(BaseModel):
    """The digit that was read."""

    pred: Annotated[int, Field(ge=0, le=9)]
    conf: Annotated[float, Field(ge=0, le=1, description="the probability of `pred`")]
    probabilities: Annotated[list[float], Field(min_length=10, max_length=10)]
    input_sha256: Annotated[str, Field(description="digest of the image file, or of the 784 pixels as bytes")]
    model: ModelReference
    request_id: str


class ModelSummary(BaseModel):
    """The live model's manifest, without digests and golden inputs."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    created_at: datetime
    accuracy: float
    accuracy_interval: Annotated[tuple[float, float], Field(description="95 % Wilson score interval")]
    recipe: str
    parameter_count: int
    dataset: str
    training_count: int
    canonical_form: int
    acceptance_threshold: float | None
    size_bytes: int
    classes: list[str]


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: Annotated[str, Field(description="JSON pointer (RFC 6901) into the request document")]
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] | None = None


_IMAGE = {"type": "string", "description": "a PNG or JPEG file in base64"}
_PIXELS = {
    "type": "array",
    "description": "28 rows of 28 numbers, 0..255; where the largest is at most 1, the unit range",
    "items": {"type": "array", "items": {"type": "number"}, "minItems": 28, "maxItems": 28},
    "minItems": 28,
    "maxItems": 28,
}
_PARAMS: dict[str, Any] = {
    "oneOf": [
        {"type": "object", "properties": {"image": _IMAGE}, "required": ["image"]},
        {"type": "object", "properties": {"pixels": _PIXELS}, "required": ["pixels"]},
    ]
}
_ENVELOPE = {
    "type": "object",
    "properties": {"token": {"type": "string"}, "params": _PARAMS},
    "required": ["params"],
}
_FILE = {"schema": {"type": "string", "format": "binary"}}

# The body is read by hand, because the token in an envelope is checked before the rest is judged.
PREDICT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"oneOf": [*_PARAMS["oneOf"], _ENVELOPE]}},
        "image/png": _FILE,
        "image/jpeg": _FILE,
    },
}
