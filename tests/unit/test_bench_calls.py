"""The script that calls a handler for the serving benchmark."""

from __future__ import annotations

import sys

import pytest

from benchmarks.emulator import HANDLER
from benchmarks.serving.calls import call_handler, turned
from digits.errors import OperationError


def test_a_handler_is_called_with_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.serving.calls._SECONDS", 0.01)
    answers = call_handler([sys.executable], {}, "benchmarks.handlers.empty.handler", {"a": {}, "b": {}})
    assert answers.keys() == {"a", "b"}
    assert len(answers["a"]["seconds"]) >= 7
    assert all(seconds > 0 for seconds in answers["b"]["seconds"])


def test_of_a_list_each_event_is_sent_once_and_the_first_is_not_measured() -> None:
    answers = call_handler([sys.executable], {}, "benchmarks.handlers.empty.handler", {"a": [{}, {}, {}]})
    assert len(answers["a"]["seconds"]) == len(answers["a"]["headers"]) == 2


def test_an_answer_that_is_a_problem_is_not_measured() -> None:
    with pytest.raises(OperationError, match=r"AssertionError.*neither an HTTP request"):
        call_handler([sys.executable], {}, HANDLER, {"a": {"unknown": 1}})


def test_names_take_turns_at_coming_first() -> None:
    assert [turned("abc", number) for number in (0, 1, 3)] == [["a", "b", "c"], ["b", "c", "a"], ["a", "b", "c"]]


def test_a_handler_that_fails_is_told_with_its_last_line() -> None:
    with pytest.raises(OperationError, match=r"missing\.handler failed: ModuleNotFoundError"):
        call_handler([sys.executable], {}, "benchmarks.handlers.missing.handler", {})
