"""The setup script on machines that lack something; that it works where nothing is lacking, every run shows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of which only the setup script matters, and an empty folder for programs."""
    (tmp_path / "checkout/local").mkdir(parents=True)
    (tmp_path / "checkout/requirements").mkdir()
    (tmp_path / "programs").mkdir()
    shutil.copy(ROOT / "local/setup", tmp_path / "checkout/local/setup")
    for name in ("dev.txt", "uv.txt"):
        shutil.copy(ROOT / "requirements" / name, tmp_path / "checkout/requirements" / name)
    for name in ("bash", "dirname", "cmp", "rm", "env"):
        (tmp_path / "programs" / name).symlink_to(str(shutil.which(name)))
    return tmp_path / "checkout"


def run_setup(checkout: Path) -> subprocess.CompletedProcess[str]:
    programs = checkout.parent / "programs"
    environment = {"PATH": str(programs), "HOME": str(checkout.parent)}
    return subprocess.run([str(checkout / "local/setup")], env=environment, capture_output=True, text=True, check=False)


def add_program(checkout: Path, name: str, script: str) -> None:
    path = checkout.parent / "programs" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_any_python_it_asks_for_one(checkout: Path) -> None:
    finished = run_setup(checkout)
    assert finished.returncode == 1
    assert "no python3 on PATH: install any Python 3" in finished.stderr.splitlines()[-1]


def test_where_uv_cannot_be_installed_it_says_what_would_help(checkout: Path) -> None:
    add_program(checkout, "python3", "exit 1")
    finished = run_setup(checkout)
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith("setup: uv cannot be installed: install it")


def test_where_python_313_cannot_be_had_the_last_line_is_the_cure(checkout: Path) -> None:
    add_program(checkout, "uv", "exit 1")
    finished = run_setup(checkout)
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == (
        "setup: CPython 3.13 is not here and cannot be fetched: install it (for example: pyenv install 3.13) "
        "and run make again"
    )
    assert not (checkout / ".venv").exists()


def test_a_pyenv_python_that_is_not_active_is_found(checkout: Path) -> None:
    add_program(
        checkout, "uv", '[ "$1" = venv ] && { echo "$@" >&2; exit 3; }\n[ "$1" = --version ] && echo uv; exit 1'
    )
    interpreter = checkout.parent / ".pyenv/versions/3.13.9/bin/python3.13"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    finished = run_setup(checkout)
    assert finished.returncode == 3
    assert f"--python {interpreter}" in finished.stderr
