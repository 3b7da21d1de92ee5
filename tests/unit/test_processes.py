"""The same function for many numbers in several processes: order, errors, and processes that end early."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from digits.errors import OperationError, UnreadableDigitError
from training import processes
from training.processes import TOGETHER


@pytest.fixture(autouse=True)
def _several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3)


def mapped[Result](function: Callable[[int], Result], count: int) -> list[Result]:
    return processes.mapped(function, count, worthwhile=10)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started."""
    all_of_them: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            all_of_them.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return all_of_them


def square(number: int) -> int:
    return number * number


def failing(number: int) -> int:
    if number == 2 * TOGETHER:
        raise UnreadableDigitError(f"not {number}", "blank")  # which no other process could unpickle
    return number


def dying(number: int) -> int:
    if number == 31:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def own_process(_: int) -> int:
    return os.getpid()


def own_group(_: int) -> int:
    return os.getpgrp()


def test_ctrl_c_reaches_no_process_but_this() -> None:
    assert os.getpgrp() not in mapped(own_group, 100)


def test_a_process_that_cannot_start_is_told(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen

    def start_one(*arguments: Any, **settings: Any) -> subprocess.Popen[bytes]:
        if started:
            raise BlockingIOError("try again later")
        return start(*arguments, **settings)

    monkeypatch.setattr(subprocess, "Popen", start_one)
    with pytest.raises(OperationError, match="no process to draw pictures in: try again later"):
        mapped(square, 100)
    assert started[0].returncode == -signal.SIGTERM


def test_results_come_in_order_whatever_the_number() -> None:
    for count in (0, 1, 31, 4 * TOGETHER + 5):
        assert mapped(square, count) == [number * number for number in range(count)]


def test_many_are_spread_over_processes_and_few_are_not() -> None:
    assert len(set(mapped(own_process, 100))) == 3
    assert set(mapped(own_process, 19)) == {os.getpid()}


@pytest.mark.parametrize(
    ("function", "message"), [(failing, "pictures failed: .*UnreadableDigitError: not 100"), (dying, "status -9")]
)
def test_a_failure_is_told_and_ends_the_others(
    function: Callable[[int], int], message: str, started: list[subprocess.Popen[bytes]]
) -> None:
    with pytest.raises(OperationError, match=message):
        mapped(function, 1000)
    assert len(started) == 3
    assert all(process.returncode is not None for process in started)
