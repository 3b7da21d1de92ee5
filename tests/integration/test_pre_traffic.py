"""The check of a new version before it gets traffic: the API behind an emulated Lambda, and what CodeDeploy hears."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest

from digits import reading
from digits.model.judgement import NOT_A_DIGIT
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, TOKENS_KEY
from digits.registry.tokens import TokenSet
from functions.pre_traffic import handler as pre_traffic
from functions.predict_api import prediction, self_test
from tests import doors
from tests.conftest import Handler, end_container
from tests.doors import Request

VERSION = "arn:aws:lambda:us-east-1:123456789012:function:predict:7"
LIVE = "arn:aws:lambda:us-east-1:123456789012:function:predict:live"
EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}


type Run = Callable[..., tuple[str, Lambda]]


class Lambda:
    """Invokes the API's handler, or what stands in for a version that fails."""

    def __init__(self, function: Callable[[Any], Any], live: Callable[[Any], Any] | None) -> None:
        self.function, self.live = function, live or function
        self.asked: list[Any] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  # boto3's names
        event = json.loads(Payload)
        if FunctionName != VERSION:
            assert FunctionName == LIVE
            return {"Payload": BytesIO(json.dumps(self.live(event)).encode())}
        self.asked.append(event)
        try:
            answer = {"Payload": BytesIO(json.dumps(self.function(event)).encode())}
        except Exception as error:  # as Lambda tells it
            return {"FunctionError": "Unhandled", "Payload": BytesIO(json.dumps({"errorMessage": str(error)}).encode())}
        return answer


class CodeDeploy:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []

    def put_lifecycle_event_hook_execution_status(self, **told: str) -> None:
        self.told.append(told)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the check against a function, and return the status that was reported."""

    def check(function: Callable[[Any], Any], live: Callable[[Any], Any] | None = None) -> tuple[str, Lambda]:
        clients: dict[str, Any] = {"lambda": Lambda(function, live), "codedeploy": CodeDeploy()}
        monkeypatch.setattr(boto3, "client", lambda name, **_: clients[name])
        monkeypatch.setenv("DIGITS_NEW_VERSION", VERSION)
        answer = pre_traffic.handler(EVENT, SimpleNamespace(aws_request_id="r"))
        (told,) = clients["codedeploy"].told
        assert told == {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "e-1", "status": answer["status"]}
        return answer["status"], clients["lambda"]

    return check


def test_a_version_that_reads_the_golden_digits_gets_traffic(run: Run, handler: Handler) -> None:
    status, asked = run(handler)
    assert status == "Succeeded"
    assert {"self_test": True} in asked.asked


def test_before_anything_is_published_a_version_gets_traffic(
    run: Run, cold_handler: Handler, published: Bucket
) -> None:
    published.delete(POINTER_KEY)
    published.delete(TOKENS_KEY)
    status, asked = run(cold_handler)
    assert status == "Succeeded"
    assert {"self_test": True} not in asked.asked


def test_a_version_that_finds_no_model_where_the_live_one_does_gets_none(
    run: Run, cold_handler: Handler, published: Bucket
) -> None:
    answers = cold_handler(doors.http_v2(Request("GET", "/v1/model")))
    published.delete(POINTER_KEY)
    end_container()
    assert run(cold_handler, live=lambda _: answers)[0] == "Failed"


def test_a_version_that_lets_nobody_in_gets_none(
    run: Run, handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(TokenSet, "name_of", lambda *_: None)
    assert run(handler)[0] == "Failed"
    assert "is answered with 401" in caplog.text


def test_a_version_that_refuses_golden_digits_gets_none(
    run: Run, handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "judge", lambda each, *_, **__: np.full(len(each), NOT_A_DIGIT))
    assert run(handler)[0] == "Failed"
    assert "golden digits of" in caplog.text


@pytest.mark.usefixtures("unreachable_store")
def test_a_version_that_cannot_reach_the_bucket_gets_none(run: Run, cold_handler: Handler) -> None:
    assert run(cold_handler)[0] == "Failed"


def test_a_version_that_reads_wrong_gets_none(
    run: Run, handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    honest = prediction.base64_png
    monkeypatch.setattr(self_test, "base64_png", lambda pixels: honest(pixels[::-1, ::-1].copy()))
    assert run(handler)[0] == "Failed"
    assert "a golden " in caplog.text


@pytest.mark.parametrize(
    "function",
    [
        lambda _: {"errorMessage": "Unable to import module"} and 1 / 0,
        lambda _: {"statusCode": 500, "body": "{}"},
        lambda _: {"statusCode": 200},
        lambda _: None,
        lambda _: "text",
    ],
)
def test_a_version_that_answers_anything_else_gets_none(run: Run, function: Callable[[Any], Any]) -> None:
    assert run(function)[0] == "Failed"


def test_the_check_can_be_turned_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_PRE_TRAFFIC_CHECK", "off")
    status, asked = run(lambda _: None)
    assert (status, asked.asked) == ("Succeeded", [])
