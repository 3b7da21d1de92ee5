"""The script that calls a handler for the serving benchmark."""

from __future__ import annotations

import sys

import pytest

from benchmarks.serving.calls import call_handler
from digits.errors import OperationError


def test_a_handler_is_called_with_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.serving.calls._SECONDS", 0.01)
    answers = call_handler([sys.executable], {}, "benchmarks.handlers.empty.handler", {"a": {}, "b": {}})
    assert answers.keys() == {"a", "b"}
    assert len(answers["a"]["seconds"]) >= 7
    assert all(seconds > 0 for seconds in answers["b"]["seconds"])


def test_a_handler_that_fails_is_told_with_its_last_line() -> None:
    with pytest.raises(OperationError, match=r"missing\.handler failed: ModuleNotFoundError"):
        call_handler([sys.executable], {}, "benchmarks.handlers.missing.handler", {})
