"""What happens around every request: its id, CORS, and the last line of defence."""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.predict_api import problems

REQUEST_ID_HEADER = "x-request-id"

logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Gives each request an id, and turns what nobody caught into a problem document.

    On Lambda the id is the invocation's own, so that an answer leads to its log lines.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = getattr(scope.get("aws.context"), "aws_request_id", None) or str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("request %s failed", request_id)
            if started:
                raise
            failure = problems.response(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed", request_id)
            await failure(scope, receive, send_with_id)


class AlwaysCORSMiddleware(CORSMiddleware):
    """Starlette's CORS, on every answer whether or not the request names an origin.

    A cache or a person with curl then sees the policy too, and a refused preflight is a problem
    document like any other error.
    """

    async def simple_response(self, scope: Scope, receive: Receive, send: Send, request_headers: Headers) -> None:
        """Answer a request that is no preflight."""
        if "origin" not in request_headers:
            request_headers = Headers(raw=[*request_headers.raw, (b"origin", b"null")])
        await super().simple_response(scope, receive, send, request_headers)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request."""
        answer = super().preflight_response(request_headers)
        headers = {key: value for key, value in answer.headers.items() if not key.startswith("content-")}
        request_id = str(uuid.uuid4())
        headers[REQUEST_ID_HEADER] = request_id
        if answer.status_code == HTTPStatus.OK:
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
        return problems.response(HTTPStatus.BAD_REQUEST, bytes(answer.body).decode(), request_id, headers=headers)
