"""What SAM makes of template.yaml, as far as nothing but a deployment would show it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from digits.registry import cache
from functions.retrain import handler as retrain_handler
from local.build import FUNCTION, LAYERS
from tests.template import TEMPLATE, Resources, the_only, transformed


def parameters_in(template: dict[str, Any], part: Any) -> set[str]:
    references: set[str] = set(re.findall(r'"Ref": "(\w+)"', json.dumps(part)))
    return references & set(template["Parameters"])


def test_no_deployment_can_break_what_the_readme_promises_of_tokens_and_models(template: dict[str, Any]) -> None:
    readme = " ".join((TEMPLATE.parent / "README.md").read_text().split())
    assert "Warm containers take up to a minute to notice" in readme
    assert "warm containers pick it up within a minute" in readme
    assert template["Parameters"]["ModelTtlSeconds"]["MaxValue"] <= 60


def test_a_new_version_is_published_for_each_parameter_that_the_function_depends_on(
    template: dict[str, Any], resources: Resources
) -> None:
    function = resources[f"AWS::Lambda::Function {FUNCTION}"]
    version = the_only(resources, "AWS::Lambda::Version")
    described = parameters_in(template, version["Description"])
    assert described == parameters_in(template, function) | {"SnapStart"}
    longest = [_longest(template["Parameters"][name]) for name in described]
    assert sum(longest) + len(longest) - 1 <= 256


@pytest.mark.parametrize("layer", LAYERS)
def test_a_new_version_is_published_for_a_change_in_a_layer_alone(
    template: dict[str, Any], resources: Resources, layer: str
) -> None:
    def versions(made: Resources) -> set[str]:
        return {name for name in made if name.startswith("AWS::Lambda::Version ")}

    assert versions(transformed(template)) == versions(resources)
    assert not versions(transformed(template, changed=layer)) & versions(resources)


def _longest(parameter: dict[str, Any]) -> int:
    if "MaxLength" in parameter:
        return int(parameter["MaxLength"])
    return max(len(str(value)) for value in parameter.get("AllowedValues") or [parameter["MaxValue"]])


def test_whoever_sends_a_failed_retraining_to_the_queue_may_do_so(resources: Resources) -> None:
    queue = {"Fn::GetAtt": ["RetrainFailures", "Arn"]}
    for role in ("RetrainFunctionRole", "RetrainFunctionScheduleRole"):
        policies = resources[f"AWS::IAM::Role {role}"]["Policies"]
        granted = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
        assert any(each["Action"] == "sqs:SendMessage" and each["Resource"] == queue for each in granted), role


def test_a_failed_retraining_is_tried_again_and_then_told(resources: Resources) -> None:
    settings = resources["AWS::Lambda::EventInvokeConfig RetrainFunctionEventInvokeConfig"]
    queue = {"Fn::GetAtt": ["RetrainFailures", "Arn"]}
    assert settings["MaximumRetryAttempts"] == 1
    assert settings["DestinationConfig"]["OnFailure"]["Destination"] == queue
    assert resources["AWS::Scheduler::Schedule RetrainFunctionSchedule"]["Target"]["DeadLetterConfig"]["Arn"] == queue
    alarm = resources["AWS::CloudWatch::Alarm RetrainFailuresAlarm"]
    assert alarm["AlarmActions"] == [{"Ref": "Alerts"}]


def test_two_stacks_fit_into_one_account(resources: Resources) -> None:
    for name, properties in resources.items():
        own = {key for key in properties if key.endswith("Name") and isinstance(properties[key], str)}
        if not name.startswith("AWS::Lambda::Alias "):  # the function's own
            assert own <= {"LayerName", "MetricName", "PolicyName", "StageName"}, name
        if name.startswith("AWS::Scheduler::Schedule "):
            assert "Name" not in properties, name


def test_mail_is_sent_only_where_there_is_an_address(template: dict[str, Any]) -> None:
    assert template["Resources"]["AlertsMail"]["Condition"] == "SendMail"


# What the alarms listen to


def test_the_log_is_watched_under_the_name_that_it_is_written_under(resources: Resources) -> None:
    pattern = the_only(resources, "AWS::Logs::MetricFilter")["FilterPattern"]
    assert dict(re.findall(r'\$\.(\w+) = "([^"]+)"', pattern)) == {"logger": cache.logger.name, "level": "WARNING"}


def test_every_alarm_listens_to_a_metric_that_somebody_emits(
    resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain_handler._count("promote", 1.0)
    (emitted,) = json.loads(capsys.readouterr().out)["_aws"]["CloudWatchMetrics"]
    own = {(emitted["Namespace"], metric["Name"], tuple(emitted["Dimensions"][0])) for metric in emitted["Metrics"]}
    for transformation in the_only(resources, "AWS::Logs::MetricFilter")["MetricTransformations"]:
        own.add((_text(transformation["MetricNamespace"]), transformation["MetricName"], ()))
    alarms = [alarm for name, alarm in resources.items() if name.startswith("AWS::CloudWatch::Alarm ")]
    listened = {
        (_text(alarm["Namespace"]), alarm["MetricName"], tuple(each["Name"] for each in alarm.get("Dimensions", [])))
        for alarm in alarms
    }
    assert {each for each in listened if not each[0].startswith("AWS/")} <= own
    assert any(not namespace.startswith("AWS/") for namespace, _, _ in listened)


def _text(value: Any) -> str:
    """Return a text of the template, or what `!Sub` would fill in."""
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)
