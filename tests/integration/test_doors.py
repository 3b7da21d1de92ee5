"""The contract: the same request gets the same answer through every door."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin

import pytest

from tests import doors
from tests.conftest import Handler, end_container
from tests.contract import CONTRACT, IMAGE, JSON, PREDICT, TOKEN
from tests.doors import Request


def comparable(response: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal: status, body, and the headers that matter, without what names the request."""
    changing = ("server-timing", "content-length")
    headers = {name: value for name, value in response["headers"].items() if name not in changing}
    body = response["body"]
    if not body:
        headers.pop("content-type", None)  # Mangum makes one up, for format 2.0 only
    elif headers.get("content-type", "").endswith("json"):
        body = json.loads(body)
        for answer in (body, *body.get("predictions", []), *body.get("readings", [])):
            answer.pop("servers", None)
            if answer.get("status") in (404, 405):
                answer.pop("detail")  # it names the path as the caller wrote it
    return {"status": response["statusCode"], "headers": headers, "body": body, "base64": response["isBase64Encoded"]}


@pytest.mark.parametrize("door", [name for name in doors.DOORS if name != "http_v2"])
@pytest.mark.parametrize("name", CONTRACT)
def test_every_door_gives_the_same_answer(handler: Handler, door: str, name: str) -> None:
    request, status = CONTRACT[name]
    expected, answer = handler(doors.http_v2(request)), handler(doors.DOORS[door](request))
    assert expected["statusCode"] == status, expected
    assert "access-control-allow-origin" in expected["headers"]
    assert comparable(answer) == comparable(expected)


@pytest.mark.parametrize("name", ["envelope", "instances", "wrong token", "field", "fields, envelope", "field twice"])
def test_a_direct_invoke_gets_the_bare_document(handler: Handler, name: str) -> None:
    request, _ = CONTRACT[name]
    assert handler(doors.direct(request)) == json.loads(handler(doors.http_v2(request))["body"])


@pytest.mark.parametrize("name", ["png", "form", "infer", "number, png", "number, form with files", "lines"])
def test_binary_comes_in_and_goes_out_as_base64_where_it_must(handler: Handler, name: str) -> None:
    request, _ = CONTRACT[name]
    event = doors.http_v2(request)
    assert event["isBase64Encoded"] is True
    assert handler(event)["isBase64Encoded"] is (name in ("infer", "lines"))


# What a way in can spoil: the path with and without a slash at its end, its method, and where the answer leads.
PATHS: dict[str, tuple[Request, int]] = {
    **{name: CONTRACT[name] for name in ("health", "model", "openapi", "json", "envelope", "preflight")},
    **{name: CONTRACT[name] for name in ("number, length", "number, impossible length")},
    **{name: CONTRACT[name] for name in ("unknown path", "wrong method", "no token")},
    "reference": (Request("GET", "/docs"), 200),
    "script": (Request("GET", "/docs/start.js"), 200),
    "picture": (Request("GET", "/page/samples.png"), 200),
    "ready": (Request("GET", "/v2/health/ready"), 200),
    "metadata": (Request("GET", "/v2/models/digits"), 200),
    "unknown model": (Request("GET", "/v2/models/letters"), 404),
    "model, slash": (Request("GET", "/v1/model/"), 404),
    "health, slash": (Request("GET", "/health/"), 404),
    "reference, slash": (Request("GET", "/docs/"), 404),
    "predict, slash": (Request("POST", "/v1/predict/", JSON | TOKEN, json.dumps(IMAGE).encode()), 404),
    "head": (Request("HEAD", "/v1/model"), 200),
}


@pytest.mark.parametrize("door", doors.every_door(), ids=str)
def test_however_a_gateway_is_set_up_the_answer_is_the_same(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, door: doors.Door
) -> None:
    if door.resource == "$default" and door.mount == "domain":
        monkeypatch.setenv("DIGITS_BASE_PATH", door.prefix)  # which nothing in the event tells
    assert_same_answers(handler, door)


def assert_same_answers(handler: Handler, door: doors.Door) -> None:
    for name, (request, status) in PATHS.items():
        expected, answer = handler(doors.http_v2(request)), handler(door(request))
        assert expected["statusCode"] == status, name
        assert comparable(answer) == comparable(expected), name


@pytest.mark.parametrize("door", [door for door in doors.every_door() if door.mount == "domain"], ids=str)
def test_a_base_path_that_the_event_tells_may_be_set_too(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, door: doors.Door
) -> None:
    monkeypatch.setenv("DIGITS_BASE_PATH", "/digits")
    assert_same_answers(handler, door)


@pytest.mark.parametrize("door", doors.every_door(), ids=str)
def test_the_reference_finds_its_files_and_the_api_behind_every_door(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch, door: doors.Door
) -> None:
    if door.resource == "$default" and door.mount == "domain":
        monkeypatch.setenv("DIGITS_BASE_PATH", door.prefix)
    address = f"{door.prefix}/docs"
    page = cold_handler(door(Request("GET", "/docs")))["body"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js", "openapi.json"} <= set(named)
    for relative in named:
        path = urljoin(address, relative)
        assert path.startswith(f"{door.prefix}/")
        assert cold_handler(door(Request("GET", path.removeprefix(door.prefix))))["statusCode"] == 200, path
    document = json.loads(cold_handler(door(Request("GET", "/openapi.json")))["body"])
    assert [server["url"] for server in document.get("servers", [{"url": ""}])] == [door.prefix]


@pytest.mark.parametrize("gateway", ["rest", "http", "http_format_1"])
@pytest.mark.parametrize(
    ("resource", "parameters"),
    [("/v2/models/{name}", {"name": "digits"}), ("/v2/{proxy+}", {"proxy": "models/digits"}), ("/{a}/{b+}", None)],
)
def test_a_resource_with_parameters_of_its_own_is_part_of_the_path(
    handler: Handler, gateway: str, resource: str, parameters: dict[str, str] | None
) -> None:
    event = doors.Door(gateway, "domain" if parameters else "stage", "explicit")(Request("GET", "/v2/models/digits"))
    event["resource"], event["routeKey"], event["pathParameters"] = resource, f"GET {resource}", parameters
    assert handler(event)["statusCode"] == 200


def test_a_custom_domains_path_on_an_http_api_is_a_setting(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_BASE_PATH", "/digits")
    assert handler(doors.http_v2(Request("GET", "/digits/health")))["statusCode"] == 200
    document = json.loads(handler(doors.http_v2(Request("GET", "/digits/openapi.json")))["body"])
    assert document["servers"] == [{"url": "/digits"}]
    assert handler(doors.http_v2(Request("GET", "/digitsx/health")))["statusCode"] == 404


def test_a_stage_named_like_a_route_is_not_taken_for_it(handler: Handler) -> None:
    event = doors.http_v2(Request("GET", "/v1/model"))
    event["requestContext"].update(stage="v1", domainName="api.example.com")
    assert handler(event)["statusCode"] == 200


# What consoles, templates and proxies make of an event. name: (changes, status)
ODD: dict[str, tuple[dict[str, Any], int]] = {
    "body is an object": ({"body": IMAGE}, 200),
    "body is a number": ({"body": 7}, 400),
    "body is null": ({"body": None}, 400),
    "body is half a character": ({"body": "\ud800"}, 400),
    "body is an object with half a character": ({"body": {"image": "\ud800"}}, 400),
    "body is no base64": ({"body": "7", "isBase64Encoded": True}, 400),
    "no headers": ({"headers": None, "multiValueHeaders": None}, 401),
    "headers are a list": ({"headers": [], "multiValueHeaders": []}, 401),
    "a header is null": ({"+headers": {"x-nothing": None}}, 200),
    "a header is a number": ({"+headers": {"x-number": 7}}, 200),
    "a header is half a character": ({"+headers": {"x-half": "\ud800"}}, 400),
    "two ports": ({"+headers": {"x-forwarded-port": "443, 443"}}, 200),
    "no port": ({"+headers": {"x-forwarded-port": "https"}}, 200),
    "two protocols": ({"+headers": {"x-forwarded-proto": "https, http"}}, 200),
    "host of IPv6": ({"+headers": {"host": "[::1]:3000"}}, 200),
    "host of IPv6 without port": ({"+headers": {"host": "::1"}}, 200),
    "host without port": ({"+headers": {"host": "localhost:"}}, 200),
    "host with two ports": ({"+headers": {"host": "localhost:1:2"}}, 200),
    "host is null": ({"+headers": {"host": None}}, 200),
    "no parameters": ({"pathParameters": None, "resource": None, "routeKey": None}, 200),
    "routes and parameters are half a character": ({"routeKey": "\ud800", "pathParameters": {"proxy": "\ud800"}}, 400),
    "parameters are a list": ({"pathParameters": []}, 200),
    "query is a text": ({"queryStringParameters": "explain=1", "rawQueryString": None}, 200),
    "query holds null": ({"queryStringParameters": {"x": None}, "multiValueQueryStringParameters": {"x": None}}, 200),
    "cookies are null": ({"cookies": None}, 200),
    "cookies are numbers": ({"cookies": [7]}, 200),
    "nothing of its context": ({"requestContext": {}}, 200),
    "no version": ({"version": None}, 200),
    "identity is null": ({"+requestContext": {"identity": None, "stage": None, "domainName": None}}, 200),
}


@pytest.mark.parametrize("door", ["http_v2", "function_url", "rest_v1", "rest_v1_custom_domain"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_event_is_answered_or_refused_and_never_our_fault(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, door: str, name: str
) -> None:
    monkeypatch.setenv("DIGITS_BASE_PATH", "/digits")  # for the events that do not tell it any more
    changes, status = ODD[name]
    event = doors.DOORS[door](CONTRACT["json"][0])
    event["multiValueHeaders"] = None
    for member, value in changes.items():
        event[member.removeprefix("+")] = {**event[member[1:]], **value} if member.startswith("+") else value
    if not event["requestContext"] and "httpMethod" not in event:
        status = 0  # nothing tells that it was a request
    answer = handler(event)
    if status:
        assert answer["statusCode"] == status, answer
        assert answer["headers"]["access-control-allow-origin"] == "*"
        assert answer["headers"]["x-request-id"] == "test-request"
    else:
        assert answer["status"] == 400


def test_nothing_at_all_goes_wrong_with_a_stack_trace(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    event = doors.http_v2(CONTRACT["json"][0])
    broken: dict[str, Any]
    for broken in ({"requestContext": {"http": {}}}, {**event, "body": "\ud800"}):
        answer = handler(broken)
        assert answer["statusCode"] == 400
        assert answer["headers"]["access-control-allow-origin"] == "*"
        assert json.loads(answer["body"])["request_id"] == "test-request"
    monkeypatch.setenv("DIGITS_MODEL_TTL_SECONDS", "soon")
    end_container()
    answer = handler(event)
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["detail"] == "the service is not configured"


ALLOWED = "https://a.example"


@pytest.mark.parametrize(("origin", "allowed"), [(ALLOWED, ALLOWED), ("https://b.example", None)])
def test_what_the_application_has_no_part_in_keeps_to_the_allowed_origins(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, origin: str, allowed: str | None
) -> None:
    monkeypatch.setenv("DIGITS_ALLOWED_ORIGINS", ALLOWED)
    event = doors.http_v2(Request("POST", PREDICT, {"origin": origin}, b""))
    for broken in ({**event, "body": "\ud800"}, {**event, "requestContext": {"http": {}}}):
        answer = handler(broken)
        assert answer["statusCode"] == 400
        assert answer["headers"].get("access-control-allow-origin") == allowed
        assert answer["headers"]["vary"] == "Origin"
    monkeypatch.setenv("DIGITS_MODEL_TTL_SECONDS", "soon")
    end_container()
    assert handler(event)["headers"].get("access-control-allow-origin") == allowed
    monkeypatch.setenv("DIGITS_ALLOWED_ORIGINS", "nonsense/")
    assert "access-control-allow-origin" not in handler(event)["headers"]
