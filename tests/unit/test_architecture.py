"""The rules that hold the parts together."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from local.store import EmbeddedStore

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "digits": ROOT / "layers/digits/digits",
    "functions": ROOT / "functions",
    "training": ROOT / "training",
    "local": ROOT / "local",
    "benchmarks": ROOT / "benchmarks",
}
# package: what of the project and of the heavy libraries it may import
ALLOWED = {
    "digits": {"digits"},
    "functions": {"functions", "digits", "training"},  # training: the retrain function alone
    "training": {"training", "digits", "keras", "tensorflow"},
    "local": {"local", "functions", "digits", "training"},
    "benchmarks": {"benchmarks", "local", "functions", "digits", "training", "keras", "tensorflow"},
}
# room of the shared package: the rooms that it builds on
ROOMS: dict[str, set[str]] = {"pictures": set(), "model": {"pictures"}, "registry": {"pictures", "model"}}
WATCHED = {*PACKAGES, "keras", "tensorflow", "mlxtend", "tests"}
LOCKS = [ROOT / "requirements/dev.txt", ROOT / "requirements/train.txt", ROOT / "requirements/uv.txt"]
RUNTIME_LOCK = ROOT / "layers/runtime/requirements.txt"


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # which may be a module, too


def locked_versions(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    for path in PACKAGES[package].rglob("*.py"):
        found = {name.partition(".")[0] for name in imports(path)} & WATCHED
        assert found <= ALLOWED[package], f"{path} imports {found - ALLOWED[package]}"


def test_what_answers_requests_knows_no_training() -> None:
    for path in PACKAGES["functions"].rglob("*.py"):
        names = {name.partition(".")[0] for name in imports(path)}
        assert "training" not in names or path.parent.name == "retrain", path


def test_the_laptop_stack_holds_nothing_that_only_others_use() -> None:
    package = PACKAGES["local"]
    used = {name for path in package.glob("*.py") for name in imports(path)}
    for path in package.glob("*.py"):
        assert path.name in ("__init__.py", "__main__.py") or f"local.{path.stem}" in used, path


def test_programs_of_the_environment_are_found_without_path() -> None:
    ours = {path.name for path in Path(sys.executable).parent.iterdir()}
    assert {"sam", "schemathesis", "uvicorn", "ruff"} <= ours
    for path in [each for folder in (*PACKAGES.values(), ROOT / "tests") for each in folder.rglob("*.py")]:
        for name, line in started_by_name(path):
            assert name not in ours, f"{path}:{line} starts {name}, which is on PATH only where make put it"


def started_by_name(path: Path) -> Iterator[tuple[str, int]]:
    """Yield what could be a command: the first text of each list, and each that is looked up, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        first = node.elts[:1] if isinstance(node, ast.List) else []
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "shutil.which":
            first = node.args[:1]
        for each in first:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value.partition(" ")[0], each.lineno


def test_the_rooms_of_the_shared_package_build_on_each_other() -> None:
    package = PACKAGES["digits"]
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms == ROOMS.keys()
    for room, allowed in ROOMS.items():
        for path in (package / room).rglob("*.py"):
            used = {name.split(".")[1] for name in imports(path) if name.startswith("digits.")} & rooms
            assert used <= {room, *allowed}, f"{path} imports {used - {room, *allowed}}"


def test_no_module_but_the_layout_knows_a_key_of_the_bucket() -> None:
    keys = re.compile(r"""f?["'](models|decisions|pins|auth|datasets|locks)/""")
    for path in (path for folder in PACKAGES.values() for path in folder.rglob("*.py")):
        if path.name != "layout.py":
            assert not keys.search(path.read_text()), path


def test_the_shared_package_knows_no_web_framework() -> None:
    for path in PACKAGES["digits"].rglob("*.py"):
        assert not {name.partition(".")[0] for name in imports(path)} & {"fastapi", "starlette", "mangum"}


def test_nothing_edits_the_import_path() -> None:
    for path in [*ROOT.glob("tests/**/*.py"), *(file for folder in PACKAGES.values() for file in folder.rglob("*.py"))]:
        if path != Path(__file__):
            assert not re.search(r"sys\.path\s*[.\[=+]", path.read_text()), path


def test_importing_the_handler_does_no_work_and_stays_light() -> None:
    code = """
import os, socket, sys, threading
def refuse(*_): raise AssertionError("work at import")
socket.socket.connect = socket.getaddrinfo = threading.Thread.start = refuse
class Watched(dict):
    def __getitem__(self, key):
        return refuse() if key.startswith(("DIGITS_", "AWS_")) else super().__getitem__(key)
    def get(self, key, default=None):
        return refuse() if key.startswith(("DIGITS_", "AWS_")) else super().get(key, default)
os.environ = Watched(os.environ)
import functions.predict_api.handler
loaded = {name.partition(".")[0] for name in sys.modules}
heavy = loaded & {"tensorflow", "keras", "boto3", "matplotlib", "scipy", "pandas", "training"}
assert not heavy, heavy
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_frameworks_models_of_openapi_wait_until_the_description_is_asked_for() -> None:
    code = """
import functions.predict_api.handler
from fastapi.openapi.models import PathItem
from pydantic import BaseModel
assert BaseModel.model_config == {}
assert not PathItem.__pydantic_complete__
from functions.predict_api.app import app_from_environment
assert app_from_environment({}).openapi()["paths"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_validators_of_a_manifests_parts_wait_until_one_is_used_by_itself() -> None:
    code = """
from digits.model.manifest import FileRecord, Manifest
assert Manifest.__pydantic_complete__
assert not FileRecord.__pydantic_complete__
assert FileRecord(sha256="0" * 64, size_bytes=1).size_bytes == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("before", ["enable", "disable"])
@pytest.mark.parametrize("failing", [None, "fastapi", "ai_edge_litert"])
def test_imports_leave_the_collector_as_it_was(before: str, failing: str | None) -> None:
    code = f"""
import gc, sys
gc.{before}()
if {failing!r}:
    sys.modules[{failing!r}] = None
try:
    import functions.predict_api.handler
except ImportError:
    assert {failing!r}
else:
    assert not {failing!r}
    assert gc.get_freeze_count()
assert gc.isenabled() == ({before!r} == "enable")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_locks_agree_on_every_shared_version() -> None:
    development = locked_versions(LOCKS[0])
    for path in (*LOCKS[1:], RUNTIME_LOCK):
        versions = locked_versions(path)
        assert versions
        assert versions.items() <= development.items(), path


def test_locks_are_hashed_and_carry_no_address() -> None:
    for path in (*LOCKS, RUNTIME_LOCK):
        text = path.read_text()
        assert "://" not in text, path
        packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert packages
        assert all("--hash=sha256:" in package for package in packages), path


def test_what_only_mlxtend_asks_for_is_in_no_lock() -> None:
    excluded = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["exclude-dependencies"]
    assert "scikit-learn" in excluded
    for path in LOCKS[:2]:
        assert "mlxtend" in locked_versions(path)
        assert not set(excluded) & locked_versions(path).keys(), path


def test_the_runtime_lock_holds_what_serving_declares_and_nothing_of_training() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    def names(requirements: list[Any]) -> set[str]:
        return {re.split(r"[<>=\[\s]", each)[0] for each in requirements if isinstance(each, str)}

    locked = locked_versions(RUNTIME_LOCK).keys()
    assert names(project["project"]["dependencies"]) <= locked
    assert not locked & names(project["dependency-groups"]["train"])
    assert not locked & names(project["dependency-groups"]["dev"])


def test_one_python_everywhere() -> None:
    wanted = (ROOT / ".python-version").read_text().strip()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    template = (ROOT / "template.yaml").read_text()
    assert project["requires-python"] == f"=={wanted}.*"
    assert set(re.findall(r"python(3\.\d+)", template)) == {wanted}
    dockerfile = (ROOT / "functions/retrain/Dockerfile").read_text()
    assert set(re.findall(r"^FROM \S+/python:(\S+)", dockerfile, re.MULTILINE)) == {wanted}
    assert sys.version_info[:2] == tuple(int(part) for part in wanted.split("."))


def test_the_scheduled_event_is_the_sample_event() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    schedule = template["Resources"]["RetrainFunction"]["Properties"]["Events"]["Schedule"]["Properties"]
    sample = json.loads((ROOT / "events/schedule_retrain.json").read_text())
    assert json.loads(schedule["Input"]).keys() == sample.keys()
    for name in ("ScheduleExpression", "ScheduleExpressionTimezone", "State"):
        assert schedule[name] is not None
        assert template["Parameters"].keys() >= {"RetrainSchedule", "RetrainTimeZone", "RetrainState", "RetrainRecipe"}


def test_the_image_is_built_from_what_the_retraining_imports_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "functions/retrain/Dockerfile").read_text(), re.MULTILINE)
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == set(copied)


def test_the_makefile_and_the_local_stack_mean_the_same_store() -> None:
    lines = re.search(r"^LOCAL_STORE := (.*?[^\\])$", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert lines
    variables = dict(re.findall(r"(\w+)=(\S+)", lines[1].replace("$(STORE_PORT)", "9000")))
    assert variables == EmbeddedStore(port=9000).environment()


def test_the_make_targets_list_themselves() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony == described
