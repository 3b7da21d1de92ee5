"""Builds on machines that lack something; that they work where nothing is lacking, every run shows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILES = {
    "PredictApiFunction": "functions/Makefile",
    "DigitsLayer": "layers/digits/Makefile",
    "RuntimeLayer": "layers/runtime/Makefile",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment, and a folder with the programs that every machine has."""
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, tmp_path / "checkout" / name)
    (tmp_path / "programs").mkdir()
    for name in ("make", "mkdir", "cp", "find", "rm", "chmod"):
        (tmp_path / "programs" / name).symlink_to(str(shutil.which(name)))
    return tmp_path / "checkout"


def build(checkout: Path, part: str) -> subprocess.CompletedProcess[str]:
    """Run a makefile as `sam build` does: in another folder, by its path."""
    programs, makefile = checkout.parent / "programs", checkout / MAKEFILES[part]
    return subprocess.run(
        [str(programs / "make"), "--makefile", str(makefile), f"build-{part}"],
        cwd=shutil.copytree(makefile.parent, checkout.parent / "scratch"),
        env={"PATH": str(programs), "ARTIFACTS_DIR": str(checkout.parent / "built")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("part", MAKEFILES)
def test_a_build_without_python_313_says_what_to_run(checkout: Path, part: str) -> None:
    finished = build(checkout, part)
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-2].startswith("there is no python3.13")
    assert "run make build" in finished.stderr.splitlines()[-2]


@pytest.mark.parametrize("part", ["PredictApiFunction", "DigitsLayer"])
def test_a_build_finds_the_environment_of_the_checkout_without_path(checkout: Path, part: str) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python3.13").symlink_to(sys.executable)
    finished = build(checkout, part)
    assert finished.returncode == 0, finished.stderr
    assert list((checkout.parent / "built").rglob("*.pyc"))


@pytest.mark.parametrize(("engine", "told"), [("exit 1", True), ("exit 0", False)])
def test_a_plain_build_without_a_docker_engine_says_what_to_run(checkout: Path, engine: str, told: bool) -> None:
    for path, script in ((".venv/bin/python3.13", "exit 0"), ("../programs/docker", engine)):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(f"#!/bin/sh\n{script}\n")
        (checkout / path).chmod(0o755)
    finished = build(checkout, "PredictApiFunction")
    assert finished.returncode == 0, finished.stderr
    assert ("run make build, which builds all but the image" in finished.stdout) == told
