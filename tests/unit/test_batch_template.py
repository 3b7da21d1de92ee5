"""What starts batches in a deployed stack, what they may do, and who is told when they fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from digits.registry.layout import BATCH, BATCH_IN, BATCH_NEXT, BATCH_OUT, BATCH_WORK, MODELS
from functions.batch.orders import Order
from local.lambda_invoke import BATCH_SAMPLE
from tests import events
from tests.template import Resources, granted, of_lambda, policies_of

QUEUE = {"Fn::GetAtt": ["BatchFailures", "Arn"]}
MACHINE = {"Ref": "BatchStateMachine"}
THE_BUCKET = {"Fn::GetAtt": ["Bucket", "Arn"]}


def under(*prefixes: str) -> set[str]:
    """Return how the template names objects under prefixes."""
    return {json.dumps({"Fn::Sub": f"${{Bucket.Arn}}/{prefix}*"}) for prefix in prefixes}


def test_the_function_is_told_what_is_dropped_and_what_goes_on_and_of_nothing_that_it_writes_else(
    resources: Resources,
) -> None:
    rule = resources["AWS::Events::Rule BatchFunctionDropped"]
    pattern = rule["EventPattern"]
    assert pattern["detail"]["object"]["key"] == [{"prefix": BATCH_IN}, {"prefix": BATCH_NEXT}]
    assert pattern["detail"]["bucket"]["name"] == [{"Ref": "Bucket"}]
    sample = events.load("batch_object_created")
    assert sample["source"] in pattern["source"]
    assert sample["detail-type"] in pattern["detail-type"]
    assert sample["detail"]["object"]["key"] == BATCH_SAMPLE
    assert BATCH_SAMPLE.startswith(BATCH_IN)
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["BatchFunction", "Arn"]}
    permission = resources["AWS::Lambda::Permission BatchFunctionDroppedPermission"]
    assert permission["SourceArn"] == {"Fn::GetAtt": ["BatchFunctionDropped", "Arn"]}


def test_the_bucket_tells_eventbridge_and_forgets_what_runs_left(resources: Resources) -> None:
    bucket = resources["AWS::S3::Bucket Bucket"]
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule} == {BATCH_WORK, BATCH_NEXT}
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_the_function_may_do_what_its_code_does_and_no_more(resources: Resources) -> None:
    assert granted(policies_of(resources, "BatchRole")) == {
        "s3:GetObject": under(MODELS, BATCH),
        "s3:PutObject": under(BATCH_OUT, BATCH_WORK, BATCH_NEXT),
        "s3:AbortMultipartUpload": under(BATCH_OUT, BATCH_WORK, BATCH_NEXT),
        "s3:DeleteObject": under(BATCH_WORK, BATCH_NEXT),
        "s3:ListBucket": {json.dumps(THE_BUCKET)},
        "sqs:SendMessage": {json.dumps(QUEUE)},
        **of_lambda("BatchLogGroup"),
    }


def test_the_state_machine_may_call_the_function_start_itself_and_read_and_write_its_runs(resources: Resources) -> None:
    allowed = granted(policies_of(resources, "BatchStateMachineRole"))
    (function,) = allowed.pop("lambda:InvokeFunction")
    assert json.loads(function)["Fn::Sub"][1] == {"functionName": {"Ref": "BatchFunction"}}
    machine = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${BatchStateMachine.Name}"
    executions = {json.dumps({"Fn::Sub": f"{machine}{rest}"}) for rest in (":*", "/*")}
    multipart = ("s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")
    assert allowed == {
        **dict.fromkeys(("s3:GetObject", "s3:PutObject", *multipart), under(BATCH_WORK)),
        "states:StartExecution": {json.dumps(MACHINE)},
        **dict.fromkeys(("states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"), executions),
    }
    assert resources["AWS::StepFunctions::StateMachine BatchStateMachine"]["DefinitionSubstitutions"] == {
        "BatchFunctionArn": {"Fn::GetAtt": ["BatchFunction", "Arn"]}
    }


def test_the_schedule_orders_what_the_state_machine_takes(template: dict[str, Any], resources: Resources) -> None:
    assert template["Parameters"]["BatchSchedule"]["Default"] == ""
    for name in ("BatchTimer", "BatchScheduleRole"):
        assert template["Resources"][name]["Condition"] == "ScheduleBatch"
    target = resources["AWS::Scheduler::Schedule BatchTimer"]["Target"]
    assert target["Arn"] == MACHINE
    prefix = template["Parameters"]["BatchPrefix"]["Default"]
    text = target["Input"]["Fn::Sub"].replace("<aws.scheduler.scheduled-time>", "2026-11-22T03:00:00Z")
    order = Order.model_validate_json(text.replace("${BatchPrefix}", prefix))
    assert (order.name, order.prefix, order.manifest) == ("2026-11-22T03:00:00Z", prefix, None)
    assert granted(policies_of(resources, "BatchScheduleRole")) == {
        "states:StartExecution": {json.dumps(MACHINE)},
        "sqs:SendMessage": {json.dumps(QUEUE)},
    }


def test_whatever_fails_as_a_whole_goes_to_the_queue(resources: Resources) -> None:
    settings = resources["AWS::Lambda::EventInvokeConfig BatchFunctionEventInvokeConfig"]
    assert settings["DestinationConfig"]["OnFailure"]["Destination"] == QUEUE
    (target,) = resources["AWS::Events::Rule BatchFunctionDropped"]["Targets"]
    assert target["DeadLetterConfig"]["Arn"] == QUEUE
    assert resources["AWS::Scheduler::Schedule BatchTimer"]["Target"]["DeadLetterConfig"]["Arn"] == QUEUE
    (statement,) = resources["AWS::SQS::QueuePolicy BatchFailuresPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Principal"]["Service"], statement["Action"]) == ("events.amazonaws.com", "sqs:SendMessage")
    assert statement["Resource"] == QUEUE


@pytest.mark.parametrize(
    ("name", "metric", "dimension"),
    [
        ("BatchFailuresAlarm", "NumberOfMessagesSent", {"Fn::GetAtt": ["BatchFailures", "QueueName"]}),
        ("BatchStateMachineAlarm", "ExecutionsFailed", MACHINE),
    ],
)
def test_an_alarm_says_that_a_batch_failed(resources: Resources, name: str, metric: str, dimension: Any) -> None:
    alarm = resources[f"AWS::CloudWatch::Alarm {name}"]
    assert alarm["MetricName"] == metric
    assert [each["Value"] for each in alarm["Dimensions"]] == [dimension]
    assert alarm["AlarmActions"] == [{"Ref": "Alerts"}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
