"""The contract, over the network."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.predict_api.request_schemas import MAX_INSTANCES
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.acceptance.conftest import Service
from tests.api_commands import check_answer, commands
from tests.contract import CONTRACT, PREDICT
from tests.doors import Request

ROOT = Path(__file__).parents[2]


@pytest.fixture
def authorized(service: Service) -> dict[str, str]:
    return {"authorization": f"Bearer {service.token}"}


def ask(client: httpx.Client, service: Service, request: Request) -> httpx.Response:
    """Send a request of the contract, with the service's token in place of the samples'."""
    old, new = EVENT_TOKEN, service.token
    if not service.takes_bytes and not _is_text(request.body):
        pytest.skip("bytes do not get through this gateway")
    return client.request(
        request.method,
        f"{request.path}?{request.query}" if request.query else request.path,
        headers={name: value.replace(old, new) for name, value in request.headers.items()},
        content=request.body.replace(old.encode(), new.encode()),
    )


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


@pytest.mark.parametrize("name", CONTRACT)
def test_every_request_of_the_contract_is_answered_as_it_says(
    client: httpx.Client, service: Service, name: str
) -> None:
    request, status = CONTRACT[name]
    answer = ask(client, service, request)
    assert answer.status_code == status, answer.text
    assert "access-control-allow-origin" in answer.headers
    assert answer.headers["x-request-id"]
    assert answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status >= 400 and name != "refused preflight":
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], problem["request_id"]) == (status, answer.headers["x-request-id"])


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documentation_works(service: Service, command: str) -> None:
    if not service.takes_bytes and ("--data-binary" in command or "-F" in command):
        pytest.skip("bytes do not get through this gateway")
    environment = {**os.environ, "URL": service.url, "TOKEN": service.token}
    finished = subprocess.run(  # noqa: S602
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    check_answer(command, json.loads(finished.stdout))


def test_every_digit_is_read(client: httpx.Client, authorized: dict[str, str]) -> None:
    for digit in range(10):
        picture = base64.b64encode(events.digit_file(digit)).decode()
        answer = client.post(PREDICT, json={"image": picture}, headers=authorized).json()
        assert answer["pred"] == digit
        assert answer["conf"] == max(answer["probabilities"])


def test_a_batch_of_digits_is_answered_in_its_order(client: httpx.Client, authorized: dict[str, str]) -> None:
    digits = [index * 7 % 10 for index in range(MAX_INSTANCES)]
    instances = [{"image": base64.b64encode(events.digit_file(digit)).decode()} for digit in digits]
    answer = client.post(PREDICT, json={"instances": instances}, headers=authorized)
    assert [each["pred"] for each in answer.json()["predictions"]] == digits
    one_more = client.post(PREDICT, json={"instances": [*instances, instances[0]]}, headers=authorized)
    assert one_more.status_code == 422


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_token_goes_in_either_header_and_a_wrong_one_does_not(
    client: httpx.Client, service: Service, header: str
) -> None:
    scheme = "Bearer " if header == "authorization" else ""
    body = {"image": base64.b64encode(events.digit_file(1)).decode()}
    assert client.post(PREDICT, json=body, headers={header: scheme + service.token}).status_code == 200
    refused = client.post(PREDICT, json=body, headers={header: f"{scheme}not-a-token"})
    assert (refused.status_code, refused.headers["www-authenticate"][:6]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/", "/health", "/v1/model", "/docs", "/openapi.json"])
def test_head_answers_as_get_without_a_body(client: httpx.Client, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/read", "/v2/models/digits/infer"])
def test_a_page_of_another_origin_may_ask(client: httpx.Client, path: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    answer = client.options(path, headers={"origin": "https://page.example"} | asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] in ("*", "https://page.example")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()


def test_the_page_and_the_reference_are_there(client: httpx.Client) -> None:
    assert "<canvas" in client.get("/").text
    assert "swagger" in client.get("/docs").text.lower()


def test_the_service_says_what_answers(client: httpx.Client, authorized: dict[str, str]) -> None:
    model: dict[str, Any] = client.get("/v1/model").json()
    body = {"image": base64.b64encode(events.digit_file(7)).decode()}
    answer = client.post(PREDICT, json=body, headers=authorized)
    assert answer.json()["model"]["version"] == answer.headers["x-model-version"] == model["version"]
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["model"] in (model["version"], None)  # None from a container that has not loaded it yet
