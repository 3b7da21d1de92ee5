"""What Lambda calls: requests come in from API Gateway (HTTP and REST), a function URL, or a direct invoke."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from digits.errors import ConfigurationError, DigitsError, InputError
from functions.predict_api import gateway, problems
from functions.predict_api.app import Application, app_from_environment, create_app
from functions.predict_api.cors import REQUEST_ID_HEADER, CORSPolicy
from functions.predict_api.middleware import ALWAYS_HEADERS, HTTPS_HEADERS, is_https
from functions.predict_api.settings import Settings, allowed_origins

try:  # Lambda's runtime has it; elsewhere there are no snapshots
    from snapshot_restore_py import register_after_restore, register_before_snapshot
except ImportError:
    register_after_restore = register_before_snapshot = None

SELF_TEST = {"self_test": True}  # sent by a deployment to the version that it is about to put live
_DOCUMENT_MEMBERS = {"image", "pixels", "instances", "params"}

logger = logging.getLogger(__name__)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer one event.

    An HTTP event gets the response that the gateway expects. A bare request document, as a direct invoke sends it, gets
    the bare answer document. A warm-up ping leaves the container warm. A self-test tells whether the live model's
    golden digits are read. Anything else gets a problem document. No exception leaves: Lambda would hand its stack
    trace to the caller.
    """
    request_id = context.aws_request_id
    try:
        if gateway.is_http(event):
            return _adapter()(gateway.regular(event), context)
        if isinstance(event, dict) and event.keys() & _DOCUMENT_MEMBERS:
            answer: dict[str, Any] = json.loads(_adapter()(_http_event(event), context)["body"])
            return answer
        if _is_warm_up(event):
            return _warm_up()
        if event == SELF_TEST:
            return _self_test(context)
        detail = "the event is neither an HTTP request nor a request document with 'image', 'pixels' or 'instances'"
        problem = problems.document(HTTPStatus.BAD_REQUEST, detail, request_id)
    except DigitsError as error:
        logger.log(logging.INFO if isinstance(error, InputError) else logging.ERROR, "no answer: %s", error)
        problem = problems.describe(error, request_id)
    except Exception:
        logger.exception("the event could not be answered")
        problem = problems.document(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed", request_id)
    return _gateway_response(event, problem) if gateway.is_http(event) else problem


def _is_warm_up(event: Any) -> bool:
    """Tell whether an event asks for nothing: an empty one, a schedule's, or that of a plugin that keeps warm."""
    if not isinstance(event, dict):
        return False
    scheduled = event.get("detail-type") == "Scheduled Event"  # EventBridge's rules and its scheduler alike
    return not event or scheduled or event.get("source") == "serverless-plugin-warmup" or event.get("warmer") is True


def _warm_up() -> dict[str, Any]:
    app = _application()
    app.complete()
    container = app.state.container
    container.warm_up()
    loaded = container.model.value
    if loaded:
        container.warm.set()
    return {"warm": loaded is not None, "model": loaded and loaded.manifest.version}


def _self_test(context: Any) -> dict[str, Any]:
    """Have an application of its own, over the same store and with a token in it, read the golden digits."""
    from functions.predict_api.self_test import WithToken, self_test

    try:
        store = WithToken(_application().state.container.reader)
        app = create_app(Settings.from_environment(os.environ), store, threads=False)
        adapter = _adapted(app)
        return self_test(lambda event: adapter(event, context), store.token, app.state.container.model.get())
    except DigitsError as error:  # told as it is: whoever may ask this is no caller of the API
        return {"passed": False, "detail": str(error)}


def _http_event(document: dict[str, Any]) -> dict[str, Any]:
    """Return the event that a gateway would have made of posting the document."""
    params = document.get("params")
    is_form = "fields" in document or (isinstance(params, dict) and "fields" in params)
    path = problems.READ_PATH if is_form else problems.PREDICT_PATH
    return gateway.posted(path, {"content-type": "application/json"}, json.dumps(document), is_base64=False)


def _gateway_response(event: dict[str, Any], problem: dict[str, Any]) -> dict[str, Any]:
    """Return a problem that the application had no part in, with the headers that it would have put on it."""
    headers = {"content-type": problems.MEDIA_TYPE, REQUEST_ID_HEADER: problem["request_id"], **ALWAYS_HEADERS}
    if is_https(gateway.header(event, "x-forwarded-proto") or "https"):
        headers |= HTTPS_HEADERS
    if problem["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(problems.RETRY_AFTER_SECONDS)
    with suppress(ConfigurationError):  # without settings nobody knows who may read the answer
        headers |= CORSPolicy(allowed_origins(os.environ)).headers(gateway.header(event, "origin"))
    if problems.INFERENCE_PROTOCOL_PATH in str(event.get("rawPath") or event.get("path")):
        problem["error"] = problem["detail"]
    body = "" if gateway.method(event) == "HEAD" else json.dumps(problem)
    return {"statusCode": problem["status"], "headers": headers, "body": body, "isBase64Encoded": False}


def before_snapshot() -> None:
    """Load what there is, so that SnapStart's snapshot holds it; an empty bucket is no failure."""
    try:
        app = _application()
        app.complete()
        app.state.container.warm_up()
    except DigitsError as error:
        logger.warning("nothing is loaded into the snapshot: %s", error)


def after_restore() -> None:
    """Let the first request after a restore ask for news, over connections of its own."""
    try:
        _application().state.container.restore()
    except DigitsError as error:
        logger.warning("the restored container cannot be used yet: %s", error)


if register_before_snapshot is not None:
    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)


def _application() -> Application:
    app = _adapter().app
    assert isinstance(app, Application)
    return app


@cache
def _adapter() -> Mangum:
    """Made in the first invocation, once per container."""
    logging.getLogger("mangum").setLevel(logging.WARNING)  # it tells each path again, as callers made it up
    app = app_from_environment(os.environ, threads=False)  # Lambda sends one request at a time
    asyncio.set_event_loop(asyncio.new_event_loop())
    gc.freeze()  # the application stays as long as the container: no later collection looks through it
    return _adapted(app)


def _adapted(app: Application) -> Mangum:
    return Mangum(
        app,
        lifespan="off",
        text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, problems.MEDIA_TYPE],
    )
