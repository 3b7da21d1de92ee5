"""The serving benchmark's verdicts: the noise that they allow for, and the ratios that they are about."""

from __future__ import annotations

import pytest

from benchmarks.serving.rounds import Round
from benchmarks.serving.verdicts import judge, of_batches, of_latency, of_size
from training.promotion import LARGEST_READER_BYTES

ROUNDS = {
    "empty": [Round(0.1, 0.08, 0.001, [0.001] * 10, 15)] * 3,
    "hello": [Round(0.5, 0.4, 0.05, [0.002] * 10, 46)] * 3,
    "ours": [Round(0.6, 0.4, 0.15, [0.003] * 9 + [0.009], 85)] * 3,
    "tensorflow": [Round(12.0, 11.0, 0.9, [0.101] * 10, 630)] * 3,
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
    values = {verdict.name: verdict.value for verdict in of_latency(ROUNDS)}
    assert values["cold start, tensorflow / ours"] == pytest.approx(20)
    assert values["cold start, ours / hello"] == pytest.approx(1.2)
    assert values["warm p50 in the handler, tensorflow / ours"] == pytest.approx(50)
    assert values["warm p50 in the handler, ours / hello"] == pytest.approx(2)
    assert values["warm p99 / p50 in the handler"] == pytest.approx(3.73)


def test_batches_are_compared_round_by_round() -> None:
    batches = {"png": [0.1, 0.2], "pixels": [0.1, 0.1], "binary": [0.0128, 0.0128], "tensorflow": [0.2, 0.4]}
    verdicts = {verdict.name: verdict for verdict in of_batches(batches)}
    assert verdicts["images a second and core, 256 as png, ours / tensorflow"].value == pytest.approx(2)
    assert verdicts["images a second and core, 256 as pixels, ours / tensorflow"].high == pytest.approx(3.5)
    assert verdicts["images a second and core, V2 binary tensors"].value == pytest.approx(20_000)


def test_both_networks_have_a_budget() -> None:
    small, large = (
        {verdict.name: verdict.met for verdict in of_size(ROUNDS, *sizes)}
        for sizes in ((400_000, LARGEST_READER_BYTES), (400_001, LARGEST_READER_BYTES + 1))
    )
    assert small["model, kB"]
    assert small["reader, kB"]
    assert not large["model, kB"]
    assert not large["reader, kB"]
