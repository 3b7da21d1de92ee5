"""What Lambda calls."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from http import HTTPStatus
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from functions.predict_api import problems
from functions.predict_api.app import app_from_environment


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway event, format 1.0 or 2.0, with the response that the gateway expects.

    An event that is no HTTP request gets a problem document, not an exception: Lambda would hand
    an exception's stack trace to the caller.
    """
    if not _is_http(event):
        detail = "the event is not an HTTP request from API Gateway"
        return problems.document(HTTPStatus.BAD_REQUEST, detail, context.aws_request_id)
    return _adapter()(event, context)


def _is_http(event: Any) -> bool:
    if not isinstance(event, dict) or not isinstance(event.get("requestContext"), dict):
        return False
    return "httpMethod" in event or "http" in event["requestContext"]


@cache
def _adapter() -> Mangum:
    """Made in the first invocation, once per container."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    return Mangum(
        app_from_environment(os.environ),
        lifespan="off",
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, problems.MEDIA_TYPE],
    )
