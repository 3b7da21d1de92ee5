"""The names of what `sam build` makes, and the stamp by which a changed layer is noticed."""

from __future__ import annotations

from pathlib import Path

from samcli.yamlhelper import yaml_parse

from local.build import FUNCTION, LAYERS, STAMP, stamp

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def test_the_names_are_those_of_the_template() -> None:
    function = yaml_parse(TEMPLATE.read_text())["Resources"][FUNCTION]
    assert [layer["Ref"] for layer in function["Properties"]["Layers"]] == list(LAYERS)


def test_a_change_in_a_layer_alone_changes_the_built_function(tmp_path: Path) -> None:
    for name in (FUNCTION, *LAYERS):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.py").write_text("one")
    stamps = []
    for text in ("one", "two", "one"):
        (tmp_path / LAYERS[-1] / "code.py").write_text(text)
        stamp(tmp_path)
        stamps.append((tmp_path / FUNCTION / STAMP).read_text())
    assert stamps[0] == stamps[2] != stamps[1]
