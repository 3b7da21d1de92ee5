"""How the time of a request grows, in milliseconds, and where the time of a single one goes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import emulator
from benchmarks.serving import events, load
from benchmarks.serving.calls import call_handler, median_milliseconds
from benchmarks.serving.yardsticks import Yardsticks
from local.build import bare_python

PHASES = ("token", "decode", "canonical", "inference", "encoding")


def measure(
    yardsticks: Yardsticks, counts: Sequence[int], sides: Sequence[int], concurrencies: Sequence[int]
) -> dict[str, Any]:
    """Return the medians by number of images, by their side and by concurrency, and those of each phase."""
    bare = bare_python()
    one = {"one": events.sample()}
    by_count = {str(count): events.of_images(count) for count in counts}
    by_side = {str(side): events.of_side(side) for side in sides}
    measured = call_handler(bare, yardsticks.ours, emulator.HANDLER, one | by_count)
    measured_sides = call_handler(bare, yardsticks.ours, emulator.HANDLER, by_side)
    return {
        "images": {count: median_milliseconds(measured[count]) for count in by_count},
        "side": {side: median_milliseconds(measured_sides[side]) for side in by_side},
        "concurrency": load.measure(yardsticks, concurrencies),
        "phases": phases(measured["one"], PHASES),
        "hello": median_milliseconds(call_handler(bare, yardsticks.floor, "hello.handler", one)["one"]),
    }


def phases(measured: dict[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return the median milliseconds of each phase; `framework` is the rest of the handler's time.

    Args:
        measured: what `call_handler` measured with one event.
        names: the phases that its answers tell of.
    """
    split = [
        dict(part.strip().split(";dur=") for part in each["server-timing"].split(",")) for each in measured["headers"]
    ]
    told = {name: statistics.median(float(each[name]) for each in split) for name in names}
    return {**told, "framework": median_milliseconds(measured) - sum(told.values())}
