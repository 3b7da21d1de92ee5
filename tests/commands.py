"""Commands as a person starts them: how they fail, and those that serve."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def assert_fails(output: pytest.CaptureFixture[str], status: int, message: str) -> None:
    """One line on standard error, exit status 2."""
    error = output.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert message in error


def clean_environment() -> dict[str, str]:
    """Return the environment without what points at a store, an account or a service."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DIGITS_"))}


@contextmanager
def served(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run a command that serves; gives what it shows, and interrupts it in the end."""
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        yield "".join(lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def found(pattern: str, text: str) -> str:
    """Return the first group of a pattern that a line of a text matches."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, text
    return match[1]
