"""What SAM makes of template.yaml, as far as nothing but a deployment would show it."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from awslambdaric.lambda_runtime_log_utils import JsonFormatter

from digits.registry import cache
from digits.registry.layout import MNIST_KEY, MODELS, POINTER_KEY, TOKENS_KEY
from local.build import FUNCTION, LAYERS
from tests.template import (
    TEMPLATE,
    Resources,
    granted,
    of_lambda,
    policies_of,
    the_only,
    transformed,
    variant,
)
from training.recipes import RECIPES

# The alarms that have a version taken back which gets its traffic bit by bit.
ROLLBACK = ("PredictErrorsAlarm", "ErrorLogAlarm")


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
    # Reservations are the function's, whatever its versions are.
    assert described == parameters_in(template, function) - {"ReservedConcurrency"} | {"SnapStart", "Tracing"}
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


def test_versions_do_not_pile_up(resources: Resources) -> None:
    (version,) = [each for each in transformed_resources().values() if each["Type"] == "AWS::Lambda::Version"]
    assert version["DeletionPolicy"] == "Delete"


def test_whoever_sends_a_failed_retraining_to_the_queue_may_do_so(resources: Resources) -> None:
    queue = {"Fn::GetAtt": ["RetrainFailures", "Arn"]}
    for role in ("RetrainRole", "RetrainFunctionScheduleRole"):
        assert granted(policies_of(resources, role))["sqs:SendMessage"] == {json.dumps(queue)}, role


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


# Who may do what


def under(*keys: str) -> set[str]:
    """Return how the template names keys of the bucket."""
    return {json.dumps({"Fn::Sub": f"${{Bucket.Arn}}/{key}"}) for key in keys}


BUCKET = {json.dumps({"Fn::GetAtt": ["Bucket", "Arn"]})}


def test_the_predict_function_may_read_models_and_tokens_and_no_more(resources: Resources) -> None:
    assert granted(policies_of(resources, "PredictApiRole")) == {
        "s3:GetObject": under(f"{MODELS}*", TOKENS_KEY),
        "s3:ListBucket": BUCKET,
        **of_lambda("PredictApiLogGroup"),
    }


def test_the_retrain_function_may_do_what_its_code_does_and_no_more(resources: Resources) -> None:
    assert granted(policies_of(resources, "RetrainRole")) == {
        "s3:GetObject": under(f"{MODELS}*", "decisions/*", "datasets/*", "locks/*"),
        "s3:PutObject": under(f"{MODELS}*", "decisions/*", MNIST_KEY, "locks/*"),
        "s3:DeleteObject": under(POINTER_KEY),
        "s3:ListBucket": BUCKET,
        "sns:Publish": {json.dumps({"Ref": "Alerts"})},
        "sqs:SendMessage": {json.dumps({"Fn::GetAtt": ["RetrainFailures", "Arn"]})},
        **of_lambda("RetrainLogGroup"),
    }


def test_the_check_before_traffic_may_ask_versions_and_report(resources: Resources) -> None:
    allowed = granted(policies_of(resources, "PreTrafficRole"))
    assert allowed.pop("lambda:InvokeFunction") == {json.dumps({"Fn::Sub": "${PredictApiFunction.Arn}:*"})}
    (group,) = allowed.pop("codedeploy:PutLifecycleEventHookExecutionStatus")
    assert json.loads(group)["Fn::Sub"][1] == {"Application": {"Ref": "ServerlessDeploymentApplication"}}
    assert allowed == of_lambda("PreTrafficLogGroup")


def test_whoever_moves_traffic_may_do_so_for_this_function_alone(resources: Resources) -> None:
    function = {json.dumps({"Fn::GetAtt": ["PredictApiFunction", "Arn"]})}
    function |= {json.dumps({"Fn::Sub": "${PredictApiFunction.Arn}:*"})}
    alarms = {json.dumps({"Fn::GetAtt": [name, "Arn"]}) for name in ROLLBACK}
    assert granted(policies_of(resources, "DeploymentRole")) == {
        **{f"lambda:{name}": function for name in ("GetAlias", "UpdateAlias", "GetProvisionedConcurrencyConfig")},
        "lambda:InvokeFunction": {json.dumps({"Fn::GetAtt": ["PreTrafficFunction", "Arn"]})},
        "cloudwatch:DescribeAlarms": alarms,
    }


def test_no_role_allows_anything_on_everything_but_traces(resources: Resources) -> None:
    roles = [name.partition(" ")[2] for name in resources if name.startswith("AWS::IAM::Role ")]
    assert len(roles) >= 8
    for role in roles:
        assert not resources[f"AWS::IAM::Role {role}"].get("ManagedPolicyArns"), role
        for action, on in granted(policies_of(resources, role)).items():
            assert "*" not in action, role
            assert '"*"' not in on or action.startswith("xray:"), (role, action)


def test_each_function_has_a_log_of_its_own_that_ends(resources: Resources, template: dict[str, Any]) -> None:
    functions = {name: each for name, each in resources.items() if name.startswith("AWS::Lambda::Function ")}
    groups = [each["LoggingConfig"]["LogGroup"]["Ref"] for each in functions.values()]
    assert len(set(groups)) == len(groups) == 4
    for group in (*groups, "ApiLogGroup"):
        assert resources[f"AWS::Logs::LogGroup {group}"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for function in functions.values():
        assert function["LoggingConfig"]["SystemLogLevel"] == "INFO"
        assert function["LoggingConfig"]["LogFormat"] == "JSON"


# What comes in


def test_requests_are_throttled_and_those_with_pictures_more_so(resources: Resources) -> None:
    stage = the_only(resources, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "ThrottleRate"}
    assert len(stage["RouteSettings"]) == 4
    for settings in stage["RouteSettings"].values():
        assert settings["ThrottlingRateLimit"] == {"Ref": "PredictThrottleRate"}
        assert settings["ThrottlingBurstLimit"] == {"Ref": "PredictThrottleBurst"}
    paths = resources["AWS::ApiGatewayV2::Api HttpApi"]["Body"]["paths"]
    there = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert stage["RouteSettings"].keys() <= there


def test_the_access_log_is_json_in_small_letters(resources: Resources) -> None:
    text = the_only(resources, "AWS::ApiGatewayV2::Stage")["AccessLogSettings"]["Format"]
    line = json.loads(re.sub(r"\$context\.[\w.]+", "7", text))
    assert {"request_id", "route", "status", "latency_ms", "client", "integration_error"} <= line.keys()
    assert text.partition("$")[0] == text.partition("$")[0].lower()
    assert all(name == name.lower() for name in line)


# What rings


def test_an_alarm_of_the_api_is_none_of_those_that_take_a_version_back(resources: Resources) -> None:
    group = the_only(resources, "AWS::CodeDeploy::DeploymentGroup")
    condition, gradual, at_once = group["AlarmConfiguration"]["Fn::If"]
    assert condition == "MoveGradually"
    assert [each["Name"]["Ref"] for each in gradual["Alarms"]] == list(ROLLBACK)
    assert at_once == {}
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    (policy,) = [
        each["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        for each in transformed_resources().values()
        if each["Type"] == "AWS::Lambda::Alias"
    ]
    assert policy["BeforeAllowTrafficHook"] == {"Ref": "PreTrafficFunction"}


def test_every_alarm_tells_the_topic_and_says_what_to_do_first(resources: Resources) -> None:
    alarms = {name: each for name, each in resources.items() if name.startswith("AWS::CloudWatch::Alarm ")}
    assert len(alarms) == 11
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "Alerts"}], name
        assert "First " in alarm["AlarmDescription"], name
        stays = name.endswith("StaleModelAlarm")
        assert alarm["TreatMissingData"] == ("ignore" if stays else "notBreaching"), name


def test_the_topic_takes_messages_from_those_who_send_them(resources: Resources) -> None:
    policy = resources["AWS::SNS::TopicPolicy AlertsPolicy"]
    senders = {json.dumps(each["Principal"]) for each in policy["PolicyDocument"]["Statement"]}
    assert {'{"Service": "cloudwatch.amazonaws.com"}', '{"Service": "events.amazonaws.com"}'} <= senders
    assert len(senders) == 3  # and roles of the account
    rule = resources["AWS::Events::Rule DeploymentFailures"]
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": "Alerts"}]


@pytest.mark.parametrize("name", ["ErrorLog", "RefreshFailures"])
def test_the_log_is_watched_under_the_names_that_it_is_written_under(resources: Resources, name: str) -> None:
    pattern = resources[f"AWS::Logs::MetricFilter {name}"]["FilterPattern"]
    error = logging.makeLogRecord({"name": "any", "levelno": logging.ERROR, "levelname": "ERROR", "msg": "m"})
    warning = {"name": cache.logger.name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": "m"}
    record = error if name == "ErrorLog" else logging.makeLogRecord(warning)
    line = json.loads(JsonFormatter().format(record))
    conditions = dict(re.findall(r'\$\.(\w+) = "([^"]+)"', pattern))
    assert conditions
    assert {key: line[key] for key in conditions} == conditions


# What stays


def test_the_bucket_keeps_what_is_written_over_and_a_first_deployment_that_fails_leaves_nothing(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Resources"]["Bucket"]["DeletionPolicy"] == "RetainExceptOnCreate"
    bucket = resources["AWS::S3::Bucket Bucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if "Fn::If" not in rule]
    whole = [rule for rule in rules if "Prefix" not in rule]
    assert {"NoncurrentDays": {"Ref": "OldVersionDays"}} in [each.get("NoncurrentVersionExpiration") for each in whole]
    assert any("AbortIncompleteMultipartUpload" in rule for rule in whole)


def test_a_stack_without_retraining_knows_nothing_of_it() -> None:
    left = variant("serving_alone")
    assert not [name for name in left["Resources"] if "Retrain" in name]
    assert "Image" not in {each.get("Properties", {}).get("PackageType") for each in left["Resources"].values()}
    assert "RetrainFunctionName" not in left["Outputs"]
    others = variant("defaults")["Resources"].keys() - left["Resources"].keys()
    assert all("Retrain" in name for name in others), others


def test_nothing_is_trained_beside_the_first_deployment(template: dict[str, Any]) -> None:
    assert template["Parameters"]["RetrainSchedule"]["Default"].startswith("cron(")
    schedule = template["Resources"]["RetrainFunction"]["Properties"]["Events"]["Schedule"]["Properties"]
    assert schedule["StartDate"]["Fn::If"][1] == {"Ref": "RetrainStart"}


# What may be given


def test_the_recipes_are_those_that_there_are(template: dict[str, Any]) -> None:
    assert template["Parameters"]["RetrainRecipe"]["AllowedValues"] == sorted(RECIPES)


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("AlertEmail", ["", "a.b@example.com"], ["a", "a@b", "a b@example.com", "@example.com"]),
        (
            "S3EndpointUrl",
            ["", "https://store:9000", "http://127.0.0.1:9000/"],
            ["store:9000", "https://a/b", "https://"],
        ),
        ("BasePath", ["", "/digits", "/a/b-c"], ["digits", "/", "/digits/", "/a b"]),
        (
            "AllowedOrigins",
            ["*", "https://a.example", "https://a, https://*.b.example"],
            ["", "a.example", "https://a b"],
        ),
        ("ReservedConcurrency", ["", "1", "9999"], ["0", "-1", "many", "10000"]),
        ("RetrainSchedule", ["rate(7 days)", "cron(0 3 ? * SUN *)"], ["", "weekly", "rate()"]),
        ("RetrainStart", ["", "2026-12-01T03:00:00Z"], ["2026-12-01", "soon"]),
        ("BatchSchedule", ["", "cron(0 4 * * ? *)"], ["daily"]),
        ("AccessLogBucket", ["", "my-logs"], ["My_Logs", "a"]),
        ("RetrainTimeZone", ["UTC", "Europe/Berlin", "Etc/GMT+1"], ["", "Europe Berlin"]),
    ],
)
def test_a_parameter_takes_what_makes_sense(
    template: dict[str, Any], parameter: str, good: list[str], bad: list[str]
) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not [value for value in bad if re.fullmatch(pattern, value)]


def test_a_text_is_bound_by_a_pattern_or_by_what_is_allowed(template: dict[str, Any]) -> None:
    for name, parameter in template["Parameters"].items():
        if parameter["Type"] == "String":
            assert parameter.keys() & {"AllowedPattern", "AllowedValues"}, name
        else:
            assert parameter.keys() & {"MinValue", "AllowedValues"}, name


def transformed_resources() -> dict[str, Any]:
    made: dict[str, Any] = variant("defaults")["Resources"]
    return made
