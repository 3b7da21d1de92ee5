"""The names of what `sam build` makes."""

from __future__ import annotations

from pathlib import Path

from samcli.yamlhelper import yaml_parse

from local.build import FUNCTION, LAYERS

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def test_the_names_are_those_of_the_template() -> None:
    function = yaml_parse(TEMPLATE.read_text())["Resources"][FUNCTION]
    assert [layer["Ref"] for layer in function["Properties"]["Layers"]] == list(LAYERS)
