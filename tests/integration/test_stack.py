"""The laptop stack: its demo's steps, and what becomes of the training that it starts."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from digits.errors import OperationError
from local import __main__ as local_command
from local import stack
from local.stack import run_training
from training.__main__ import main
from training.recipes import RECIPES


def test_ctrl_c_in_the_demo_leaves_training_to_end_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for a training that goes on to export after the first Ctrl-C.
    training = tmp_path / "python"
    training.write_text('#!/bin/sh\ntrap \'\' INT\nsleep 1\ntouch "$(dirname "$0")/written"\n')
    training.chmod(0o755)
    monkeypatch.setattr("local.stack.sys.executable", str(training))
    ctrl_c = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    run_training("train")
    ctrl_c.join()
    assert (tmp_path / "written").exists()


def test_the_demo_trains_publishes_and_reads_a_digit_and_a_number(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training is a stand-in: what it would have left is there."""
    printed = StringIO()  # not capsys, whose standard error uvicorn would have TensorFlow's logging close
    run: list[tuple[str, ...]] = []

    def at_once(*arguments: str) -> None:
        run.append(arguments)
        if arguments[0] == "publish":
            assert main(list(arguments)) == 0

    monkeypatch.chdir(trained.parents[1])
    monkeypatch.setenv("DIGITS_MNIST", "embedded")
    monkeypatch.setattr(stack, "run_training", at_once)
    with redirect_stdout(printed):
        assert local_command.main(["smoke"]) == 0
    assert run == [("train", "--recipe", "quick"), ("publish",)]
    steps = [
        "object store: ",
        "published ",
        "promoted",
        "pred        7",
        "text        2026",
        "URL ",
        "token ",
        "try it ",
    ]
    places = [printed.getvalue().index(step) for step in steps]
    assert places == sorted(places)


def test_the_demos_recipe_reads_numbers_too() -> None:
    assert RECIPES[stack.DEMO_RECIPE].reader is not None


def test_a_training_that_fails_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.stack.sys.executable", "false")
    with pytest.raises(OperationError, match=r"^'python -m training train --recipe quick' ended with status 1$"):
        run_training("train", "--recipe", "quick")
