"""The same function for many numbers in several processes: order, errors, and processes that end early."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest

from digits.errors import OperationError
from training import workers
from training.workers import TOGETHER, mapped


@pytest.fixture(autouse=True)
def _several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTHWHILE", 10)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3)


def square(number: int) -> int:
    return number * number


def failing(number: int) -> int:
    if number == 2 * TOGETHER:
        raise ValueError(f"not {number}")
    return number


def dying(number: int) -> int:
    if number == 31:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def own_process(_: int) -> int:
    return os.getpid()


def test_results_come_in_order_whatever_the_number() -> None:
    for count in (0, 1, 31, 4 * TOGETHER + 5):
        assert mapped(square, count) == [number * number for number in range(count)]


def test_many_are_spread_over_processes_and_few_are_not() -> None:
    assert len(set(mapped(own_process, 100))) == 3
    assert set(mapped(own_process, 19)) == {os.getpid()}


@pytest.mark.parametrize(
    ("function", "error", "message"), [(failing, ValueError, "not 100"), (dying, OperationError, "status -9")]
)
def test_a_failure_is_told_and_ends_the_others(function: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mapped(function, 1000)  # type: ignore[arg-type]
    assert not multiprocessing.active_children()
