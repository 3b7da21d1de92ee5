"""Rounds in which all candidates take turns, each in its own container from a cold start on."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import emulator
from benchmarks.serving import events
from benchmarks.serving.calls import time_calls
from benchmarks.serving.yardsticks import Candidate
from digits.errors import OperationError


@dataclass(frozen=True)
class Round:
    """One container: the times of its cold start and of each warm answer, and its peak resident memory.

    Attributes:
        cold_seconds: from the emulator's start to the first answer.
        init_seconds: the part of it until the function asks for its first event; see `emulator.cold_phases`.
        first_seconds: the part of it that the first invocation takes.
    """

    cold_seconds: float
    init_seconds: float
    first_seconds: float
    warm_seconds: list[float]
    memory_megabytes: float


def measure(candidates: dict[str, Candidate], count: int) -> dict[str, list[Round]]:
    """Return the rounds of each candidate.

    Raises:
        OperationError: a handler read the 7 wrongly or failed.
    """
    rounds: dict[str, list[Round]] = {name: [] for name in candidates}
    names = list(candidates)
    for number in range(count):
        start = number % len(names)  # so that none always comes after the same one
        for name in names[start:] + names[:start]:
            rounds[name].append(_round(candidates[name]))
        cold = ", ".join(f"{name} {measured[-1].cold_seconds:.3f}" for name, measured in rounds.items())
        print(f"round {number + 1}/{count}: cold start in seconds: {cold}", flush=True)
    return rounds


def _round(candidate: Candidate) -> Round:
    logged, event = io.StringIO(), json.dumps(events.sample()).encode()
    started = time.perf_counter()
    with (
        contextlib.redirect_stdout(logged),
        emulator.emulated(candidate.python, candidate.handler, candidate.environment) as container,
    ):
        answer = json.loads(container.answer(event))
        cold_seconds = time.perf_counter() - started
        if answer.get("statusCode") != 200 or json.loads(answer["body"])["pred"] != 7:
            raise OperationError(f"{candidate.handler} answered {answer}")
        warm = time_calls(lambda: container.answer(event), candidate.requests)
        for heavy in candidate.heavy:
            status = json.loads(container.answer(heavy))["statusCode"]
            assert status == 200, status
        memory_megabytes = container.memory_kilobytes() * 1024 / 1e6
    return Round(cold_seconds, *emulator.cold_phases(logged.getvalue()), warm, memory_megabytes)


def summary(measured: list[Round]) -> dict[str, Any]:
    """Return a summary of a candidate's rounds for the results file."""
    warm = [seconds * 1e3 for each in measured for seconds in each.warm_seconds]
    return {
        "cold_seconds": [round(each.cold_seconds, 4) for each in measured],
        "init_seconds": [round(each.init_seconds, 4) for each in measured],
        "first_invocation_seconds": [round(each.first_seconds, 4) for each in measured],
        "warm_p50_milliseconds": statistics.median(warm),
        "warm_p99_milliseconds": float(np.percentile(warm, 99)),
        "memory_megabytes": max(each.memory_megabytes for each in measured),
    }
