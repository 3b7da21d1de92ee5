"""How long a number takes, beside a single digit: in the networks alone, and in the handler."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import emulator
from benchmarks.models import Measured
from benchmarks.serving import events
from benchmarks.serving.calls import call_handler, median_milliseconds, time_calls, turned
from benchmarks.serving.curves import phases
from digits.numbers import read_line
from digits.pictures.rows import find_rows
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from local.lambda_invoke import EVENT_TOKEN
from local.stack import running_store
from training.artifacts import read_folder

LINE_WIDTH = 150
SIDE = events.NUMBER_SIDE
READER, REQUEST = f"reader, a line of {LINE_WIDTH} columns, ms", f"request, a number on {SIDE}x{SIDE} pixels, ms"
AIMS = {READER: 1.0, REQUEST: 15.0}  # at most
_PHASES = ("token", "decode", "rows", "inference", "encoding")
_CALLS = 200


@dataclass(frozen=True)
class Time:
    """A figure over the rounds: its median and its quartiles.

    Attributes:
        aim: what it is at most; None where it is there to compare or to explain.
    """

    name: str
    median: float
    low: float
    high: float
    aim: float | None

    @property
    def met(self) -> bool:
        """Whether the aim, if there is one, is met or missed by no more than the noise."""
        return self.aim is None or self.low <= self.aim

    def line(self) -> str:
        """Return it as a row of a Markdown table."""
        aim, verdict = "–", ""
        if self.aim is not None:
            aim, verdict = f"at most {self.aim:g}", "met" if self.met else "**missed**"
        return f"| {self.name} | {aim} | {self.median:.3g} | {self.low:.3g}..{self.high:.3g} | {verdict} |"


def measure(model: Measured, folder: Path, rounds: int) -> list[Time]:
    """Measure networks and handler in rounds in which digits and numbers take turns.

    Args:
        folder: the model's, which the handler is to find in its store.

    Raises:
        NoReaderError, CorruptModelError: the model has no reader, or one that is not what its manifest says.
        OperationError: the handler failed.
    """
    calls, requests = _calls(model), {"digit": events.of_side(SIDE), "number": events.of_number(SIDE)}
    measured: list[dict[str, float]] = []
    with running_store() as store:
        _publish(folder)
        # This checkout's code, as it is warm; what a cold start takes is the serving benchmark's.
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **store.environment()}
        for number in range(rounds):
            alone = {name: statistics.median(time_calls(calls[name], _CALLS)) * 1e3 for name in turned(calls, number)}
            sent = {name: requests[name] for name in turned(requests, number)}
            measured.append(figures(alone, call_handler([sys.executable], environment, emulator.HANDLER, sent)))
    return [time_of(name, [each[name] for each in measured]) for name in measured[0]]


def time_of(name: str, values: list[float]) -> Time:
    """Return a figure from its values in the rounds."""
    low, middle, high = (float(each) for each in np.percentile(values, (25, 50, 75)))
    return Time(name, middle, low, high, AIMS.get(name))


def figures(alone: Mapping[str, float], requests: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of one round, by name.

    Args:
        alone: the milliseconds of `classifier`, `reader` and `line`, without the handler.
        requests: what `call_handler` measured with `digit` and `number`.
    """
    digit, number = (median_milliseconds(requests[name]) for name in ("digit", "number"))
    split = phases(requests["number"], _PHASES)
    return {
        "classifier, one digit, ms": alone["classifier"],
        READER: alone["reader"],
        "reader / classifier": alone["reader"] / alone["classifier"],
        "the line read, with strings and places, ms": alone["line"],
        f"request, a digit on {SIDE}x{SIDE} pixels, ms": digit,
        REQUEST: number,
        "request, number / digit": number / digit,
        **{f"of this, {name}, ms": milliseconds for name, milliseconds in split.items()},
    }


def line_of_number() -> NDArray[np.uint8]:
    """Return the sample number as a line, uint8 (32, 150), with paper to the right of it."""
    (row,) = find_rows(events.number_picture()).rows
    return np.pad(row.pixels, ((0, 0), (0, LINE_WIDTH)))[:, :LINE_WIDTH]


def _calls(model: Measured) -> dict[str, Callable[[], object]]:
    classifier, reader, line = model.classifier, model.numbers.get().network, line_of_number()
    digit = np.asarray(Image.open(events.DIGIT))
    calls: dict[str, Callable[[], object]] = {
        "classifier": lambda: classifier.predict(digit[None]),
        "reader": lambda: reader.logits(line[None]),
        "line": lambda: read_line(line, reader),
    }
    for call in calls.values():
        call()  # the first one allocates tensors of this size
    return calls


def _publish(folder: Path) -> None:
    """Put a model and the events' token into the store that the environment names."""
    bucket = Bucket.from_environment(os.environ)
    registry = Registry(bucket)
    registry.promote(registry.publish(*read_folder(folder)))
    tokens.add(bucket, "events", EVENT_TOKEN)
