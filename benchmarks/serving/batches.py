"""How many images per second one core reads, in requests of 256 through the whole handler."""

from __future__ import annotations

import statistics
import sys

from benchmarks import emulator
from benchmarks.serving import events
from benchmarks.serving.calls import call_handler
from benchmarks.serving.yardsticks import Yardsticks
from local.build import bare_python


def measure(yardsticks: Yardsticks, rounds: int) -> dict[str, list[float]]:
    """Return the median seconds of a request in each round, by the form of the images."""
    ours, theirs = events.batches(), {"tensorflow": events.bare_batch()}
    found: dict[str, list[float]] = {name: [] for name in (*ours, *theirs)}
    for _ in range(rounds):
        measured = call_handler(bare_python(), yardsticks.ours, emulator.HANDLER, ours)
        measured |= call_handler([sys.executable], yardsticks.tensorflow, "tensorflow_predict.batch", theirs)
        for name, each in measured.items():
            found[name].append(statistics.median(each["seconds"]))
    return found


def images_per_second(batches: dict[str, list[float]]) -> dict[str, float]:
    """Return the rates for the results file."""
    return {name: events.BATCH / statistics.median(seconds) for name, seconds in batches.items()}
