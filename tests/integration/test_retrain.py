"""The retrain function: what it answers, counts and tells. Trainings are real in tests/e2e."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from digits.errors import OperationError, UnknownRecipeError
from digits.model.manifest import Manifest
from digits.registry import decisions
from digits.registry.bucket import Bucket
from digits.registry.decisions import Decision
from digits.registry.versions import Registry
from functions.retrain import handler as retrain_handler
from functions.retrain.handler import SAFETY_SECONDS, handler
from local.store import EmbeddedStore
from tests import events
from training import comparison
from training.artifacts import read_folder
from training.lease import held

type Version = tuple[Manifest, dict[str, bytes]]

EVENT = json.loads((events.FOLDER / "schedule_retrain.json").read_text())
MINUTE = timedelta(minutes=1)


def invoke(seconds: float = 900, event: Any = EVENT) -> dict[str, Any]:
    context = SimpleNamespace(aws_request_id="run-1", get_remaining_time_in_millis=lambda: seconds * 1000)
    return handler(event, context)


def test_a_run_trains_in_the_time_that_is_left_promotes_and_says_so(
    bucket: Bucket, trainings: list[float | None], trained: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    caplog.set_level(logging.INFO)
    outcome = invoke(seconds=900)
    assert (outcome["outcome"], outcome["version"]) == ("promote", trained.name)
    assert trainings == [900 - SAFETY_SECONDS]
    assert Registry(bucket).load().manifest.version == trained.name
    assert [each.outcome for each in decisions.recorded(bucket, trained.name)] == ["promote"]
    assert f"{trained.name}: promoted" in caplog.text
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["outcome"] == "promote"
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "LambdaDigits"
    assert directive["Dimensions"] == [["outcome"]]
    assert {metric["Name"] for metric in directive["Metrics"]} == {"retrainings", "retrain_seconds"}
    assert {metric["Name"] for metric in directive["Metrics"]} <= metrics.keys()
    assert json.loads(json.dumps(outcome)) == outcome


def test_where_nothing_has_changed_it_says_so_and_ends(
    bucket: Bucket, trainings: list[float | None], trained: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("DIGITS_RETRAIN_RECIPE", "default")
    Registry(bucket).publish(*read_folder(trained))
    Registry(bucket).promote(trained.name)
    decision = Decision(outcome="promote", decided_at=datetime.now(UTC), live=None)
    decisions.record(bucket, trained.name, decision)
    assert invoke() == {
        "outcome": "unchanged",
        "version": trained.name,
        "decision": decision.model_dump(mode="json"),
    }
    assert trainings == []
    assert "nothing to do" in caplog.text


def test_a_challenger_that_is_refused_leaves_the_live_version(
    bucket: Bucket, trainings: list[float | None], second_version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    monkeypatch.setattr(comparison, "LOWEST_ACCURACY", 1.1)
    outcome = invoke()
    assert outcome["outcome"] == "refuse"
    assert Decision.model_validate(outcome["decision"]).failed[0].name == "accuracy"
    assert Registry(bucket).load().manifest == second_version[0]
    assert invoke()["outcome"] == "unchanged"


def test_one_message_tells_the_decision_and_its_figures(
    bucket: Bucket, store: EmbeddedStore, trainings: list[float | None], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = store.environment()["AWS_ENDPOINT_URL_S3"]
    for service in ("SNS", "SQS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", address)
    topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    monkeypatch.setenv("DIGITS_RETRAIN_TOPIC", topic)
    invoke()
    invoke(event={**EVENT, "scheduled_at": "2126-11-22T03:00:00Z"})  # nothing has changed, which is no news
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    (message,) = [json.loads(each["Body"]) for each in messages]
    assert message["Subject"] == f"Lambda Digits: {trained.name}: promote"
    told = json.loads(message["Message"])
    assert told["decision"]["scores"][0]["version"] == trained.name
    checks = {check["name"] for check in told["decision"]["checks"]}
    assert checks >= {"accuracy", "calibration error", "accepted accuracy, mixture", "bytes", "multiply-adds"}


def test_a_decision_that_could_not_be_told_is_told_by_the_next_try(
    bucket: Bucket, trainings: list[float | None], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, Any]] = []

    def tell(_: str, version: str, decision: Any) -> None:
        told.append((version, decision["outcome"]))
        if len(told) == 1:
            raise ConnectionError

    monkeypatch.setattr(retrain_handler, "_tell", tell)
    monkeypatch.setenv("DIGITS_RETRAIN_TOPIC", "topic")
    with pytest.raises(ConnectionError):
        invoke()
    assert invoke()["outcome"] == "unchanged"
    assert told == [(trained.name, "promote")] * 2
    for event in (
        {"scheduled_at": "2126-11-22T03:00:00Z"},
        {"scheduled_at": "<aws.scheduler.scheduled-time>"},
        {},
        None,
    ):
        assert invoke(event=event)["outcome"] == "unchanged"
    assert len(told) == 2


def test_a_run_that_finds_another_at_work_leaves(bucket: Bucket, trainings: list[float | None]) -> None:
    with held(bucket, "another", MINUTE):
        outcome = invoke()
    assert outcome["outcome"] == "busy"
    assert "another is retraining" in outcome["detail"]
    assert trainings == []


def test_too_little_time_is_an_error_before_the_training_and_gives_the_lease_back(
    bucket: Bucket, trainings: list[float | None]
) -> None:
    with pytest.raises(OperationError, match="100 seconds left, and 200 are needed"):
        invoke(seconds=100)
    assert trainings == []
    assert Registry(bucket).versions() == []
    with held(bucket, "next", MINUTE):
        pass


def test_what_goes_wrong_is_raised_so_that_lambda_tries_again(
    bucket: Bucket, trainings: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_RETRAIN_RECIPE", "magic")
    with pytest.raises(UnknownRecipeError, match="no recipe 'magic'"):
        invoke()
