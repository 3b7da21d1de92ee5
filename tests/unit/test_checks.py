"""`make check`, the commit hooks and the workflow run the same checks."""

from __future__ import annotations

import re
import subprocess
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


def test_a_check_that_does_not_pass_fails_the_lot_and_is_named() -> None:
    finished = run_check("nonsense", "links")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == "failed: nonsense"
