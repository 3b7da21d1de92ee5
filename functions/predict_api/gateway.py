"""What gateways send: told from other events, made regular, and the path that they mount the API under."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

from functions.predict_api.errors import MalformedRequestError

# What the API's own paths begin with; what a gateway's resource has before it is the gateway's.
FIRST_SEGMENTS = frozenset({"docs", "health", "openapi.json", "page", "v1", "v2"})


def is_http(event: Any) -> bool:
    """Tell whether an event is an HTTP request, in either format."""
    if not isinstance(event, dict) or not isinstance(event.get("requestContext"), dict):
        return False
    return "httpMethod" in event or "http" in event["requestContext"]


def posted(path: str, headers: dict[str, str], body: str, *, is_base64: bool) -> dict[str, Any]:
    """Return the event that an HTTP API would have made of a POST."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": ""}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": is_base64,
    }


def header(event: dict[str, Any], name: str) -> str | None:
    """Return a header of an event as it came, whatever else may be wrong with it."""
    for member in ("headers", "multiValueHeaders"):
        headers = event.get(member)
        for key, value in headers.items() if isinstance(headers, dict) else ():
            first = value[0] if isinstance(value, list) and value else value
            if str(key).lower() == name and isinstance(first, str):
                return first
    return None


def method(event: dict[str, Any]) -> str:
    """Return the method of an HTTP event in capitals, in either format; empty if it names none."""
    context = event["requestContext"]
    holder, name = (context["http"], "method") if "http" in context else (event, "httpMethod")
    return str(holder.get(name) or "").upper() if isinstance(holder, dict) else ""


def regular(event: dict[str, Any]) -> dict[str, Any]:
    """Return an HTTP event with all that Mangum relies on, its body as bytes.

    Test consoles, mapping templates and proxies on the way leave members out, or give them other types.

    Raises:
        MalformedRequestError: no method, or text that cannot be sent.
    """
    context = dict(event["requestContext"])
    result = {**event, "requestContext": context, "body": _body(event), "isBase64Encoded": False}
    if not method(event):
        raise MalformedRequestError("the event names no method")
    headers = _headers(event)
    result["headers"] = headers
    result["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    for name in ("path", "stage", "domainName"):
        context[name] = _text(context.get(name))
    result["routeKey"] = _text(event.get("routeKey"))
    parameters = event.get("pathParameters")
    if isinstance(parameters, dict):
        result["pathParameters"] = {
            _text(name): _text(value) if isinstance(value, str) else value for name, value in parameters.items()
        }
    if "http" in context:
        _complete_format_2(result, context)
    else:
        _complete_format_1(result, context)
    return result


def _complete_format_2(event: dict[str, Any], context: dict[str, Any]) -> None:
    http = context["http"] if isinstance(context["http"], dict) else {}
    path = _text(http.get("path")) or _text(event.get("rawPath")) or "/"
    context["http"] = {**http, "method": _text(method(event)), "path": path, "sourceIp": _text(http.get("sourceIp"))}
    cookies = event.get("cookies")
    event["cookies"] = [_text(cookie) for cookie in cookies] if isinstance(cookies, list) else []
    event["rawQueryString"] = _text(event.get("rawQueryString"))
    event["version"] = "2.0"
    event["resource"] = ""


def _complete_format_1(event: dict[str, Any], context: dict[str, Any]) -> None:
    event["httpMethod"] = _text(method(event))
    event["path"] = _text(event.get("path")) or "/"
    context["identity"] = context["identity"] if isinstance(context.get("identity"), dict) else {}
    for name in ("queryStringParameters", "multiValueQueryStringParameters"):
        given = event.get(name)
        event[name] = {_text(key): _texts(value) for key, value in given.items()} if isinstance(given, dict) else {}
    event["resource"] = _text(event.get("resource"))
    if "version" in event:
        event["version"] = "1.0"


def _headers(event: dict[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for member in ("headers", "multiValueHeaders"):
        given = event.get(member)
        for name, value in given.items() if isinstance(given, dict) else ():
            if value is not None:
                headers[_text(name).lower()] = ", ".join(_texts(value))
    # Mangum takes host and port apart itself, and fails on an address of IPv6 and on several ports.
    if headers.get("host", "").count(":") and not re.fullmatch(r"[^:]+:\d{1,5}", headers["host"]):
        del headers["host"]
    port = re.match(r"\s*(\d{1,5})\s*(,|$)", headers.pop("x-forwarded-port", ""))
    if port:
        headers["x-forwarded-port"] = port[1]
    return headers


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):  # as an integration without proxy hands JSON on
        return _text(json.dumps(body, ensure_ascii=False)).encode()
    try:
        encoded = str(event.get("isBase64Encoded")).lower() == "true"  # mapping templates write it as text
        return base64.b64decode("".join(body.split()), validate=True) if encoded else body.encode()
    except ValueError as error:
        raise MalformedRequestError("the event's body is neither text nor base64") from error


def _texts(value: Any) -> list[str]:
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def _text(value: Any) -> str:
    """Return a member as text that can be sent; half a surrogate pair, which JSON lets through, cannot."""
    text = "" if value is None else str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MalformedRequestError("the event holds text that is not Unicode") from error
    return text


def mounted(event: dict[str, Any], path: str, base_path: str) -> tuple[str, str]:
    """Return the path that the API is mounted under, without a slash at its end, and the whole path of the request.

    A gateway that routes by resources tells which of them matched: what stands before it is the stage, or
    the base path of a custom domain. A `$default` route tells nothing. There the stage stands in front of
    the path, at the gateway's own address only, and the base path of a custom domain is a setting.

    Args:
        event: a regular event; empty where the request came to a server.
        path: as the adapter tells it, which leaves the stage of a REST API out.
    """
    context: dict[str, Any] = event.get("requestContext", {})
    full = unquote(context.get("path", "")) or path  # format 1.0 alone has it
    inner = _inner_path(event)
    bare = full.rstrip("/")
    root = ""
    if inner is not None and bare.endswith(inner):
        root = bare.removesuffix(inner)
    elif full.endswith(path):
        root = full.removesuffix(path)
    stage = f"/{context.get('stage', '')}" if "execute-api" in context.get("domainName", "") else ""
    for candidate in (base_path, stage):
        rest = full.removeprefix(root)
        if len(candidate) > 1 and not root.endswith(candidate) and f"{rest}/".startswith(f"{candidate}/"):
            root += candidate
    return root, full


def _inner_path(event: dict[str, Any]) -> str | None:
    """Return the part of the matched resource that is the API's own path, parameters filled in, or None."""
    resource = event.get("resource") or event.get("routeKey", "").partition(" ")[2]
    parameters = event.get("pathParameters")
    if not resource.startswith("/"):
        return None
    segments = resource.strip("/").split("/")
    own = (at for at, segment in enumerate(segments) if segment in FIRST_SEGMENTS or segment.startswith("{"))
    filled = []
    for segment in segments[next(own, 0) :]:
        name = re.fullmatch(r"\{(.+?)\+?\}", segment)
        value = parameters.get(name[1]) if name and isinstance(parameters, dict) else None
        if name and not isinstance(value, str):
            return None
        filled.append(unquote(value or "").strip("/") if name else segment)
    return "/".join(["", *filled]).rstrip("/")
