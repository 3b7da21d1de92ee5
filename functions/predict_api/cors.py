"""Which pages of other origins may call the API (CORS), and the headers that tell browsers so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digits.errors import ConfigurationError
from functions.predict_api import problems

REQUEST_ID_HEADER = "x-request-id"
METHODS = ("GET", "HEAD", "POST")
# Added by what watches a page's requests, without the page's doing. The service takes no notice of them.
TRACING_HEADERS = (
    "b3",
    "baggage",
    "elastic-apm-traceparent",
    "newrelic",
    "request-context",
    "request-id",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-cloud-trace-context",
    "x-datadog-origin",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-trace-id",
    REQUEST_ID_HEADER,
    "x-requested-with",
)
REQUEST_HEADERS = (
    "accept",
    "accept-language",
    "authorization",
    "content-encoding",
    "content-language",
    "content-type",
    "inference-header-content-length",
    "x-api-key",
    *TRACING_HEADERS,
)
ANSWER_HEADERS = (
    REQUEST_ID_HEADER,
    "inference-header-content-length",
    "retry-after",
    "server-timing",
    "www-authenticate",
    "x-model-version",
)
MAX_AGE_SECONDS = 600

_HOST = r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>(?:\*\.)?{_HOST}|\[[0-9a-f:.]+\])(?P<port>:\d{{1,5}})?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535


def read_origins(text: str) -> tuple[str, ...]:
    """Return the origins of a list with commas, each as a browser writes it.

    `*` is every origin, and `https://*.example.com` every one below example.com, but not example.com itself.

    Raises:
        ConfigurationError: one of them is no origin.
    """
    return tuple(_read_origin(part.strip()) for part in text.split(",") if part.strip())


def _read_origin(text: str) -> str:
    if text == "*":
        return text
    found = _ORIGIN.fullmatch(text.lower().removesuffix("/"))
    if found is None:
        wanted = "*, https://example.com, http://localhost:3000 or https://*.example.com"
        raise ConfigurationError(f"DIGITS_ALLOWED_ORIGINS names {text!r}, which is no origin like {wanted}")
    scheme, host = found["scheme"], found["host"]
    port = int(found["port"][1:]) if found["port"] else _DEFAULT_PORTS.get(scheme)
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ConfigurationError(f"DIGITS_ALLOWED_ORIGINS names {text!r}, whose port is none")
    return f"{scheme}://{host}" + ("" if port == _DEFAULT_PORTS.get(scheme) else f":{port}")


@dataclass(frozen=True)
class CORSPolicy:
    """What browsers are told.

    Attributes:
        allowed_origins: as `read_origins` returns them.
    """

    allowed_origins: tuple[str, ...]

    def headers(self, origin: str | None) -> dict[str, str]:
        """Return the headers of an answer to a page of that origin.

        Where every origin is allowed they do not depend on it: a cache or a person with curl sees them too.
        """
        headers = {"access-control-expose-headers": ", ".join(ANSWER_HEADERS)}
        if "*" in self.allowed_origins:
            return headers | {"access-control-allow-origin": "*"}
        headers["vary"] = "Origin"
        if origin is not None and self.allows(origin):
            headers["access-control-allow-origin"] = origin
        return headers

    def allows(self, origin: str) -> bool:
        """Tell whether pages of that origin may call the API."""
        return any(_matches(allowed, origin) for allowed in self.allowed_origins)

    def refusals(self, request_headers: Headers) -> list[str]:
        """Return what a preflight asks for that is not allowed: its origin, method or headers."""
        asked = request_headers.get("access-control-request-headers", "").split(",")
        names = {name.strip().lower() for name in asked if name.strip()}
        fine = {
            "origin": self.allows(request_headers["origin"]),
            "method": request_headers["access-control-request-method"] in METHODS,
            "headers": names <= set(REQUEST_HEADERS),
        }
        return [what for what, allowed in fine.items() if not allowed]


def _matches(allowed: str, origin: str) -> bool:
    if "*." not in allowed:
        return allowed in ("*", origin)
    before, _, after = allowed.partition("*")
    inside = origin.removeprefix(before).removesuffix(after)
    return origin == before + inside + after and re.fullmatch(_HOST, inside) is not None


class CORSMiddleware:
    """Puts the policy on every answer, and answers preflights; a refused one is a problem like any other."""

    def __init__(self, app: ASGIApp, policy: CORSPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_headers = Headers(scope=scope)
        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in request_headers
        if is_preflight and "origin" in request_headers:
            answer = self._preflight_answer(request_headers, scope["state"]["request_id"])
            await answer(scope, receive, send)
            return
        policy_headers = self._policy.headers(request_headers.get("origin"))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "vary" in policy_headers:
                    headers.add_vary_header(policy_headers["vary"])
                headers.update({name: value for name, value in policy_headers.items() if name != "vary"})
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _preflight_answer(self, request_headers: Headers, request_id: str) -> Response:
        headers = self._policy.headers(request_headers["origin"])
        del headers["access-control-expose-headers"]
        refusals = self._policy.refusals(request_headers)
        if refusals:
            detail = f"CORS does not allow what the preflight asks for: {', '.join(refusals)}"
            return problems.response(problems.document(HTTPStatus.BAD_REQUEST, detail, request_id), headers)
        headers["access-control-allow-methods"] = ", ".join(METHODS)
        headers["access-control-allow-headers"] = ", ".join(REQUEST_HEADERS)
        headers["access-control-max-age"] = str(MAX_AGE_SECONDS)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
