"""What a million predictions cost on paper, by memory size: Lambda alone, list price, init billed.

Times are measured on one core and hold for the memory size that buys one. With less memory the share of a core shrinks,
and what takes the processor takes longer: a warm invocation, which waits for nothing, as a whole, and of the first one
the processor's time. What the first one waits, above all for a store that is 25 ms away, is as long at every size. Init
is not scaled. AWS's guide says that "on-demand Lambda functions use a full vCPU (non-throttled)" during it, and others
have measured the same (`SOURCES`). This holds for on-demand functions of up to one core, not for provisioned
concurrency. What Lambda does before init, such as fetching the code, is not measured.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.serving import distant
from benchmarks.serving.rounds import Round

# AWS's list prices for x86_64 in us-east-1: per gigabyte-second, and per request.
_DOLLARS_PER_GIGABYTE_SECOND, _DOLLARS_PER_REQUEST = 0.0000166667, 0.20 / 1e6
_MEGABYTES_PER_CORE = 1769
_MEMORY_SIZES = (128, 256, 512, 768, 1024, 1769)
_REQUESTS_PER_COLD_START = 1_000
_MOST_P99_MILLISECONDS = 10.0
SOURCES = {
    "init has a full vCPU whatever the memory": (
        "https://serverlessland.com/content/service/lambda/guides/effectively-running-java-on-serverless/init-heavy-lifting"
    ),
    "the same, measured": "https://bitesizedserverless.com/bite/lambda-cold-start-bootstrap/",
    "1,769 MB are one vCPU": "https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html",
    "init is billed since August 2025": (
        "https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/"
    ),
}


def by_memory(rounds: dict[str, list[Round]]) -> list[dict[str, float]]:
    """Return times and costs by memory size; each warm invocation is billed in whole milliseconds."""
    floor = statistics.median(statistics.median(each.warm_seconds) for each in rounds["empty"])
    seconds = [max(0.0, each - floor) for measured in rounds["ours"] for each in measured.warm_seconds]
    init = statistics.median(each.init.seconds for each in rounds["distant"])
    processor = statistics.median(each.first.processor_seconds for each in rounds["distant"])
    waiting = statistics.median(each.first.waiting_seconds for each in rounds["distant"])
    peak = max(each.memory_megabytes for each in rounds["ours"])
    costs = []
    for megabytes in _MEMORY_SIZES:
        slower = max(1.0, _MEGABYTES_PER_CORE / megabytes)
        billed = statistics.mean(math.ceil(each * slower * 1e3) / 1e3 for each in seconds)
        first = processor * slower + waiting
        cold = init + first
        billed += cold / _REQUESTS_PER_COLD_START
        dollars = billed * megabytes / 1024 * _DOLLARS_PER_GIGABYTE_SECOND + _DOLLARS_PER_REQUEST
        costs.append(
            {
                "memory_megabytes": megabytes,
                "fits": megabytes > peak,
                "p50_milliseconds": statistics.median(seconds) * slower * 1e3,
                "p99_milliseconds": float(np.percentile(seconds, 99)) * slower * 1e3,
                "init_seconds": init,
                "first_invocation_seconds": first,
                "first_waiting_seconds": waiting,
                "cold_seconds": cold,
                "dollars_per_million": dollars * 1e6,
            }
        )
    return costs


def lines(costs: list[dict[str, float]]) -> Iterator[str]:
    """Return times and costs as a Markdown table; the cheapest size that is fast enough is marked."""
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


def basis(costs: list[dict[str, float]]) -> str:
    """Return a few sentences on what in the table is measured and what is scaled."""
    core = costs[-1]
    first, waiting = core["first_invocation_seconds"], core["first_waiting_seconds"]
    return (
        "A cold start is init and the first invocation; both are billed. "
        f"Init is {core['init_seconds']:.2f} s as measured, at every size: Lambda gives it a full vCPU whatever the "
        f"memory. The first invocation is {first:.2f} s at {core['memory_megabytes']:.0f} MB: {first - waiting:.2f} s "
        f"of the processor and {waiting:.2f} s of waiting, above all for a store that answers each request after "
        f"{distant.SECONDS * 1e3:.0f} ms, as measured. At smaller sizes the "
        "processor's time is scaled, like the warm times, by the share of a vCPU that the memory buys; the waiting is "
        "not."
    )
