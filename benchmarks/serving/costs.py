"""What a million predictions cost on paper, by memory size: Lambda alone, list price, init billed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.serving.rounds import Round

# AWS's list price of x86_64 in us-east-1: a gigabyte for a second, and a request.
_DOLLARS_PER_GIGABYTE_SECOND, _DOLLARS_PER_REQUEST = 0.0000166667, 0.20 / 1e6
_MEGABYTES_PER_CORE = 1769
_MEMORY_SIZES = (128, 256, 512, 768, 1024, 1769)
_REQUESTS_PER_COLD_START = 1_000
_MOST_P99_MILLISECONDS = 10.0


def by_memory(rounds: dict[str, list[Round]]) -> list[dict[str, float]]:
    """Return times and costs by memory size.

    Each invocation is billed in whole milliseconds. Below one core's worth of memory the time grows as the share of
    the core shrinks.
    """
    floor = statistics.median(statistics.median(each.warm_seconds) for each in rounds["empty"])
    seconds = [max(0.0, each - floor) for measured in rounds["ours"] for each in measured.warm_seconds]
    cold = statistics.median(each.cold_seconds for each in rounds["ours"])
    peak = max(each.memory_megabytes for each in rounds["ours"])
    costs = []
    for megabytes in _MEMORY_SIZES:
        slower = max(1.0, _MEGABYTES_PER_CORE / megabytes)
        billed = statistics.mean(math.ceil(each * slower * 1e3) / 1e3 for each in seconds)
        billed += cold * slower / _REQUESTS_PER_COLD_START
        dollars = billed * megabytes / 1024 * _DOLLARS_PER_GIGABYTE_SECOND + _DOLLARS_PER_REQUEST
        costs.append(
            {
                "memory_megabytes": megabytes,
                "fits": megabytes > peak,
                "p50_milliseconds": statistics.median(seconds) * slower * 1e3,
                "p99_milliseconds": float(np.percentile(seconds, 99)) * slower * 1e3,
                "cold_seconds": cold * slower,
                "dollars_per_million": dollars * 1e6,
            }
        )
    return costs


def lines(costs: list[dict[str, float]]) -> Iterator[str]:
    """Return times and costs as a Markdown table, the cheapest that is fast marked."""
    fast = [cost for cost in costs if cost["fits"] and cost["p99_milliseconds"] < _MOST_P99_MILLISECONDS]
    cheapest = min(fast, key=lambda cost: cost["dollars_per_million"], default=None)
    yield "| memory | warm p50 | warm p99 | cold start | a million predictions |"
    yield "| --- | --- | --- | --- | --- |"
    for cost in costs:
        mark = ", too small" if not cost["fits"] else ", the cheapest with p99 under 10 ms" if cost is cheapest else ""
        yield (
            f"| {cost['memory_megabytes']:.0f} MB | {cost['p50_milliseconds']:.1f} ms | "
            f"{cost['p99_milliseconds']:.1f} ms | {cost['cold_seconds']:.2f} s | "
            f"{cost['dollars_per_million']:.3f} dollars{mark} |"
        )
