"""What SAM makes of template.yaml."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from local.build import BATCH, FUNCTION, LAYERS, PRE_TRAFFIC, without_retraining

TEMPLATE = Path(__file__).parents[1] / "template.yaml"

# name: a set of parameters; together they turn every condition on and off.
VARIANTS: dict[str, dict[str, str]] = {
    "defaults": {},
    "production": {"DeploymentPreference": "Canary10Percent5Minutes", "AlertEmail": "team@example.com"},
    "snapshots": {"SnapStart": "on", "ReservedConcurrency": "50", "ModelVersion": "20261126T224103Z-d9f4a185"},
    "arm64": {"Architecture": "arm64", "Tracing": "on"},
    "everything": {
        "AllowedOrigins": "https://a.example, https://*.b.example",
        "BasePath": "/digits",
        "S3EndpointUrl": "https://store.example.com:9000",
        "DeploymentPreference": "Linear10PercentEvery1Minute",
        "BatchSchedule": "cron(0 4 * * ? *)",
        "BatchRetentionDays": "90",
        "RetrainSchedule": "rate(7 days)",
        "RetrainStart": "2026-12-01T03:00:00Z",
        "AlertEmail": "team@example.com",
        "MonthlyBudgetDollars": "20",
        "AccessLogBucket": "access-logs",
        "Tracing": "on",
    },
    "serving_alone": {"Retraining": "off"},
}

type Resources = dict[str, Any]


def read() -> dict[str, Any]:
    """Return the template, as it stands in the repository."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return parsed


def transformed(template: dict[str, Any], changed: str = "") -> Resources:
    """Return the CloudFormation resources; one layer may be another than usual."""
    made: Resources = resolved(template, changed)["Resources"]
    return {f"{resource['Type']} {name}": resource.get("Properties", {}) for name, resource in made.items()}


def resolved(template: dict[str, Any], changed: str = "", parameters: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the CloudFormation template; one layer may be another than usual."""
    template = copy.deepcopy(template)
    properties = {name: resource.get("Properties") for name, resource in template["Resources"].items()}
    for function in (FUNCTION, BATCH, PRE_TRAFFIC):
        properties[function]["CodeUri"] = "s3://built/function"
    for layer in LAYERS:
        properties[layer]["ContentUri"] = f"s3://built/{'changed' if layer == changed else 'layer'}"
    if "RetrainFunction" in properties:
        properties["RetrainFunction"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/built:image"
    properties["BatchStateMachine"]["DefinitionUri"] = "s3://built/definition"
    with patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}):
        made: dict[str, Any] = transform(template, parameters or {}, SimpleNamespace(load=dict))
    return made


def variant(name: str) -> dict[str, Any]:
    """Return what CloudFormation gets under a set of parameters, those as their defaults."""
    parameters = VARIANTS[name]
    template = read()
    if parameters.get("Retraining") == "off":
        template = without_retraining(template)
    for parameter, value in parameters.items():
        template["Parameters"][parameter]["Default"] = value
    return resolved(template, parameters=parameters)


def the_only(resources: Resources, kind: str) -> Any:
    (found,) = [properties for name, properties in resources.items() if name.startswith(f"{kind} ")]
    return found


def policies_of(resources: Resources, role: str) -> list[Any]:
    """Return the policies of a role, with those that are attached to it."""
    attached = [
        properties
        for name, properties in resources.items()
        if name.startswith("AWS::IAM::Policy ") and {"Ref": role} in properties["Roles"]
    ]
    own: list[Any] = resources[f"AWS::IAM::Role {role}"]["Policies"]
    return own + attached


def granted(policies: list[Any]) -> dict[str, set[str]]:
    """Return on what each action is allowed, whatever the conditions are; nothing else may be in the policies."""
    allowed: dict[str, set[str]] = {}
    for statement in (each for policy in policies for each in policy["PolicyDocument"]["Statement"]):
        plain = statement["Fn::If"][1] if "Fn::If" in statement else statement
        assert plain["Effect"] == "Allow"
        for action in _listed(plain["Action"]):
            allowed.setdefault(action, set()).update(map(json.dumps, _listed(plain["Resource"])))
    return allowed


def of_lambda(log_group: str) -> dict[str, set[str]]:
    """Return what every function's role allows, as `granted` does: its own log, and X-Ray, which knows no resources."""
    log = json.dumps({"Fn::GetAtt": [log_group, "Arn"]})
    logs = {action: {log} for action in ("logs:CreateLogStream", "logs:PutLogEvents")}
    return logs | {action: {'"*"'} for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords")}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
