"""The paths of the API."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Request

from digits.canonical import canonicalize
from digits.registry import MODEL_FILE
from functions.predict_api.payloads import Body, envelope_token, read_body, read_picture
from functions.predict_api.problems import MEDIA_TYPE
from functions.predict_api.schemas import PREDICT_BODY, Health, ModelReference, ModelSummary, Prediction, Problem
from functions.predict_api.service import Service

logger = logging.getLogger(__name__)
router = APIRouter()


def _problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"model": Problem, "content": content} for status in statuses}


@router.get("/health")
async def health() -> Health:
    """Tell that the process is up; needs no token and loads no model."""
    return Health()


@router.get("/v1/model", responses=_problem_responses(503))
async def model(request: Request) -> ModelSummary:
    """Describe the model that answers."""
    service = _service(request)
    manifest = (await service.run(service.model)).manifest
    return ModelSummary(
        version=manifest.version,
        created_at=manifest.created_at,
        accuracy=manifest.test.accuracy,
        accuracy_interval=manifest.test.accuracy_interval,
        recipe=manifest.recipe.name,
        parameter_count=manifest.recipe.parameter_count,
        dataset=manifest.dataset.name,
        training_count=manifest.dataset.training_count,
        canonical_form=manifest.canonical_form,
        acceptance_threshold=manifest.acceptance_threshold,
        size_bytes=manifest.files[MODEL_FILE].size_bytes,
        classes=manifest.classes,
    )


@router.post(
    "/v1/predict",
    responses=_problem_responses(400, 401, 413, 415, 422, 503),
    openapi_extra={"requestBody": PREDICT_BODY, "security": [{"bearer": []}]},
)
async def predict(request: Request) -> Prediction:
    """Read a handwritten digit."""
    service = _service(request)
    token = _header_token(request)
    if token is not None:
        caller = await service.run(service.authenticate, token)
        body = await read_body(request)
    else:
        body = await read_body(request)
        caller = await service.run(service.authenticate, envelope_token(body))
    prediction = await service.run(_predict, service, body, request.state.request_id)
    logger.info("predicted for token %r with %s", caller, prediction.model.version)
    return prediction


def _predict(service: Service, body: Body, request_id: str) -> Prediction:
    picture = read_picture(body)
    loaded = service.model()
    probabilities = loaded.classifier.predict(canonicalize(picture.grey).pixels[None])[0]
    pred = int(probabilities.argmax())
    return Prediction(
        pred=pred,
        conf=float(probabilities[pred]),
        probabilities=probabilities.tolist(),
        input_sha256=picture.sha256,
        model=ModelReference(version=loaded.manifest.version, accuracy=loaded.manifest.test.accuracy),
        request_id=request_id,
    )


def _header_token(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return request.headers.get("x-api-key")


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
