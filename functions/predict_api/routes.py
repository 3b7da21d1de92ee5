"""The paths of the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from digits.errors import InputError
from digits.model.identity import MODEL_FILE
from digits.numbers import NO_HINTS, Hints
from digits.pictures.rows import MOST_ROWS
from digits.registry.live import LiveModel
from functions.predict_api import bodies, problems
from functions.predict_api.auth import header_token
from functions.predict_api.container import Container, container_of
from functions.predict_api.errors import QueryError
from functions.predict_api.fields import FormPayload, read_form_payload
from functions.predict_api.numbers import describe_reader, find_each, hints_of, read_each, read_form
from functions.predict_api.payloads import (
    Body,
    Payload,
    check_answer,
    envelope_token,
    possible_tokens,
    read_body,
    read_envelope,
    read_payload,
)
from functions.predict_api.prediction import load, load_with_reader, predict, prepare_each, problem_of
from functions.predict_api.schemas import (
    Form,
    Health,
    ModelSummary,
    Number,
    Numbers,
    Prediction,
    Predictions,
    Problem,
)
from functions.predict_api.telemetry import ServerTiming, Told

router = APIRouter()


@dataclass(frozen=True)
class Admitted:
    """A request whose token is valid: the body, and the time that has been spent on it."""

    body: Body
    timing: ServerTiming


async def _admit(request: Request) -> Admitted:
    """Check the token before anything else is judged; a header wins over the envelope."""
    container, timing = container_of(request), ServerTiming()
    request.state.log.timing = timing
    token, body = header_token(request), None
    if token is None:
        body = await read_envelope(request)
    with timing.phase("token"):
        request.state.log.token = await container.workers.run(_caller, container, token, body)
    return Admitted(body or await read_body(request), timing)


def _caller(container: Container, token: str | None, envelope: Body | None) -> str:
    """Return the token's name; an envelope is parsed only for those who have a valid token somewhere in it."""
    if envelope is None:
        return container.authenticate(token)
    container.authenticate(*possible_tokens(envelope))
    return container.authenticate(envelope_token(envelope))


@router.get("/health", tags=["service"], summary="Is the process up?")
async def health(request: Request) -> Health:
    """Answer without a token and without loading a model."""
    container = container_of(request)
    loaded = container.model.value
    version = loaded.manifest.version if loaded else None
    return Health(model=version, refresh_failures=container.refresh_failures)


@router.get("/v1/model", tags=["service"], summary="Which model answers?", responses=problems.documented(503))
async def model(request: Request) -> ModelSummary:
    """Describe the live model: how it was trained and how good it is."""
    container = container_of(request)
    manifest = (await container.workers.run(container.model.get)).manifest
    return ModelSummary(
        version=manifest.version,
        created_at=manifest.created_at,
        accuracy=manifest.test.accuracy,
        accuracy_interval=list(manifest.test.accuracy_interval),
        recipe=manifest.recipe.name,
        parameter_count=manifest.recipe.parameter_count,
        dataset=manifest.dataset.name,
        training_count=manifest.dataset.training_count,
        canonical_form=manifest.canonical_form,
        acceptance_threshold=manifest.acceptance_threshold,
        rejection_threshold=manifest.rejection_threshold,
        size_bytes=manifest.files[MODEL_FILE].size_bytes,
        classes=manifest.classes,
        reader=describe_reader(manifest),
    )


@router.post(
    problems.PREDICT_PATH,
    name="predict",
    tags=["prediction"],
    summary="Read handwritten digits",
    response_model=Prediction | Predictions,
    responses=problems.documented(400, 401, 413, 415, 422, 503),
    openapi_extra=bodies.PREDICT,
)
async def predict_digits(
    request: Request,
    admitted: Annotated[Admitted, Depends(_admit)],
    explain: Annotated[
        bool, Query(description="also tell what was done to the picture, and show what the network saw")
    ] = False,
) -> Response:
    """Read one picture of a digit, or several.

    One picture is answered by its prediction. `instances`, or several files in a form, are answered by
    `predictions` in the same order, where a picture that cannot be read has a problem in its place.

    What shows no single digit is a problem with a `verdict`: `blank`, `no_contrast`, `several_digits` or `not_a_digit`.
    """
    return await _answered(request, admitted, read_payload, partial(_answer, explain=explain))


@router.post(
    problems.READ_PATH,
    name="read",
    tags=["prediction"],
    summary="Read handwritten numbers",
    response_model=Number | Numbers | Form,
    responses=problems.documented(400, 401, 413, 415, 422, 503),
    openapi_extra=bodies.READ,
)
async def read_numbers(
    request: Request,
    admitted: Annotated[Admitted, Depends(_admit)],
    length: Annotated[
        str | None, Query(description="how many digits each row has: `5`, or `4-6`", examples=["5"])
    ] = None,
    rows: Annotated[
        int | None, Query(description=f"how many rows there are, 1 to {MOST_ROWS}: checked, not used to read")
    ] = None,
) -> Response:
    """Read the numbers on one picture, or on several: rows of digits, one digit being a number too.

    Pictures are sent as to `/v1/predict`. `instances`, or several files in a form, are answered by `readings` in the
    same order. An `image` with `fields` is a form, answered by `fields` under their names; a blank one has no text.
    What holds no digit is a problem with a `verdict`: `blank`, `no_contrast` or `not_a_digit`.
    """
    hints = hints_of(length, rows)
    container_of(request).reads_numbers.set()
    return await _answered(request, admitted, _read_either, partial(_read, hints=hints))


def _read_either(body: Body) -> Payload | FormPayload:
    return read_form_payload(body) or read_payload(body)


async def _answered[P](
    request: Request,
    admitted: Admitted,
    read: Callable[[Body], P],
    answer: Callable[[LiveModel, P, str, ServerTiming], tuple[Told, str | None]],
) -> Response:
    container, timing = container_of(request), admitted.timing
    if not container.warm.is_set():
        container.warm.set()
        timing.note("cold")
    with timing.phase("decode"):
        payload = read(admitted.body)
    told, version = await container.workers.run(answer, container.model, payload, request.state.request_id, timing)
    with timing.phase("encoding"):
        document = told.model_dump_json(exclude_none=True).encode()
    check_answer(document)
    headers = {"server-timing": timing.header()} | ({"x-model-version": version} if version else {})
    request.state.log.tell(told)
    if isinstance(told, Problem):
        return Response(document, told.status, headers, problems.MEDIA_TYPE)
    return Response(document, headers=headers, media_type="application/json")


def _answer(
    model: LiveModel, payload: Payload, request_id: str, timing: ServerTiming, *, explain: bool
) -> tuple[Prediction | Problem | Predictions, str | None]:
    """Return the answer, and the version of the model that gave it; None where no model was needed to refuse."""
    outcomes = prepare_each(payload.readers, timing)
    if not payload.several and isinstance(outcomes[0], InputError):
        return problem_of(outcomes[0], request_id, explain), None
    loaded = load(model, timing)
    answers = predict(outcomes, loaded, request_id, explain, timing)
    version = loaded.manifest.version
    return Predictions(predictions=answers) if payload.several else answers[0], version


def _read(
    model: LiveModel,
    payload: Payload | FormPayload,
    request_id: str,
    timing: ServerTiming,
    *,
    hints: Hints,
) -> tuple[Number | Problem | Numbers | Form, str | None]:
    """Return the numbers, and the version of the model that read them; None where no model was needed to refuse."""
    if isinstance(payload, FormPayload):
        if hints != NO_HINTS:
            raise QueryError("'length' and 'rows' are not for forms: each field has a 'length' of its own")
        form = read_form(payload, partial(load_with_reader, model, timing), request_id, timing)
        return form, form.model.version
    found = find_each(payload.readers, timing)
    if not payload.several and isinstance(found[0], InputError):
        return problem_of(found[0], request_id, explain=False), None
    loaded = load_with_reader(model, timing)
    answers = read_each(found, loaded, hints, request_id, timing)
    version = loaded.manifest.version
    return Numbers(readings=answers) if payload.several else answers[0], version
