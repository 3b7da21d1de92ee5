"""One request as each door delivers it: the sample event of the door, with another request in it."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests import events

TEXT_TYPES = ("application/json", "text/")


@dataclass(frozen=True)
class Request:
    """An HTTP request; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: str = ""


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
    event["rawQueryString"] = request.query
    event |= {"queryStringParameters": dict(parse_qsl(request.query))} if request.query else {}
    return _with_body(event, request)


def _format_1(name: str, request: Request, prefix: str) -> dict[str, Any]:
    event = events.load(name)
    event["path"], event["requestContext"]["path"] = request.path, prefix + request.path
    event["pathParameters"] = {"proxy": request.path.lstrip("/")}
    event["httpMethod"] = event["requestContext"]["httpMethod"] = request.method
    headers = _headers(event["headers"], request)
    event["headers"] = headers
    event["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    parameters = dict(parse_qsl(request.query))
    event["queryStringParameters"] = parameters or None
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in parameters.items()} or None
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


# Every way in which a gateway may be set up. The resource is what it routes by.
GATEWAYS = ("rest", "http", "http_format_1")
MOUNTS = {"bare": "", "stage": "/prod", "domain": "/digits"}
RESOURCES = ("explicit", "{proxy+}", "{path+}", "below /api", "$default")


@dataclass(frozen=True)
class Door:
    """A gateway, where it mounts the API, and the resource that it routes by."""

    gateway: str
    mount: str
    resource: str

    @property
    def prefix(self) -> str:
        """The path in front of the API's own."""
        return MOUNTS[self.mount] + ("/api" if self.resource == "below /api" else "")

    def __str__(self) -> str:
        return f"{self.gateway} {self.mount} {self.resource}"

    def __call__(self, request: Request) -> dict[str, Any]:
        """Return the event in which this door delivers a request."""
        resource, parameters = self._resource(request.path)
        if self.gateway == "http":
            event = _format_2("http_v2_predict_json", request, self.prefix)
            event["routeKey"] = resource if resource == "$default" else f"ANY {resource}"
            event["requestContext"]["routeKey"] = event["routeKey"]
            event.pop("pathParameters", None)
            event |= {"pathParameters": parameters} if parameters else {}
        else:
            event = _format_1("rest_v1_predict_json", request, self.prefix)
            event["resource"] = event["requestContext"]["resourcePath"] = resource
            event["pathParameters"] = parameters
            # A REST API alone leaves its stage out of the path.
            hidden = MOUNTS["stage"] if (self.gateway, self.mount) == ("rest", "stage") else ""
            event["path"] = event["requestContext"]["path"].removeprefix(hidden)
            event |= {"version": "1.0"} if self.gateway == "http_format_1" else {}
        context = event["requestContext"]
        context["stage"] = "prod" if self.gateway == "rest" or self.mount == "stage" else "$default"
        if self.mount == "domain" or (self.gateway, self.mount) == ("rest", "bare"):
            context["domainName"] = event["headers"]["Host"] = "api.example.com"
        return event

    def _resource(self, path: str) -> tuple[str, dict[str, str] | None]:
        """Return the resource that a path matches, and its parameters: they never end with a slash."""
        inner = path.strip("/")
        if self.resource == "$default":
            return "$default", None
        if self.resource == "explicit" or not inner:
            return f"/{inner}", None
        name = "path" if self.resource == "{path+}" else "proxy"
        return ("/api" if self.resource == "below /api" else "") + f"/{{{name}+}}", {name: inner}


def every_door() -> list[Door]:
    """Return all doors but those that tell nothing of where the API is: a REST API always routes by resources."""
    product = (Door(*parts) for parts in itertools.product(GATEWAYS, MOUNTS, RESOURCES))
    return [door for door in product if door.resource != "$default" or door.gateway != "rest"]
