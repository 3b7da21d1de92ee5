"""The Open Inference Protocol V2 (KServe, Triton) on the live model, for clients that already speak it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Header, Path, Request, Response
from numpy.typing import NDArray
from pydantic_core import to_json

from digits.model.contract import Tensor
from digits.model.proof import LoadedModel
from functions.predict_api import bodies, problems
from functions.predict_api.auth import header_token
from functions.predict_api.bodies import BINARY, BINARY_TYPE, JSON_TYPE
from functions.predict_api.container import Container, container_of
from functions.predict_api.errors import MediaTypeError, NotFoundError
from functions.predict_api.inference_schemas import (
    DIGITS,
    NUMBERS,
    InferenceResponse,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from functions.predict_api.payloads import Body, check_answer, read_body
from functions.predict_api.telemetry import RequestLog
from functions.predict_api.tensors import read_inference, write_tensor

SERVER_NAME = "lambda-digits"
LENGTH_HEADER = "Inference-Header-Content-Length"

# What clients say, like curl and fetch, where nobody has chosen a type.
_UNCHOSEN_TYPES = ("", "application/x-www-form-urlencoded", "text/plain")

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol V2"])


@dataclass(frozen=True)
class Message:
    """The body of an inference request, and the header without which it cannot be read."""

    body: Body
    document_length: str | None


async def _container(request: Request) -> Container:
    """A coroutine, as FastAPI runs plain functions in threads, which end with each Lambda invocation."""
    return container_of(request)


ContainerOf = Annotated[Container, Depends(_container)]


async def _caller(request: Request, container: ContainerOf) -> str:
    name = await container.workers.run(container.authenticate, header_token(request))
    request.state.log.token = name
    return name


Caller = Annotated[str, Depends(_caller)]


@dataclass(frozen=True)
class Served:
    """One of the two networks of the live version, under the protocol's names.

    Attributes:
        source, target: the contract of its input and output.
        infer: returns the output for an input.
    """

    name: str
    version: str
    source: Tensor
    target: Tensor
    infer: Callable[[NDArray[np.uint8]], NDArray[np.float32]]

    @classmethod
    def of(cls, name: str, loaded: LoadedModel) -> Served:
        """Return the network of that name; raises as `LazyReader.get` does."""
        manifest = loaded.manifest
        if name == DIGITS:
            return cls(name, manifest.version, manifest.input, manifest.output, loaded.classifier.predict)
        reader = loaded.numbers.get()
        return cls(name, manifest.version, reader.record.input, reader.record.output, reader.network.logits)


async def _named_model(
    container: ContainerOf, name: Annotated[str, Path(description=f"`{DIGITS}` or `{NUMBERS}`", examples=[DIGITS])]
) -> Served:
    if name not in (DIGITS, NUMBERS):
        raise NotFoundError(f"there is no model of that name; the models are {DIGITS!r} and {NUMBERS!r}")
    if name == NUMBERS:
        container.reads_numbers.set()
    return await container.workers.run(lambda: Served.of(name, container.model.get()))


NamedModel = Annotated[Served, Depends(_named_model)]


async def _named_version(
    model: NamedModel, version: Annotated[str, Path(description="the live version, as the metadata names it")]
) -> Served:
    if version != model.version:
        raise NotFoundError(f"only the live version is served, which is {model.version!r}")
    return model


NamedVersion = Annotated[Served, Depends(_named_version)]


async def _message(
    request: Request,
    _: Caller,  # before a byte of the body is read
    length: Annotated[
        str | None,
        Header(
            alias=LENGTH_HEADER,
            description="how many bytes of JSON the body starts with, where binary data follows them; "
            "0 where the body is the input's bytes alone",
            json_schema_extra={"pattern": "^[0-9]{1,9}$"},
        ),
    ] = None,
) -> Message:
    body = await read_body(request)
    if body.media_type not in (JSON_TYPE, BINARY_TYPE, *_UNCHOSEN_TYPES):
        raise MediaTypeError(f"the content type must be {JSON_TYPE} or {BINARY_TYPE}, or not given")
    return Message(body, length)


ReceivedMessage = Annotated[Message, Depends(_message)]


_METADATA: dict[str, Any] = {"summary": "What the model takes and answers", "responses": problems.documented(404, 503)}
_READY: dict[str, Any] = {"summary": "Can the model infer?", "responses": problems.documented(404, 503)}
_INFER: dict[str, Any] = {
    "summary": "Run a batch of pixels as they are",
    "responses": {
        200: {
            "model": InferenceResponse,
            "description": "The ten probabilities for each image, or the logits of each line, column by column.",
            "content": {BINARY_TYPE: BINARY},
            "headers": {LENGTH_HEADER: {"schema": {"type": "integer"}, "description": "with binary data only"}},
        },
        **problems.documented(400, 401, 404, 413, 415, 422, 503),
    },
    "openapi_extra": bodies.INFER,
}


@router.get("/health/live", summary="Is the process up?")
async def live() -> Live:
    """Answer without a token and without loading a model."""
    return Live()


@router.get("/health/ready", summary="Can the service infer?", responses=problems.documented(503))
async def ready(container: ContainerOf) -> Ready:
    """Load the model if need be; 503 as long as that does not succeed."""
    await container.workers.run(container.model.get)
    return Ready()


@router.get("/", include_in_schema=False)
@router.get("", summary="What the server is")
async def server_metadata(request: Request) -> ServerMetadata:
    """Name the service, and the protocol's extensions that it has."""
    return ServerMetadata(name=SERVER_NAME, version=request.app.version)


@router.get("/models/{name}", **_METADATA)
async def model_metadata(model: NamedModel) -> ModelMetadata:
    """Describe the tensors of the live model."""
    return _metadata(model)


@router.get("/models/{name}/versions/{version}", **_METADATA)
async def version_metadata(model: NamedVersion) -> ModelMetadata:
    """Describe the tensors of a version, which must be the live one."""
    return _metadata(model)


@router.get("/models/{name}/ready", **_READY)
async def model_ready(model: NamedModel) -> ModelReady:
    """Load the model if need be; 503 as long as that does not succeed."""
    return ModelReady(name=model.name)


@router.get("/models/{name}/versions/{version}/ready", **_READY)
async def version_ready(model: NamedVersion) -> ModelReady:
    """Tell whether a version is the live one."""
    return ModelReady(name=model.name)


@router.post("/models/{name}/infer", **_INFER)
async def infer(
    request: Request, container: ContainerOf, _: Caller, model: NamedModel, message: ReceivedMessage
) -> Response:
    """Infer with the live model; the input is taken as it is, without the canonical form.

    `digits` takes images in canonical form. A request holds up to 1,000 of them as JSON, and about 5,700 as binary
    data: as many as 4,500,000 bytes hold. `numbers` takes lines of digits, 32 pixels high and of one width, up to
    2,000 pixels; the answer to many of them must be asked for as binary data, too.
    """
    return await container.workers.run(_infer, model, message, request.state.log)


@router.post("/models/{name}/versions/{version}/infer", **_INFER)
async def version_infer(
    request: Request, container: ContainerOf, _: Caller, model: NamedVersion, message: ReceivedMessage
) -> Response:
    """Infer with a version, which must be the live one."""
    return await container.workers.run(_infer, model, message, request.state.log)


def _metadata(model: Served) -> ModelMetadata:
    return ModelMetadata(
        name=model.name,
        versions=[model.version],
        inputs=[TensorMetadata.of(model.source)],
        outputs=[TensorMetadata.of(model.target)],
    )


def _infer(model: Served, message: Message, log: RequestLog) -> Response:
    target = TensorMetadata.of(model.target)
    body, source = message.body, TensorMetadata.of(model.source)
    is_json = body.media_type == JSON_TYPE
    inference = read_inference(body.data, message.document_length, source, target, is_json=is_json)
    tensor, binary = write_tensor(model.infer(inference.images), target, inference.binary_output)
    answer = InferenceResponse(model_name=model.name, model_version=model.version, id=inference.id, outputs=[tensor])
    document = to_json(answer, exclude_none=True)
    check_answer(document)
    log.counts["inferred"] = len(inference.images)
    headers = {"cache-control": "no-store", "x-model-version": model.version}
    if not inference.binary_output:
        return Response(document, headers=headers, media_type=JSON_TYPE)
    return Response(document + binary, headers=headers | {LENGTH_HEADER: str(len(document))}, media_type=BINARY_TYPE)
