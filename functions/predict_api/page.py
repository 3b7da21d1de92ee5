"""The page to draw on: a few static files, served from the function itself."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from digits.model.identity import sha256

_FOLDER = Path(__file__).parent / "page"
_INDEX = "index.html"
_MEDIA_TYPES = {
    _INDEX: "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "samples.png": "image/png",
    "page.js": "text/javascript",
    "answer.js": "text/javascript",
    "bars.js": "text/javascript",
    "command.js": "text/javascript",
    "copying.js": "text/javascript",
    "drawing.js": "text/javascript",
    "number.js": "text/javascript",
    "pictures.js": "text/javascript",
    "question.js": "text/javascript",
    "service.js": "text/javascript",
    "sheet.js": "text/javascript",
}
_HEADERS = {
    "cache-control": "no-cache",  # kept by the browser, and asked about by its tag each time
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


async def _serve(request: Request) -> Response:
    if getattr(request.state, "slash_missing", False):
        # Relative addresses count from the last slash. The address stays on this host, whatever a gateway tells.
        address = URL(path="/" + request.scope["path"].strip("/") + "/", query=request.scope["query_string"].decode())
        return RedirectResponse(address, HTTPStatus.PERMANENT_REDIRECT)
    name = request.scope["path"].rpartition("/")[2] or _INDEX
    return file_answer(request, _FOLDER / name, _MEDIA_TYPES[name])


def file_answer(request: Request, path: Path, media_type: str) -> Response:
    """Return a file, or that it is unchanged; its policy lets a page load nothing but what the service sends."""
    content, tag = _read(path)
    headers = {**_HEADERS, "etag": tag}
    known = request.headers.get("if-none-match", "")
    if tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@cache
def _read(path: Path) -> tuple[bytes, str]:
    """Return a file and its entity tag."""
    content = path.read_bytes()
    return content, f'"{sha256(content)[:16]}"'


# Addresses in the page are relative, so that it works under any stage and base path.
ROUTES = [
    Route("/", _serve),
    *(Route(f"/page/{name}", _serve) for name in _MEDIA_TYPES if name != _INDEX),
]
