"""Figures from probabilities and labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluate import acceptance_threshold, fit_temperature, measure, reliability, wilson_interval


def answers(digits: list[int], confidence: list[float]) -> NDArray[np.float32]:
    rows = np.array([[(1 - share) / 9] * 10 for share in confidence], np.float32)
    rows[np.arange(len(digits)), digits] = confidence
    return rows


def test_wilson_interval_matches_published_values() -> None:
    # Newcombe (1998), table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)
    assert wilson_interval(0, 10)[0] == 0.0


def test_measure_counts_by_class_and_scores_confidence() -> None:
    labels = np.arange(10, dtype=np.uint8)
    metrics = measure(answers([*range(9), 0], [0.8] * 10), labels)
    assert metrics.accuracy == 0.9
    assert metrics.class_accuracy == [1.0] * 9 + [0.0]
    assert metrics.expected_calibration_error == pytest.approx(0.1, abs=1e-6)
    assert metrics.negative_log_likelihood == pytest.approx(-(9 * math.log(0.8) + math.log(0.2 / 9)) / 10, rel=1e-5)


def test_the_threshold_is_the_lowest_that_keeps_answers_right() -> None:
    labels = np.zeros(4, np.uint8)
    assert acceptance_threshold(answers([0, 0, 5, 0], [0.9, 0.8, 0.7, 0.6]), labels) == pytest.approx(0.8)


def test_a_threshold_takes_all_answers_of_its_confidence() -> None:
    labels = np.zeros(3, np.uint8)
    assert acceptance_threshold(answers([0, 0, 5], [0.9, 0.8, 0.8]), labels) == pytest.approx(0.9)


def test_there_is_no_threshold_where_the_surest_answer_is_wrong() -> None:
    assert acceptance_threshold(answers([5, 0], [0.9, 0.8]), np.zeros(2, np.uint8)) is None


def test_temperature_undoes_what_made_answers_too_sure() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (20_000, 10))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(10, p=row) for row in honest], np.uint8)
    too_sure = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    temperature = fit_temperature([too_sure.astype(np.float32)], [labels])
    assert temperature == pytest.approx(3, rel=0.03)


def test_sets_of_digits_count_the_same_whatever_their_size() -> None:
    generator = np.random.default_rng(2)
    labels = np.zeros(4_000, np.uint8)
    # One set is right as often as it says; the other, a hundred times as large, is never wrong.
    honest = answers([0 if right else 1 for right in generator.random(40) < 0.8], [0.8] * 40)
    never_wrong = answers([0] * 4_000, [0.8] * 4_000)
    both = fit_temperature([honest, never_wrong], [labels[:40], labels])
    alone = fit_temperature([np.concatenate([honest, never_wrong])], [np.zeros(4_040, np.uint8)])
    assert alone < both < 1


def test_reliability_tells_confidence_accuracy_and_share_of_each_bin() -> None:
    labels = np.zeros(4, np.uint8)
    low, high = reliability(answers([0, 1, 0, 0], [0.5, 0.5, 0.95, 0.99]), labels)
    assert [low.confidence, low.accuracy, low.share] == pytest.approx([0.5, 0.5, 0.5])
    assert [high.confidence, high.accuracy, high.share] == pytest.approx([0.97, 1.0, 0.5])
