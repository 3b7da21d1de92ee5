"""Where a request carries its token."""

from __future__ import annotations

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

# For OpenAPI: either header is enough. The check itself is `Service.authenticate`.
TOKEN_HEADERS = [
    Security(HTTPBearer(auto_error=False, description="a token that `make token` printed")),
    Security(APIKeyHeader(name="x-api-key", auto_error=False, description="the same token")),
]


def header_token(request: Request) -> str | None:
    """Return the token in `Authorization: Bearer …` or `x-api-key`, or None where neither carries one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or request.headers.get("x-api-key") or None
