"""Errors to answers: RFC 9457 problem documents, from one table."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from digits.errors import (
    ConfigurationError,
    DigitsError,
    InputError,
    NoModelError,
    NoReaderError,
    NoTokensError,
    UnavailableError,
    UnreadableDigitError,
)
from functions.predict_api.errors import (
    AuthenticationError,
    BodyTooLargeError,
    FieldError,
    MalformedRequestError,
    MediaTypeError,
    NotFoundError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
INFERENCE_PROTOCOL_PATH = "/v2/"
PREDICT_PATH, READ_PATH = "/v1/predict", "/v1/read"

# The first row that the error is an instance of decides.
STATUS_OF: tuple[tuple[type[DigitsError], HTTPStatus], ...] = (
    (AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (MalformedRequestError, HTTPStatus.BAD_REQUEST),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (BodyTooLargeError, HTTPStatus.CONTENT_TOO_LARGE),
    (MediaTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (InputError, HTTPStatus.UNPROCESSABLE_CONTENT),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ConfigurationError, HTTPStatus.SERVICE_UNAVAILABLE),
)

_MEANING = {
    HTTPStatus.BAD_REQUEST: "The body is not a request.",
    HTTPStatus.UNAUTHORIZED: "No token, or not a valid one.",
    HTTPStatus.NOT_FOUND: "There is nothing of that name.",
    HTTPStatus.CONTENT_TOO_LARGE: "The body is over the limit.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of a type that is not read.",
    HTTPStatus.UNPROCESSABLE_CONTENT: "A field is wrong, or the picture does not show what is to be read.",
    HTTPStatus.SERVICE_UNAVAILABLE: "No model or no token has been published, the model does not read numbers, "
    "or the store does not answer.",
}

logger = logging.getLogger(__name__)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route tells OpenAPI about the problems that it answers with.

    The schema is named, not given: FastAPI would make a model of it for each status of each route.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _MEANING[HTTPStatus(status)], "content": content} for status in statuses}


def document(status: HTTPStatus, detail: str, request_id: str, **members: object) -> dict[str, object]:
    """Return a problem document, `members` being extensions of the standard's own."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": request_id,
        **members,
    }


def describe(error: DigitsError, request_id: str) -> dict[str, object]:
    """Return the problem document of an error of the project's own tree."""
    status = _status_of(error)
    detail = _detail_of(error)
    problem = document(status, detail, request_id)
    if isinstance(error, FieldError):
        problem["errors"] = [{"pointer": error.pointer, "detail": detail}]
    if isinstance(error, NoReaderError):
        problem["type"] = "urn:lambda-digits:no-reader"
    if isinstance(error, UnreadableDigitError):
        problem["type"] = f"urn:lambda-digits:{error.verdict.replace('_', '-')}"
        problem["verdict"] = error.verdict
        if error.boxes:
            problem["boxes"] = [list(box) for box in error.boxes]
    return problem


def response(problem: dict[str, object], headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem document as an answer."""
    status = problem["status"]
    assert isinstance(status, int)
    return JSONResponse(problem, status, headers, MEDIA_TYPE)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the project's own tree."""
    assert isinstance(error, DigitsError)
    status = _status_of(error)
    request.state.log.error = type(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    headers = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="lambda-digits"'
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        # What has not been published yet is a matter for MissingModelAlarm, and no reason to take code back.
        level = logging.WARNING if isinstance(error, NoModelError | NoTokensError) else logging.ERROR
        logger.log(level, "unavailable: %s", error)
    return response(_for_path(request, describe(error, request.state.request_id)), headers)


async def answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework itself refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}",
    }.get(status, str(error.detail))
    problem = document(status, detail, request.state.request_id)
    return response(_for_path(request, problem), dict(error.headers or {}))


async def answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a query parameter that the framework could not read."""
    assert isinstance(error, RequestValidationError)
    finding = error.errors()[0]
    name = finding["loc"][-1]
    detail = f"the query parameter {name!r} is wrong: {finding['msg']}"
    return response(document(HTTPStatus.UNPROCESSABLE_CONTENT, detail, request.state.request_id))


def _status_of(error: DigitsError) -> HTTPStatus:
    """Return the status of an error; one that is not in the table is our own fault."""
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def _detail_of(error: DigitsError) -> str:
    """Return what callers are told; what went wrong inside of the service is for the log alone."""
    if isinstance(error, UnreadableDigitError) and error.verdict == "several_digits":
        return f"{error}; POST {READ_PATH} reads numbers"
    if isinstance(error, InputError | NoModelError | NoReaderError | NoTokensError):
        return str(error)
    if isinstance(error, ConfigurationError):
        return "the service is not configured"
    return "the model or the tokens cannot be read at the moment"


def _for_path(request: Request, problem: dict[str, object]) -> dict[str, object]:
    """Add the member in which clients of the Open Inference Protocol look for the message."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if f"{path}/".startswith(INFERENCE_PROTOCOL_PATH):
        problem["error"] = problem["detail"]
    return problem
