"""The ASGI application, put together from its settings."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from digits.errors import DigitsError
from digits.store import ObjectReader, S3Reader
from functions.predict_api import problems
from functions.predict_api.middleware import REQUEST_ID_HEADER, AlwaysCORSMiddleware, RequestMiddleware
from functions.predict_api.routes import router
from functions.predict_api.service import Service
from functions.predict_api.settings import Settings

REQUEST_HEADERS = ("authorization", "content-type", "x-api-key")


def create_app(settings: Settings, reader: ObjectReader) -> FastAPI:
    """Return the application over a store."""
    app = FastAPI(
        title="Lambda Digits",
        version="1",
        description="Reads handwritten digits.",
        exception_handlers={
            DigitsError: problems.answer_error,
            HTTPException: problems.answer_http_exception,
        },
        # CORS is outermost, so that errors of every kind carry its headers too.
        middleware=[
            Middleware(
                AlwaysCORSMiddleware,
                allow_origins=settings.allowed_origins,
                allow_methods=("GET", "POST"),
                allow_headers=REQUEST_HEADERS,
                expose_headers=(REQUEST_ID_HEADER,),
            ),
            Middleware(RequestMiddleware),
        ],
        redoc_url=None,
    )
    app.state.service = Service(reader, settings.model_ttl_seconds)
    app.include_router(router)
    return app


def app_from_environment(environment: Mapping[str, str]) -> FastAPI:
    """Return the application as its environment describes it.

    Raises:
        ConfigurationError: a setting makes no sense.
    """
    settings = Settings.from_environment(environment)
    reader = S3Reader(settings.bucket, settings.region, settings.endpoint, environment)
    return create_app(settings, reader)
