"""The API in detail at `/docs`: Swagger UI, all of it served from the function itself."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.predict_api.page import file_answer

_OWN_FOLDER = Path(__file__).parent / "reference"
_INDEX = "index.html"
_MEDIA_TYPES = {
    _INDEX: "text/html",
    "start.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}


async def _serve(request: Request) -> Response:
    name = request.scope["path"].rpartition("/")[2]
    name = name if name in _MEDIA_TYPES else _INDEX
    folder = _OWN_FOLDER if name in (_INDEX, "start.js") else _swagger_ui_folder()
    return file_answer(request, folder / name, _MEDIA_TYPES[name])


@cache
def _swagger_ui_folder() -> Path:
    """Return where a locked package keeps the files of Swagger UI; none of its modules is imported."""
    found = find_spec("fastapi_swagger")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "resources"


# Addresses in the page are relative, so that it works under any stage and base path.
ROUTES = [
    Route("/docs", _serve),
    *(Route(f"/docs/{name}", _serve) for name in _MEDIA_TYPES if name != _INDEX),
]
