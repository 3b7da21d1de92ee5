"""How many images per second one core reads: in requests of 256 through the whole handler, and in archives."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import emulator
from benchmarks.archives import BATCH_HANDLER, archive, dropped
from benchmarks.serving import events
from benchmarks.serving.calls import Call, call_in_turn, turned
from benchmarks.serving.pictures import DIGITS
from benchmarks.serving.yardsticks import Yardsticks
from digits.registry.bucket import Bucket
from digits.registry.layout import BATCH_IN
from local.build import bare_python

ARCHIVED = 1_000
_ARCHIVES = 4  # in a round, of which the first is not measured: each is read once
_LABELS = {
    "png": f"{events.BATCH} PNGs of 28x28",
    "scans": f"{events.BATCH} PNGs of {events.SCAN_SIDE}x{events.SCAN_SIDE}, scans",
    "pixels": f"{events.BATCH} as `pixels`",
    "binary": f"{events.BATCH} as V2 binary tensors",
    "archive": f"archive of {ARCHIVED:,} PNGs of 28x28, by the batch function",
    "tensorflow": f"{events.BATCH} in TensorFlow's `predict` alone",
}


def measure(yardsticks: Yardsticks, rounds: int) -> dict[str, list[float]]:
    """Return the median seconds of a request in each round, by the form of the images.

    Archives are put into the store that the environment names.
    """
    ours, theirs = {**events.batches(), "scans": events.of_scans()}, {"tensorflow": events.bare_batch()}
    found: dict[str, list[float]] = {name: [] for name in _LABELS}
    for number in range(rounds):
        archives = {"archive": _drop_archives(f"round-{number}")}
        calls: dict[str, Call] = {
            emulator.HANDLER: (bare_python(), yardsticks.ours, {name: ours[name] for name in turned(ours, number)}),
            "tensorflow_predict.batch": ([sys.executable], yardsticks.tensorflow, theirs),
            BATCH_HANDLER: (bare_python(), yardsticks.batch, archives),
        }
        for name, each in call_in_turn(calls, number).items():
            found[name].append(statistics.median(each["seconds"]))
    return found


def _drop_archives(name: str) -> list[dict[str, Any]]:
    """Put archives into the store, and return their events."""
    bucket = Bucket.from_environment(os.environ)
    data = archive([path.read_bytes() for path in sorted(DIGITS.glob("*.png"))], ARCHIVED)
    names = [f"{name}/{number}.zip" for number in range(_ARCHIVES)]
    for each in names:
        bucket.create(f"{BATCH_IN}{each}", data)
    return [dropped(each) for each in names]


def images_per_second(batches: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the median rates and their quartiles for the results file."""
    rates = {}
    for name, seconds in batches.items():
        count = ARCHIVED if name == "archive" else events.BATCH
        low, median, high = (float(each) for each in count / np.percentile(seconds, (75, 50, 25)))
        rates[name] = {"median": median, "low": low, "high": high}
    return rates


def lines(rates: dict[str, dict[str, float]]) -> Iterator[str]:
    """Return the rates as a Markdown table."""
    yield "| read on one core | images a second | quartiles |"
    yield "| --- | --- | --- |"
    for name, label in _LABELS.items():
        rate = rates[name]
        yield f"| {label} | {rate['median']:,.0f} | {rate['low']:,.0f}..{rate['high']:,.0f} |"
