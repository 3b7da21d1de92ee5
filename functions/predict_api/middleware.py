"""What happens around every request: where the API is mounted, its id, its headers, and the last line of defence."""

from __future__ import annotations

import asyncio
import logging
import uuid
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.predict_api import gateway, problems
from functions.predict_api.cors import REQUEST_ID_HEADER

# On every answer, where it does not say otherwise itself.
ALWAYS_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
HTTPS_HEADERS = {"strict-transport-security": "max-age=31536000"}

# As many as a server takes on at a time; what comes on top would only have all of them wait longer.
MOST_AT_A_TIME = 128
MOST_HEADER_BYTES = 32 * 2**10  # three times what the gateway takes
BODY_SECONDS = 30.0  # within which a body must have come, as it holds one of those places
HEALTH_PATH = "/health"

logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Tells each request its id and the path that the API is mounted under, and answers HEAD as GET; outermost.

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
        is_head = scope["method"] == "HEAD"
        # A copy, as a server looks at its own scope for whether it may send a body.
        scope = {**scope, "method": "GET" if is_head else scope["method"]}
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        scope["root_path"], scope["path"] = gateway.mounted(scope.get("aws.event", {}), scope["path"], self._base_path)
        if scope["path"] == scope["root_path"]:
            scope["path"] += "/"
            scope["state"]["slash_missing"] = True
        protocol = Headers(scope=scope).get("x-forwarded-proto") or scope.get("scheme")
        always = {REQUEST_ID_HEADER: request_id} | ALWAYS_HEADERS | (HTTPS_HEADERS if is_https(protocol) else {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in always.items():
                    headers.setdefault(name, value)
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def is_https(protocol: str | None) -> bool:
    """Tell whether the caller's own connection was encrypted; each proxy on the way adds what it saw at the end."""
    return (protocol or "").partition(",")[0].strip().lower() == "https"


class GuardMiddleware:
    """Refuses what would cost others: two lengths for one request, endless headers and bodies, too many at a time.

    None of it comes to Lambda, which sends whole events, one at a time. Health is told at any load.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(scope):
            status, detail, headers = refusal
            problem = problems.document(status, detail, scope["state"]["request_id"])
            await problems.response(problem, headers)(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def receive_in_time() -> Message:
            try:
                async with asyncio.timeout_at(deadline):
                    return await receive()
            except TimeoutError as error:
                detail = f"the body did not come within {BODY_SECONDS:.0f} seconds"
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"connection": "close"}) from error

        self._under_way += 1
        try:
            await self._app(scope, receive_in_time, send)
        finally:
            self._under_way -= 1

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str, dict[str, str]] | None:
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            # What follows may be meant for somebody else (RFC 9112, 6.1), so the connection ends.
            return HTTPStatus.BAD_REQUEST, "the request tells its length in two ways", {"connection": "close"}
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            detail = f"the headers have more than {MOST_HEADER_BYTES:,} bytes"
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail, {"connection": "close"}
        asks_for_health = scope["path"].removeprefix(scope["root_path"]) == HEALTH_PATH
        if self._under_way >= MOST_AT_A_TIME and not asks_for_health:
            detail = f"{MOST_AT_A_TIME} requests are being answered, and no more are taken on"
            return HTTPStatus.SERVICE_UNAVAILABLE, detail, {"retry-after": "1"}
        return None


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
