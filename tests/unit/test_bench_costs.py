"""The serving benchmark's costs by memory size."""

from __future__ import annotations

import pytest

from benchmarks.emulator import Phase
from benchmarks.serving.costs import basis, by_memory, lines
from benchmarks.serving.rounds import Round

ROUNDS = {
    "empty": [Round(0.1, Phase(0.08, 0.07), Phase(0.001, 0.001), [0.001] * 10, 15)] * 3,
    "ours": [Round(0.6, Phase(0.4, 0.35), Phase(0.15, 0.15), [0.003] * 9 + [0.009], 85)] * 3,
    "distant": [Round(0.65, Phase(0.4, 0.35), Phase(0.2, 0.15), [0.003], 85)] * 3,
}


def test_costs_follow_the_list_price_and_mark_the_cheapest_that_is_fast() -> None:
    costs = {cost["memory_megabytes"]: cost for cost in by_memory(ROUNDS)}
    one_core = costs[1769]
    assert one_core["p50_milliseconds"] == pytest.approx(2)
    # Nine times 2 ms and once 8, and a thousandth of a cold start of 0.4 s and 0.2 s, at 1769 MB, and a request.
    assert one_core["dollars_per_million"] == pytest.approx(0.0032 * 1769 / 1024 * 16.6667 + 0.2)
    assert costs[512]["p50_milliseconds"] == pytest.approx(2 * 1769 / 512)
    # 6.91 ms are billed as 7, 27.64 as 28, and a cold start: of its first invocation the processor's part is slow.
    billed = (9 * 0.007 + 0.028) / 10 + 0.0004 + 0.00005 + 0.00015 * 1769 / 512
    assert costs[512]["dollars_per_million"] == pytest.approx(billed * 512 / 1024 * 16.6667 + 0.2)
    marked = [line for line in lines(list(costs.values())) if "cheapest" in line]
    fast = [cost for cost in costs.values() if cost["p99_milliseconds"] < 10]
    assert len(marked) == 1
    best = min(fast, key=lambda cost: cost["dollars_per_million"])
    assert marked[0].startswith(f"| {best['memory_megabytes']:.0f} MB |")


def test_init_and_waiting_are_as_measured_at_every_size_and_the_processors_time_is_scaled() -> None:
    costs = by_memory(ROUNDS)
    for cost in costs:
        assert cost["init_seconds"] == 0.4
        assert cost["first_waiting_seconds"] == pytest.approx(0.05)
        assert cost["first_invocation_seconds"] == pytest.approx(0.05 + 0.15 * 1769 / cost["memory_megabytes"])
        assert cost["cold_seconds"] == cost["init_seconds"] + cost["first_invocation_seconds"]
    assert "Init is 0.40 s as measured, at every size" in basis(costs)
    assert "The first invocation is 0.20 s at 1769 MB: 0.15 s of the processor and 0.05 s of waiting" in basis(costs)


def test_a_first_invocation_with_two_processors_at_work_waits_for_nothing() -> None:
    both = [Round(0.65, Phase(0.4, 0.35), Phase(0.2, 0.25), [0.003] * 10, 85)]
    one_core = by_memory({**ROUNDS, "distant": both})[-1]
    assert one_core["first_waiting_seconds"] == 0
    assert one_core["first_invocation_seconds"] == 0.25  # on the one that the memory buys
