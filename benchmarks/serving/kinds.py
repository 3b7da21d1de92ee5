"""Warm requests by what people send: how long each kind takes in the handler, and where the time goes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import emulator
from benchmarks.serving import events, pictures
from benchmarks.serving.calls import Call, call_in_turn, turned
from benchmarks.serving.curves import PHASES, phases
from benchmarks.serving.yardsticks import Yardsticks
from local.build import bare_python

MNIST = "MNIST's PNG, 28x28"
DRAWING = "drawing, PNG, 400x400"
SCAN = "scan, PNG, 300x400"
PHOTO = "phone photo, JPEG, 1600x1200"
LARGE_PHOTO = "phone photo, JPEG, 4000x3000"
PIXELS = "`pixels`, 28x28"
TENSOR = "V2, binary, one image"
HELLO = "MNIST's PNG to `hello`, which does not look at it"
# As canonical form gets them, they have 400 to 1,000 pixels on their longest side.
MIDDLE = (DRAWING, SCAN, PHOTO, LARGE_PHOTO)
_COLUMNS = (*PHASES, "framework")

type Calls = list[dict[str, Any]]  # what `call_handler` measured with one event, in each round


def requests() -> dict[str, dict[str, Any]]:
    """Return a request of each kind, by name."""
    return {
        MNIST: events.sample(),
        DRAWING: events.of_file(pictures.drawing(), "image/png"),
        SCAN: events.of_file(pictures.scan(7, (300, 400), seed=7), "image/png"),
        PHOTO: events.of_file(pictures.phone_photo((1600, 1200)), "image/jpeg"),
        LARGE_PHOTO: events.of_file(pictures.phone_photo((4000, 3000)), "image/jpeg"),
        PIXELS: events.sample("http_v2_predict_pixels"),
        TENSOR: events.sample("http_v2_infer_binary"),
    }


def measure(yardsticks: Yardsticks, rounds: int) -> dict[str, Calls]:
    """Return the calls of each round by what was sent; in a round all kinds take turns, and the handlers do."""
    sent, hello = requests(), {HELLO: events.sample()}
    found: dict[str, Calls] = {name: [] for name in (*sent, HELLO)}
    for number in range(rounds):
        calls: dict[str, Call] = {
            emulator.HANDLER: (bare_python(), yardsticks.ours, {name: sent[name] for name in turned(sent, number)}),
            "hello.handler": (bare_python(), yardsticks.floor, hello),
        }
        for name, each in call_in_turn(calls, number).items():
            found[name].append(each)
    return found


def summary(kinds: dict[str, Calls]) -> dict[str, Any]:
    """Return milliseconds over all calls of all rounds, for the results file."""
    return {name: _summary(_together(calls)) for name, calls in kinds.items()}


def lines(summaries: dict[str, Any]) -> Iterator[str]:
    """Return the summaries as a Markdown table, in milliseconds."""
    yield f"| sent | p50 | p99 | {' | '.join(_COLUMNS)} |"
    yield "| --- " * (3 + len(_COLUMNS)) + "|"
    for name, each in summaries.items():
        split = [f"{each['phases'][phase]:.2f}" if phase in each["phases"] else "–" for phase in _COLUMNS]
        cells = [f"{each[f'{share}_milliseconds']:.2f}" for share in ("p50", "p99")] + split
        yield f"| {name} | {' | '.join(cells)} |"


def phase(calls: Calls, name: str) -> list[float]:
    """Return the median milliseconds of a phase in each round."""
    return [phases(each, (name,))[name] for each in calls]


def medians(calls: Calls) -> list[float]:
    """Return the median seconds of a call in each round."""
    return [statistics.median(each["seconds"]) for each in calls]


def _together(calls: Calls) -> dict[str, Any]:
    return {name: [one for each in calls for one in each[name]] for name in ("seconds", "headers")}


def _summary(calls: dict[str, Any]) -> dict[str, Any]:
    """Summarize calls; of V2's answers, which tell of no phases, there is no split."""
    header = calls["headers"][0].get("server-timing", "")
    told = [name for name in PHASES if f"{name};" in header]
    return {
        "calls": len(calls["seconds"]),
        "p50_milliseconds": statistics.median(calls["seconds"]) * 1e3,
        "p99_milliseconds": float(np.percentile(calls["seconds"], 99)) * 1e3,
        "phases": phases(calls, told) if told else {},
    }
