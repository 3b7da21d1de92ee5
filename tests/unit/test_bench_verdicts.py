"""The serving benchmark's verdicts: the noise that they allow for, and the ratios that they are about."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.emulator import Phase
from benchmarks.serving import kinds
from benchmarks.serving.distant import Request
from benchmarks.serving.rounds import Round, summary
from benchmarks.serving.verdicts import judge, of_batches, of_kinds, of_latency, of_size
from training.promotion import LARGEST_READER_BYTES

INIT, FIRST = Phase(0.4, 0.4), Phase(0.1, 0.1)
# Two at the same time, then a third one.
ASKED = [Request(0.00, 0.025), Request(0.01, 0.035), Request(0.04, 0.065)]
ROUNDS = {
    "empty": [Round(0.1, INIT, FIRST, [0.001] * 10, 15)] * 3,
    "hello": [Round(0.5, INIT, FIRST, [0.002] * 10, 46)] * 3,
    "ours": [Round(0.6, INIT, FIRST, [0.003] * 9 + [0.009], 85)] * 3,
    "distant": [Round(0.7, INIT, FIRST, [0.003], 85, ASKED)] * 3,
    "tensorflow": [Round(12.0, INIT, FIRST, [0.101] * 10, 630)] * 3,
}


@pytest.mark.parametrize(
    ("values", "rule", "met"),
    [
        ([5, 5, 5], "at least", True),
        ([3, 4, 5], "at least", False),  # the upper quartile is 4.5
        ([3, 4, 6], "at least", True),  # missed by no more than the noise
        ([5, 5, 5], "at most", True),
        ([6, 6, 6], "at most", False),
        ([4, 6, 7], "at most", True),
    ],
)
def test_a_verdict_allows_for_the_noise_and_no_more(values: list[float], rule: str, met: bool) -> None:
    verdict = judge("figure", values, rule, 5)
    assert verdict.met is met
    assert ("missed" in verdict.line()) is not met


def test_the_emulators_share_is_taken_off_and_ratios_are_those_of_a_round() -> None:
    verdicts = list(of_latency(ROUNDS))
    values = {verdict.name: verdict.value for verdict in verdicts}
    assert values["cold start, tensorflow / ours"] == pytest.approx(20)
    assert values["cold start, ours / hello"] == pytest.approx(1.2)
    assert values["warm p50 in the handler, tensorflow / ours"] == pytest.approx(50)
    assert values["warm p50 of MNIST's PNG under the emulator, less its share, ours / hello"] == pytest.approx(2)
    assert values["warm p99 / p50 in the handler"] == pytest.approx(3.73)
    assert values["cold start with the store 25 ms away, ours / hello"] == pytest.approx(1.4)
    assert values["store requests in a row on a cold start"] == 2
    assert len(verdicts) == len(values)


def test_requests_to_the_distant_store_are_in_its_summary_alone() -> None:
    found = summary(ROUNDS["distant"])
    assert (found["store_requests"], found["store_requests_in_a_row"]) == ([3] * 3, [2] * 3)
    assert "store_requests" not in summary(ROUNDS["ours"])


def calls(**phases: float) -> dict[str, Any]:
    """Return what is measured of a kind in a round, where one call is much slower than the others."""
    headers = [
        {"server-timing": ", ".join(f"{name};dur={slower * each}" for name, each in phases.items())}
        for slower in (1, 1, 9)
    ]
    return {"seconds": [0.01, 0.01, 0.09], "headers": headers}


def test_larger_pictures_are_judged_by_their_phases_round_by_round() -> None:
    measured = {
        kinds.DRAWING: [calls(canonical=1.0), calls(canonical=1.0)],
        kinds.SCAN: [calls(canonical=1.1), calls(canonical=1.5)],
        kinds.PHOTO: [calls(canonical=5.0, decode=3.0), calls(canonical=5.0, decode=3.2)],
        kinds.LARGE_PHOTO: [calls(canonical=0.5, decode=14.0), calls(canonical=0.5, decode=16.0)],
        kinds.MNIST: [calls(), {**calls(), "seconds": [0.02]}],
        kinds.HELLO: [{**calls(), "seconds": [0.005]}] * 2,
    }
    verdicts = {verdict.name: verdict for verdict in of_kinds(measured)}
    assert verdicts["warm p50 of MNIST's PNG, ours / hello"].value == pytest.approx(3)
    assert verdicts["canonical form of pictures of 400 to 1,000 pixels, ms"].value == pytest.approx(1.15)
    assert verdicts["phone photo of 1600 pixels, decode, ms"].value == pytest.approx(3.1)
    assert not verdicts["phone photo of 4000 pixels, decode, ms"].met


def test_batches_are_compared_round_by_round() -> None:
    batches = {"png": [0.1, 0.2], "pixels": [0.1, 0.1], "binary": [0.0128, 0.0128], "tensorflow": [0.2, 0.4]}
    verdicts = {verdict.name: verdict for verdict in of_batches(batches)}
    assert verdicts["images a second and core, 256 as png, ours / tensorflow"].value == pytest.approx(2)
    assert verdicts["images a second and core, 256 as pixels, ours / tensorflow"].high == pytest.approx(3.5)
    assert verdicts["images a second and core, V2 binary tensors"].value == pytest.approx(20_000)
    aims = [verdict.aim for name, verdict in verdicts.items() if name.endswith("tensorflow")]
    assert aims == [4, 5, 5]


def test_both_networks_have_a_budget() -> None:
    small, large = (
        {verdict.name: verdict.met for verdict in of_size(ROUNDS, *sizes)}
        for sizes in ((400_000, LARGEST_READER_BYTES), (400_001, LARGEST_READER_BYTES + 1))
    )
    assert small["model, kB"]
    assert small["reader, kB"]
    assert not large["model, kB"]
    assert not large["reader, kB"]
