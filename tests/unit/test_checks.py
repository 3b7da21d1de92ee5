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


@pytest.mark.parametrize(
    ("name", "text", "framework"),
    [
        ("notes.py", 'KEY = "AKIA' + "Z7" * 8 + '"\n', "secrets"),
        ("open.json", '{"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}', "cloudformation"),
    ],
)
def test_the_scan_finds_what_it_is_for(tmp_path: Path, name: str, text: str, framework: str) -> None:
    (tmp_path / name).write_text(text)
    command = [str(ROOT / ".ci/checkov"), "--framework", framework, "-f", str(tmp_path / name)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1, finished.stdout
    assert "FAILED for resource" in finished.stdout


def test_what_the_scan_leaves_out_is_a_short_list_with_reasons() -> None:
    text = (ROOT / ".ci/checkov.yaml").read_text()
    skipped = re.findall(r"^  # .+\n  - (CKV_\w+)$", text, re.MULTILINE)
    assert skipped == yaml_parse(text)["skip-check"]
    assert len(skipped) <= 7
