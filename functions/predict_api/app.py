"""The ASGI application, put together from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from digits.errors import DigitsError
from digits.registry.store import ObjectReader, S3Reader
from functions.predict_api import page, problems
from functions.predict_api.container import Container
from functions.predict_api.cors import CORSMiddleware, CORSPolicy
from functions.predict_api.middleware import CatchAllMiddleware, GuardMiddleware, RequestMiddleware
from functions.predict_api.routes import router
from functions.predict_api.settings import Settings
from functions.predict_api.telemetry import LogMiddleware

LATE_PATHS = (problems.INFERENCE_PROTOCOL_PATH.rstrip("/"), "/docs")
_DESCRIPTION = """\
Reads handwritten digits from pictures: scanned, photographed or drawn, dark on light or light on dark.

Every error is a problem document (RFC 9457, `application/problem+json`) with the `request_id` of the request;
field errors carry a JSON pointer. The gateway's own throttling, size and time-out errors are
`{"message": …}` and cannot be changed.
"""


class Application(FastAPI):
    """Makes the routes that few ask for when first needed: those of `/v2` take a tenth of a cold start."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if any(start in scope.get("path", "") for start in LATE_PATHS):
            self.complete()
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the description of all routes."""
        if self.openapi_schema is None:
            from functions.predict_api.openapi import add_request_schemas

            self.complete()
            add_request_schemas(super().openapi())
        return super().openapi()

    def complete(self) -> None:
        """Make the routes that are still missing."""
        if not self.state.complete:
            from functions.predict_api import inference_protocol, reference

            self.include_router(inference_protocol.router)
            self.router.routes.extend(reference.ROUTES)
            self.state.complete = True


def create_app(settings: Settings, reader: ObjectReader, *, threads: bool = True) -> Application:
    """Return the application over a store.

    Args:
        threads: whether requests come at the same time.
    """
    app = Application(
        title="Lambda Digits",
        version="1",
        description=_DESCRIPTION,
        exception_handlers={
            DigitsError: problems.answer_error,
            HTTPException: problems.answer_http_exception,
            RequestValidationError: problems.answer_validation_error,
        },
        # Outermost first: what goes wrong further in still gets an id and CORS headers.
        middleware=[
            Middleware(RequestMiddleware, base_path=settings.base_path),
            Middleware(LogMiddleware, namespace=settings.metrics_namespace),
            Middleware(CORSMiddleware, policy=CORSPolicy(settings.allowed_origins)),
            Middleware(GuardMiddleware),
            Middleware(CatchAllMiddleware),
        ],
        docs_url=None,  # which would load the scripts of another host
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # short names for generated clients
    )
    app.state.container = Container.over(reader, settings, threads=threads)
    app.state.complete = False
    app.include_router(router)
    app.router.routes.extend(page.ROUTES)
    return app


def app_from_environment(environment: Mapping[str, str], *, threads: bool = True) -> Application:
    """Return the application as its environment describes it.

    Raises:
        ConfigurationError: a setting makes no sense.
    """
    settings = Settings.from_environment(environment)
    return create_app(
        settings, S3Reader(settings.bucket, settings.region, settings.endpoint, environment), threads=threads
    )
