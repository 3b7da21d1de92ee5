"""What SAM makes of template.yaml."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from local.build import BATCH, FUNCTION, LAYERS

TEMPLATE = Path(__file__).parents[1] / "template.yaml"

type Resources = dict[str, Any]


def read() -> dict[str, Any]:
    """Return the template, as it stands in the repository."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return parsed


def transformed(template: dict[str, Any], changed: str = "") -> Resources:
    """Return the CloudFormation resources; one layer may be another than usual."""
    made: Resources = resolved(template, changed)["Resources"]
    return {f"{resource['Type']} {name}": resource.get("Properties", {}) for name, resource in made.items()}


def resolved(template: dict[str, Any], changed: str = "") -> dict[str, Any]:
    """Return the CloudFormation template; one layer may be another than usual."""
    template = copy.deepcopy(template)
    properties = {name: resource.get("Properties") for name, resource in template["Resources"].items()}
    for function in (FUNCTION, BATCH):
        properties[function]["CodeUri"] = "s3://built/function"
    for layer in LAYERS:
        properties[layer]["ContentUri"] = f"s3://built/{'changed' if layer == changed else 'layer'}"
    properties["RetrainFunction"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/built:image"
    properties["BatchStateMachine"]["DefinitionUri"] = "s3://built/definition"
    made: dict[str, Any] = transform(template, {}, SimpleNamespace(load=dict))
    return made


def the_only(resources: Resources, kind: str) -> Any:
    (found,) = [properties for name, properties in resources.items() if name.startswith(f"{kind} ")]
    return found
