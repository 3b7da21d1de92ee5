"""What happens around every request: where the API is mounted, its id, CORS, and the last line of defence."""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.predict_api import problems
from functions.predict_api.cors import REQUEST_ID_HEADER

logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Tells each request its id and the path that the API is mounted under; outermost.

    On Lambda the id is the invocation's own, so that an answer leads to its log lines.
    """

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self._app = app
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = getattr(scope.get("aws.context"), "aws_request_id", None) or str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        _mount(scope, self._base_path)
        if scope["path"] == scope.get("root_path"):
            scope["path"] += "/"
            scope["state"]["slash_missing"] = True

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class CatchAllMiddleware:
    """Turns what nobody caught into a problem document; innermost, so that the others still do their part."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except Exception:
            if started or scope["type"] != "http":
                raise
            request_id = scope["state"]["request_id"]
            logger.exception("request %s failed", request_id)
            problem = problems.document(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed", request_id)
            await problems.response(problem)(scope, receive, send)


def _mount(scope: Scope, base_path: str) -> None:
    """Set the path that the API is mounted under, so that routes match and `/docs` finds its document.

    A REST API keeps its stage out of `path` but not out of `requestContext.path`, which on a custom
    domain holds the base path instead; what lies behind either is the path parameter. An HTTP API with
    a named stage has it in front of the path, at its own address only. The base path of an HTTP API's
    custom domain is told nowhere, and is therefore a setting.
    """
    event = scope.get("aws.event", {})
    context: dict[str, Any] = event.get("requestContext", {})
    full_path = context.get("path", "")
    inner = "/" + ((event.get("pathParameters") or {}).get("proxy") or "") if full_path else ""
    if full_path and full_path != inner and (full_path.endswith(inner) or event.get("resource") == "/"):
        scope["root_path"], scope["path"] = full_path.removesuffix(inner), full_path
        return
    stage = f"/{context.get('stage', '')}" if "execute-api" in context.get("domainName", "") else ""
    for mounted in (base_path, stage):
        if len(mounted) > 1 and f"{scope['path']}/".startswith(f"{mounted}/"):
            scope["root_path"] = mounted
            return
