"""The documents of the Open Inference Protocol V2, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field

from digits.model.contract import Tensor

DIGITS, NUMBERS = "digits", "numbers"  # the names of the models
PLATFORM = "litert_tflite"
EXTENSIONS = ["binary_tensor_data"]
DATATYPES = {"uint8": "UINT8", "float32": "FP32"}

Size = Annotated[int, Field(ge=0, lt=2**31)]


class _Document(BaseModel):
    """Types are not converted; members that are not known are read over, as the protocol has extensions.

    An optional member may also be null, which is how many clients write those that they do not use.
    """

    model_config = ConfigDict(strict=True, extra="ignore")


class TensorMetadata(_Document):
    """The contract of an input or output."""

    name: str
    datatype: str
    shape: Annotated[list[int], Field(description="-1 is of any size: the batch, or how long a line is")]

    @classmethod
    def of(cls, tensor: Tensor) -> TensorMetadata:
        """Return what the manifest says of a tensor, in the protocol's words."""
        return cls(name=tensor.name, datatype=DATATYPES[tensor.dtype], shape=tensor.shape)


class InputParameters(_Document):
    """What concerns one input."""

    binary_data_size: Annotated[Size | None, Field(description="bytes after the document, instead of `data`")] = None


class InputTensor(_Document):
    """An input of the model."""

    name: str
    datatype: str
    shape: Annotated[list[Size], FailFast(), Field(max_length=8)]
    parameters: InputParameters | None = None
    data: Annotated[Any, Field(description="the values in row-major order, flat or nested as `shape` says")] = None


class RequestedOutputParameters(_Document):
    """What concerns one output of the answer."""

    model_config = ConfigDict(extra="allow")

    binary_data: Annotated[bool | None, Field(description="overrides `binary_data_output`")] = None


class RequestedOutput(_Document):
    """An output that the answer should have."""

    name: str
    parameters: RequestedOutputParameters | None = None


class RequestParameters(_Document):
    """What concerns the whole request."""

    binary_data_output: Annotated[bool | None, Field(description="answer as bytes after the document")] = None


class InferenceRequest(_Document):
    """A request for inference."""

    id: Annotated[str | None, Field(description="comes back in the answer")] = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[InputTensor], FailFast(), Field(min_length=1, max_length=1)]
    outputs: Annotated[list[RequestedOutput], FailFast(), Field(max_length=1)] | None = None


class OutputParameters(_Document):
    """What concerns one output."""

    binary_data_size: Annotated[int, Field(description="bytes after the document, instead of `data`")]


class OutputTensor(_Document):
    """An output of the model."""

    name: str
    datatype: str
    shape: list[int]
    parameters: OutputParameters | None = None
    data: Annotated[list[float] | None, Field(description="the values in row-major order, flat")] = None


class Live(BaseModel):
    """The process is up."""

    live: bool = True


class Ready(BaseModel):
    """The service can infer."""

    ready: bool = True


class ModelReady(Ready):
    """The model can infer."""

    name: str


class ServerMetadata(BaseModel):
    """The service, and what it can beyond the protocol's core."""

    name: str
    version: str
    extensions: list[str] = EXTENSIONS


class ModelMetadata(BaseModel):
    """The contract of a live model."""

    name: str
    versions: list[str]
    platform: str = PLATFORM
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InferenceResponse(BaseModel):
    """The answer to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
