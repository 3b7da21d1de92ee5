"""`make check`, the commit hooks and the workflow run the same checks."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]
CHECK = ROOT / ".ci/check"


def run_check(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(CHECK), *names], capture_output=True, text=True, check=False)


def names() -> list[str]:
    return run_check("--list").stdout.split()


def test_make_check_runs_every_check() -> None:
    recipe = re.search(r"^check: setup  ## (.+)\n\t@(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    assert recipe[1].split(", ") == names()
    assert recipe[2] == ".ci/check"  # without arguments: all of them


def test_each_check_has_a_hook_that_needs_no_network() -> None:
    (repository,) = yaml_parse((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert [hook["id"] for hook in repository["hooks"]] == names()
    for hook in repository["hooks"]:
        assert hook["entry"] == f".ci/check {hook['id']}"
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False


@pytest.mark.parametrize("file", [".ci/run", ".github/workflows/ci.yml"])
def test_whatever_gates_a_change_runs_check_and_test(file: str) -> None:
    text = (ROOT / file).read_text()
    assert re.search(r"^\s*(- run: )?make check$", text, re.MULTILINE)
    assert re.search(r"^\s*(- run: )?make test\b", text, re.MULTILINE)


def test_tests_that_need_more_have_a_target_of_their_own_which_is_run_where_it_can_be() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    kinds = [marker.split(":")[0] for marker in settings["markers"]]
    excluded = " and ".join(f"not {kind}" for kind in kinds)
    assert f"-m '{excluded}'" in settings["addopts"]
    for kind in kinds:
        assert re.search(rf"^test-{kind}: .+\n\t@pytest -m {kind}$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert re.search(rf"^[^#'\"]*\bmake test-{kind}\b", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_a_check_that_does_not_pass_fails_the_lot_and_is_named() -> None:
    finished = run_check("nonsense", "links")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == "failed: nonsense"
