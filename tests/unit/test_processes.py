"""The same function for many numbers in several processes: order, errors, and processes that end early."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import SpawnProcess

import pytest

from digits.errors import OperationError, UnreadableDigitError
from training import processes
from training.processes import TOGETHER, mapped


@pytest.fixture(autouse=True)
def _several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "WORTHWHILE", 10)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3)


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


def blocked(_: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_no_process_hears_ctrl_c_itself() -> None:
    assert all(mapped(blocked, 100))
    assert not blocked(0)


def test_a_process_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    start = SpawnProcess.start
    started: list[SpawnProcess] = []

    def start_one(process: SpawnProcess) -> None:
        if started:
            raise BlockingIOError("try again later")
        start(process)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start_one)
    with pytest.raises(OperationError, match="no process to draw pictures in: try again later"):
        mapped(square, 100)
    assert not multiprocessing.active_children()


def test_results_come_in_order_whatever_the_number() -> None:
    for count in (0, 1, 31, 4 * TOGETHER + 5):
        assert mapped(square, count) == [number * number for number in range(count)]


def test_many_are_spread_over_processes_and_few_are_not() -> None:
    assert len(set(mapped(own_process, 100))) == 3
    assert set(mapped(own_process, 19)) == {os.getpid()}


@pytest.mark.parametrize(
    ("function", "message"), [(failing, "pictures failed: .*UnreadableDigitError: not 100"), (dying, "status -9")]
)
def test_a_failure_is_told_and_ends_the_others(function: Callable[[int], int], message: str) -> None:
    with pytest.raises(OperationError, match=message):
        mapped(function, 1000)
    assert not multiprocessing.active_children()
