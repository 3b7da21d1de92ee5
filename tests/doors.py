"""One request as each door delivers it: the sample event of the door, with another request in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests import events

TEXT_TYPES = ("application/json", "text/")


@dataclass(frozen=True)
class Request:
    """An HTTP request; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def http_v2(request: Request) -> dict[str, Any]:
    return _format_2("http_v2_predict_json", request)


def http_v2_stage(request: Request) -> dict[str, Any]:
    return _format_2("http_v2_stage_predict_json", request, prefix="/prod")


def function_url(request: Request) -> dict[str, Any]:
    return _format_2("function_url_predict_json", request)


def rest_v1(request: Request) -> dict[str, Any]:
    return _format_1("rest_v1_predict_json", request, prefix="/prod")


def rest_v1_binary(request: Request) -> dict[str, Any]:
    """A REST API whose binary media types are `*/*` encodes every body."""
    event = _format_1("rest_v1_predict_png", request, prefix="/prod")
    event["body"], event["isBase64Encoded"] = base64.b64encode(request.body).decode(), True
    return event


def rest_v1_custom_domain(request: Request) -> dict[str, Any]:
    event = _format_1("rest_v1_custom_domain_predict_json", request, prefix="/digits")
    event["path"] = event["requestContext"]["path"]  # unlike a stage, a base path stands in both
    return event


DOORS: dict[str, Callable[[Request], dict[str, Any]]] = {
    door.__name__: door
    for door in (http_v2, http_v2_stage, function_url, rest_v1, rest_v1_binary, rest_v1_custom_domain)
}


def _format_2(name: str, request: Request, prefix: str = "") -> dict[str, Any]:
    event = events.load(name)
    event["rawPath"] = event["requestContext"]["http"]["path"] = prefix + request.path
    event["requestContext"]["http"]["method"] = request.method
    event["headers"] = _headers(event["headers"], request)
    return _with_body(event, request)


def _format_1(name: str, request: Request, prefix: str) -> dict[str, Any]:
    event = events.load(name)
    event["path"], event["requestContext"]["path"] = request.path, prefix + request.path
    event["pathParameters"] = {"proxy": request.path.lstrip("/")}
    event["httpMethod"] = event["requestContext"]["httpMethod"] = request.method
    headers = _headers(event["headers"], request)
    event["headers"] = headers
    event["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    return _with_body(event, request)


def _headers(sample: dict[str, str], request: Request) -> dict[str, str]:
    kept = {name: value for name, value in sample.items() if name.lower() not in ("authorization", "content-type")}
    return {**kept, **request.headers}


def _with_body(event: dict[str, Any], request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").startswith(TEXT_TYPES):
        event["body"], event["isBase64Encoded"] = request.body.decode(), False
    else:
        event["body"], event["isBase64Encoded"] = base64.b64encode(request.body).decode(), True
    return event


def direct(request: Request) -> dict[str, Any]:
    """The bare request document."""
    document: dict[str, Any] = json.loads(request.body)
    return document
