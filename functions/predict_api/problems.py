"""Errors to answers: RFC 9457 problem documents, from one table."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from digits import errors

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

# The first row that the error is an instance of decides.
STATUS_OF: tuple[tuple[type[errors.DigitsError], HTTPStatus], ...] = (
    (errors.AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (errors.MalformedRequestError, HTTPStatus.BAD_REQUEST),
    (errors.BodyTooLargeError, HTTPStatus.CONTENT_TOO_LARGE),
    (errors.MediaTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (errors.RequestError, HTTPStatus.UNPROCESSABLE_CONTENT),
    (errors.UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.ConfigurationError, HTTPStatus.SERVICE_UNAVAILABLE),
)

logger = logging.getLogger(__name__)


def document(status: HTTPStatus, detail: str, request_id: str, pointer: str | None = None) -> dict[str, object]:
    """Return the members of a problem document."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": request_id,
    }
    if pointer is not None:
        problem["errors"] = [{"pointer": pointer, "detail": detail}]
    return problem


def response(
    status: HTTPStatus,
    detail: str,
    request_id: str,
    pointer: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return a problem document as an answer."""
    return JSONResponse(document(status, detail, request_id, pointer), status, headers, MEDIA_TYPE)


def status_of(error: errors.DigitsError) -> HTTPStatus:
    """Return the status of an error; one that is not in the table is our own fault."""
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the project's own tree."""
    assert isinstance(error, errors.DigitsError)
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    headers = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="lambda-digits"'
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        logger.error("unavailable: %s", error)
    pointer = error.pointer if isinstance(error, errors.FieldError) else None
    return response(status, _sentence(error), request.state.request_id, pointer, headers)


async def answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework itself refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}",
    }.get(status, str(error.detail))
    return response(status, detail, request.state.request_id, headers=dict(error.headers or {}))


def _sentence(error: errors.DigitsError) -> str:
    """What went wrong inside is logged; outside it is only said that it is not the caller's fault."""
    if isinstance(error, errors.StoreError | errors.CorruptModelError):
        return "the model or the tokens cannot be read at the moment"
    return str(error)
