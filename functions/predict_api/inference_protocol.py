"""The Open Inference Protocol V2 (KServe, Triton) on the live model, for clients that already speak it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic_core import to_json

from digits.model.proof import LoadedModel
from functions.predict_api import bodies, problems
from functions.predict_api.auth import TOKEN_HEADERS, header_token
from functions.predict_api.bodies import BINARY, BINARY_TYPE, JSON_TYPE, ContentEncoding
from functions.predict_api.container import Container, container_of
from functions.predict_api.errors import MediaTypeError, NotFoundError
from functions.predict_api.inference_schemas import (
    MODEL_NAME,
    InferenceResponse,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from functions.predict_api.payloads import Body, read_body
from functions.predict_api.tensors import read_inference, write_tensor

SERVER_NAME = "lambda-digits"
LENGTH_HEADER = "Inference-Header-Content-Length"

# What clients say, like curl and fetch, where nobody has chosen a type.
_UNCHOSEN_TYPES = ("", "application/x-www-form-urlencoded", "text/plain")

logger = logging.getLogger(__name__)
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
    return await container.workers.run(container.gate.authenticate, header_token(request))


Caller = Annotated[str, Depends(_caller)]


async def _named_model(
    container: ContainerOf, name: Annotated[str, Path(description=f"`{MODEL_NAME}`", examples=[MODEL_NAME])]
) -> LoadedModel:
    if name != MODEL_NAME:
        raise NotFoundError(f"there is no model of that name; the model is {MODEL_NAME!r}")
    return await container.workers.run(container.model.get)


NamedModel = Annotated[LoadedModel, Depends(_named_model)]


async def _named_version(
    model: NamedModel, version: Annotated[str, Path(description="the live version, as the metadata names it")]
) -> LoadedModel:
    if version != model.manifest.version:
        raise NotFoundError(f"only the live version is served, which is {model.manifest.version!r}")
    return model


NamedVersion = Annotated[LoadedModel, Depends(_named_version)]


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
    _encoding: ContentEncoding = "",
) -> Message:
    body = await read_body(request)
    if body.media_type not in (JSON_TYPE, BINARY_TYPE, *_UNCHOSEN_TYPES):
        raise MediaTypeError(f"the content type must be {JSON_TYPE} or {BINARY_TYPE}, or not given")
    return Message(body, length)


ReceivedMessage = Annotated[Message, Depends(_message)]


_METADATA: dict[str, Any] = {"summary": "What the model takes and answers", "responses": problems.documented(404, 503)}
_READY: dict[str, Any] = {"summary": "Can the model infer?", "responses": problems.documented(404, 503)}
_INFER: dict[str, Any] = {
    "summary": "Classify a batch of pixels as they are",
    "responses": {
        200: {
            "model": InferenceResponse,
            "description": "The probabilities of the ten digits, for each image.",
            "content": {BINARY_TYPE: BINARY},
            "headers": {LENGTH_HEADER: {"schema": {"type": "integer"}, "description": "with binary data only"}},
        },
        **problems.documented(400, 401, 404, 413, 415, 422, 503),
    },
    "dependencies": TOKEN_HEADERS,
    "openapi_extra": {"requestBody": bodies.INFER},
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
async def model_ready(model: NamedModel) -> ModelReady:  # noqa: ARG001
    """Load the model if need be; 503 as long as that does not succeed."""
    return ModelReady()


@router.get("/models/{name}/versions/{version}/ready", **_READY)
async def version_ready(model: NamedVersion) -> ModelReady:  # noqa: ARG001
    """Tell whether a version is the live one."""
    return ModelReady()


@router.post("/models/{name}/infer", **_INFER)
async def infer(container: ContainerOf, caller: Caller, model: NamedModel, message: ReceivedMessage) -> Response:
    """Infer with the live model; the input is taken as it is, without the canonical form.

    A request holds up to 1,000 images as JSON, and about 5,700 as binary data: as many as 4,500,000 bytes hold.
    """
    return await container.workers.run(_infer, model, message, caller)


@router.post("/models/{name}/versions/{version}/infer", **_INFER)
async def version_infer(
    container: ContainerOf, caller: Caller, model: NamedVersion, message: ReceivedMessage
) -> Response:
    """Infer with a version, which must be the live one."""
    return await container.workers.run(_infer, model, message, caller)


def _metadata(model: LoadedModel) -> ModelMetadata:
    manifest = model.manifest
    return ModelMetadata(
        versions=[manifest.version],
        inputs=[TensorMetadata.of(manifest.input)],
        outputs=[TensorMetadata.of(manifest.output)],
    )


def _infer(model: LoadedModel, message: Message, caller: str) -> Response:
    manifest = model.manifest
    target = TensorMetadata.of(manifest.output)
    body, source = message.body, TensorMetadata.of(manifest.input)
    is_json = body.media_type == JSON_TYPE
    inference = read_inference(body.data, message.document_length, source, target, is_json=is_json)
    probabilities = model.classifier.predict(inference.images)
    tensor, binary = write_tensor(probabilities, target, inference.binary_output)
    answer = InferenceResponse(model_version=manifest.version, id=inference.id, outputs=[tensor])
    document = to_json(answer, exclude_none=True)
    logger.info("inferred %d images for token %r with %s", len(inference.images), caller, manifest.version)
    headers = {"cache-control": "no-store", "x-model-version": manifest.version}
    if not inference.binary_output:
        return Response(document, headers=headers, media_type=JSON_TYPE)
    return Response(document + binary, headers=headers | {LENGTH_HEADER: str(len(document))}, media_type=BINARY_TYPE)
