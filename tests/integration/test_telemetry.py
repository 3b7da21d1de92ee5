"""What the log tells of each request, and that every widget and alarm shows a metric that the code emits."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from awslambdaric.lambda_runtime_log_utils import JsonFormatter

from functions.batch import handler as batch
from functions.predict_api import telemetry
from functions.predict_api.schemas import ModelReference, Prediction, Problem
from functions.predict_api.telemetry import RequestLog
from functions.retrain import handler as retrain
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler
from tests.template import read

NAMESPACE = "LambdaDigits/a-stack"
# What AWS emits itself, of what the template looks at.
OF_AWS = {
    "AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency", "IntegrationLatency"},
    "AWS/Lambda": {"ConcurrentExecutions", "Duration", "Errors", "Throttles"},
    "AWS/SQS": {"NumberOfMessagesSent"},
    "AWS/States": {"ExecutionsFailed"},
}
VERDICTS = ("blank", "no_contrast", "several_digits", "not_a_digit", None)
OUTCOMES = ("accepted", "not accepted", "refused", "unusable")

type Metric = tuple[str, tuple[str, ...]]


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> str:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    return NAMESPACE


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the lines of requests, as Lambda's runtime writes them."""
    mine = [record for record in caplog.records if record.name == telemetry.logger.name]
    return [json.loads(JsonFormatter().format(record)) for record in mine]


def metrics_of(line: dict[str, Any]) -> set[Metric]:
    """Return the metrics that CloudWatch finds in a line: name, and names of the dimensions; all have a number."""
    found = set()
    for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
        assert directive["Namespace"] == NAMESPACE
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert all(isinstance(each, int | float) for each in (value if isinstance(value, list) else [value]))
            for dimensions in directive["Dimensions"]:
                assert all(isinstance(line[name], str) for name in dimensions)
                found.add((metric["Name"], tuple(dimensions)))
    return found


def test_a_prediction_is_one_line_with_what_operators_ask_about(
    namespace: str, published: Any, cold_handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    answer = cold_handler(events.load("http_v2_predict_json"))
    (line,) = lines(caplog)
    body = events.body_of(answer)
    told = {name: line[name] for name in ("service", "method", "route", "status", "token", "model", "cold")}
    assert told == {
        "service": "predict_api",
        "method": "POST",
        "route": "/v1/predict",
        "status": 200,
        "token": "events",
        "model": body["model"]["version"],
        "cold": 1,
    }
    assert line["level"] == "INFO"
    assert line["accepted" if body["accepted"] else "doubtful"] == 1
    assert [name for name in line if name.startswith("confidence_")] == [bucket_of(body["conf"])]
    phases = {"token_ms", "decode_ms", "canonical_ms", "load_ms", "inference_ms", "encoding_ms"}
    assert phases <= line.keys()
    assert sum(line[name] for name in phases) <= line["duration_ms"]
    assert ("answers", ("service", "model")) in metrics_of(line)
    cold_handler(events.load("http_v2_predict_json"))
    assert (lines(caplog)[1]["cold"], "load_ms" in lines(caplog)[1]) == (0, False)


def bucket_of(conf: float) -> str:
    least = next(each for each in (0.99, 0.9, 0.5, 0) if conf >= each)
    return {
        0.99: "confidence_99_100",
        0.9: "confidence_90_99",
        0.5: "confidence_50_90",
        0: "confidence_below_50",
    }[least]


def test_no_line_holds_a_token_a_picture_or_what_callers_make_up(
    namespace: str, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    for name in events.EXPECTED:
        handler(events.load(name))
    nowhere = events.load("http_v2_health")
    nowhere["rawPath"] = nowhere["requestContext"]["http"]["path"] = "/made-up-by-a-caller"
    handler(nowhere)
    text = json.dumps(lines(caplog))
    assert len(lines(caplog)) > 10
    assert EVENT_TOKEN not in text
    assert "made-up-by-a-caller" not in text
    assert not re.search(r"[A-Za-z0-9+/]{200}", text)
    assert all(len(json.dumps(line)) < 3_000 for line in lines(caplog))


def test_refused_tokens_and_missing_models_are_counted(
    namespace: str, handler: Handler, published: Any, caplog: pytest.LogCaptureFixture
) -> None:
    handler(events.load("http_v2_wrong_token"))
    assert lines(caplog)[-1]["authentication_failures"] == 1
    assert "token" not in lines(caplog)[-1]


def test_a_service_without_a_model_counts_that(
    namespace: str, cold_handler: Handler, published: Any, caplog: pytest.LogCaptureFixture
) -> None:
    published.delete("models/current.json")
    cold_handler(events.load("http_v2_predict_json"))
    line = lines(caplog)[-1]
    assert (line["status"], line["error"], line["not_ready"]) == (503, "NoModelError", 1)
    assert {"model", "model_age_days"}.isdisjoint(line)


def test_without_a_namespace_there_are_no_metrics(
    handler: Handler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    handler(events.load("http_v2_predict_json"))
    assert "_aws" not in lines(caplog)[-1]
    assert lines(caplog)[-1]["status"] == 200


# What is shown, and what rings


def emitted(handler: Handler, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> set[Metric]:
    """Have every metric emitted by the code that does so, and return them."""
    for name in events.EXPECTED:
        handler(events.load(name))
    found = {metric for line in lines(caplog) for metric in metrics_of(line)}
    log = RequestLog()
    model = ModelReference(version="v", accuracy=1.0)
    for conf in (0.3, 0.7, 0.95, 1.0):
        for accepted in (True, False):
            log.tell(prediction(conf, accepted, model))
    for verdict in VERDICTS:
        log.tell(Problem(type="", title="", status=422, detail="", request_id="", verdict=verdict))
    found |= {(name, ("service",)) for name in log.counts}
    found.add(("not_ready", ("service",)))  # shown by a test above
    batch._count("read", dict.fromkeys(OUTCOMES, 1))
    batch._count("failed")
    retrain._count("promote", 1.0)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert len(printed) == 3  # batches read, batches that failed, a retraining
    return found | {metric for line in printed for metric in metrics_of(line)} | set(from_filters())


def prediction(conf: float, accepted: bool, model: ModelReference) -> Prediction:
    rest = {"probabilities": [0.1] * 10, "warnings": [], "input_sha256": "", "request_id": ""}
    return Prediction.model_validate({"pred": 1, "conf": conf, "accepted": accepted, "model": model, **rest})


def from_filters() -> Iterator[Metric]:
    for resource in read()["Resources"].values():
        if resource["Type"] == "AWS::Logs::MetricFilter":
            for made in resource["Properties"]["MetricTransformations"]:
                assert made["MetricNamespace"] == {"Fn::Sub": "LambdaDigits/${AWS::StackName}"}
                yield made["MetricName"], ()


def shown() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Return what the dashboard's widgets show: namespace, metric and names of the dimensions."""
    body = json.loads(read()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    for widget in body["widgets"]:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                search = re.match(r"SEARCH\('\{\"([^\"]+)\",([\w,]+)\} MetricName=\"(\w+)\"'", metric[0]["expression"])
                if search:
                    yield search[1], search[3], tuple(search[2].split(","))
                continue
            names = [part for part in metric if isinstance(part, str)]
            yield names[0], names[1], tuple(names[2::2])


def rung_by() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Return what the alarms listen to."""
    for resource in read()["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            properties = resource["Properties"]
            stats = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", []) if "MetricStat" in each]
            for metric in stats or [properties]:
                space = metric["Namespace"]
                yield (
                    space["Fn::Sub"] if isinstance(space, dict) else space,
                    metric["MetricName"],
                    tuple(each["Name"] for each in metric.get("Dimensions", [])),
                )


def test_every_widget_and_alarm_looks_at_a_metric_that_somebody_emits(
    namespace: str, handler: Handler, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = emitted(handler, caplog, capsys)
    looked_at = {*shown(), *rung_by()}
    assert len(looked_at) > 30
    for space, name, dimensions in looked_at:
        if space in OF_AWS:
            assert name in OF_AWS[space]
        else:
            assert space == "LambdaDigits/${AWS::StackName}"
            assert (name, dimensions) in ours, f"nobody emits {name} by {dimensions}"


def test_every_metric_of_ours_is_shown(
    namespace: str, handler: Handler, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = {name for name, _ in emitted(handler, caplog, capsys)} - {name for _, name, _ in shown()}
    assert unseen == set()


def test_the_runbook_explains_every_alarm() -> None:
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    for name, resource in read()["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            assert f"| `{name}` |" in text, name
            assert "First " in resource["Properties"]["AlarmDescription"], name
            assert len(resource["Properties"]["AlarmDescription"]) <= 1024
