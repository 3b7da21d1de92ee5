"""Rounds in which all candidates take turns, each in its own container from a cold start on."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import emulator
from benchmarks.emulator import Phase
from benchmarks.serving import events
from benchmarks.serving.calls import time_calls, turned
from benchmarks.serving.distant import Request, in_a_row
from benchmarks.serving.yardsticks import Candidate
from digits.errors import OperationError

MEASURED = "MEASURED_HANDLER"  # names the handler that `handlers/phases.py` wraps


@dataclass(frozen=True)
class Round:
    """One container: the times of its cold start and of each warm answer, and its peak resident memory.

    Attributes:
        cold_seconds: from the emulator's start to the first answer.
        init: the part of it until the function asks for its first event; see `emulator.cold_phases`.
        first: the part of it that the first invocation takes.
        asked: what a distant store was asked until the first answer.
    """

    cold_seconds: float
    init: Phase
    first: Phase
    warm_seconds: list[float]
    memory_megabytes: float
    asked: Sequence[Request] = ()


def measure(candidates: dict[str, Candidate], count: int) -> dict[str, list[Round]]:
    """Return the rounds of each candidate.

    Raises:
        OperationError: a handler read the 7 wrongly or failed.
    """
    rounds: dict[str, list[Round]] = {name: [] for name in candidates}
    for number in range(count):
        for name in turned(candidates, number):
            rounds[name].append(run(candidates[name]))
        cold = ", ".join(f"{name} {measured[-1].cold_seconds:.3f}" for name, measured in rounds.items())
        print(f"round {number + 1}/{count}: cold start in seconds: {cold}", flush=True)
    return rounds


def run(candidate: Candidate) -> Round:
    """Start a container, measure it, and end it; raises as `measure` does."""
    logged, event = io.StringIO(), json.dumps(events.sample()).encode()
    environment = candidate.environment | {MEASURED: candidate.handler}
    if candidate.store:
        candidate.store.forget()
    started = time.perf_counter()
    with (
        contextlib.redirect_stdout(logged),
        emulator.emulated(candidate.python, "phases.handler", environment) as container,
    ):
        answer = json.loads(container.answer(event))
        cold_seconds = time.perf_counter() - started
        asked = candidate.store.requests() if candidate.store else ()
        if answer.get("statusCode") != 200 or json.loads(answer["body"])["pred"] != 7:
            raise OperationError(f"{candidate.handler} answered {answer}")
        warm = time_calls(lambda: container.answer(event), candidate.requests)
        for heavy in candidate.heavy:
            status = json.loads(container.answer(heavy))["statusCode"]
            assert status == 200, status
        memory_megabytes = container.memory_kilobytes() * 1024 / 1e6
    return Round(cold_seconds, *emulator.cold_phases(logged.getvalue()), warm, memory_megabytes, asked)


def summary(measured: list[Round]) -> dict[str, Any]:
    """Return a summary of a candidate's rounds for the results file."""
    asked = {
        "store_requests": [len(each.asked) for each in measured],
        "store_requests_in_a_row": [in_a_row(each.asked) for each in measured],
    }
    warm = [seconds * 1e3 for each in measured for seconds in each.warm_seconds]
    return {
        "cold_seconds": [round(each.cold_seconds, 4) for each in measured],
        "init_seconds": [round(each.init.seconds, 4) for each in measured],
        "init_processor_seconds": [round(each.init.processor_seconds, 4) for each in measured],
        "first_invocation_seconds": [round(each.first.seconds, 4) for each in measured],
        "first_invocation_processor_seconds": [round(each.first.processor_seconds, 4) for each in measured],
        "warm_p50_milliseconds": statistics.median(warm),
        "warm_p99_milliseconds": float(np.percentile(warm, 99)),
        "memory_megabytes": max(each.memory_megabytes for each in measured),
        **(asked if any(each.asked for each in measured) else {}),
    }
