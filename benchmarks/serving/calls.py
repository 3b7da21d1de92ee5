"""Timed calls: of a function in this process, or of a handler in a separate one without server or emulator."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.errors import OperationError

IN_PROCESS = Path(__file__).parent / "in_process.py"
_SECONDS = 0.5

type Call = tuple[Sequence[str], dict[str, str], dict[str, Any]]  # interpreter, environment, events by name


def time_calls(call: Callable[[], object], times: int) -> list[float]:
    """Return the seconds of each call."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds


def turned(names: Iterable[str], number: int) -> list[str]:
    """Return names in another order each round, so that none always comes after the same one."""
    each = list(names)
    start = number % len(each)
    return each[start:] + each[:start]


def call_handler(
    python: Sequence[str], environment: dict[str, str], handler: str, events: dict[str, Any]
) -> dict[str, Any]:
    """Call a handler on one core with each event for half a second.

    Args:
        events: by name; of a list, each is sent once, and the first one is not measured.

    Returns:
        See `in_process`: by the events' names, the seconds of all calls and the headers of the answers.

    Raises:
        OperationError: the handler failed.
    """
    finished = subprocess.run(
        # -P keeps the script's folder off the import path.
        [*python, "-P", str(IN_PROCESS), handler, str(_SECONDS)],
        env={"PATH": os.environ["PATH"], **environment},
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise OperationError(f"{handler} failed: {finished.stderr.strip().splitlines()[-1]}")
    answers: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answers


def call_in_turn(calls: Mapping[str, Call], number: int) -> dict[str, Any]:
    """Call several handlers, in another order each round.

    Args:
        calls: by handler, what `call_handler` takes.

    Returns:
        What `call_handler` does, of all of them together.
    """
    measured: dict[str, Any] = {}
    for handler in turned(calls, number):
        python, environment, events = calls[handler]
        measured |= call_handler(python, environment, handler, events)
    return measured


def median_milliseconds(measured: dict[str, Any]) -> float:
    """Return the median time of what `call_handler` measured with one event."""
    return float(statistics.median(measured["seconds"])) * 1e3
