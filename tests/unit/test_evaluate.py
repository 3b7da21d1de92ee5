"""Figures from probabilities and labels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.answers import NO_DIGIT, Answers, Weighted
from training.evaluate import (
    acceptance_threshold,
    calibration_error,
    fit_temperature,
    measure,
    mixture,
    rejection_threshold,
    reliability,
    wilson_interval,
)


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


def told(digits: list[int], confidence: list[float], **changes: Any) -> Answers:
    """Answers to zeros: 0 is right."""
    return replace(Answers.plain(answers(digits, confidence), np.zeros(len(digits), np.uint8)), **changes)


def to_no_digits(confidence: list[float]) -> Answers:
    return Answers.plain(answers([0] * len(confidence), confidence))


def clean_only(clean: Answers) -> list[Weighted]:
    return [Weighted("clean", 1.0, clean)]


# The upper threshold


def test_the_threshold_is_the_lowest_that_keeps_answers_right() -> None:
    clean = told([0, 0, 5, 0], [0.9, 0.8, 0.7, 0.6])
    assert acceptance_threshold(clean, clean_only(clean)) == pytest.approx(0.8)


def test_a_threshold_takes_all_answers_of_its_confidence() -> None:
    clean = told([0, 0, 5], [0.9, 0.8, 0.8])
    assert acceptance_threshold(clean, clean_only(clean)) == pytest.approx(0.9)


def test_there_is_no_threshold_where_the_surest_answer_is_wrong() -> None:
    clean = told([5, 0], [0.9, 0.8])
    assert acceptance_threshold(clean, clean_only(clean)) is None
    good = told([0, 0], [0.9, 0.8])
    sure = Weighted("no digit", 0.2, to_no_digits([0.95]))
    assert acceptance_threshold(good, [Weighted("clean", 0.8, good), sure]) is None


def test_one_in_a_thousand_may_be_wrong_on_clean_digits() -> None:
    clean = told([0] * 998 + [5, 0], [0.9] * 999 + [0.6])
    assert acceptance_threshold(clean, clean_only(clean)) == pytest.approx(0.6)
    clean = told([0] * 997 + [5, 0], [0.9] * 998 + [0.6])
    assert acceptance_threshold(clean, []) is None


def test_the_mixture_may_want_a_higher_threshold_than_clean_digits() -> None:
    clean = told([0] * 4, [0.9, 0.8, 0.7, 0.6])
    sent = [Weighted("clean", 0.8, clean), Weighted("no digit", 0.2, to_no_digits([0.75, 0.2]))]
    assert acceptance_threshold(clean, clean_only(clean)) == pytest.approx(0.6)
    assert acceptance_threshold(clean, sent) == pytest.approx(0.8)


def test_weights_count_and_not_how_many_pictures_a_part_has() -> None:
    clean = told([0] * 100, [0.9] * 100)
    few, many = to_no_digits([0.95] + [0.2] * 9), to_no_digits([0.95] * 10 + [0.2] * 90)
    for weight, expected in ((0.04, 0.9), (0.06, None)):  # a tenth is wrong and accepted: 0.4 or 0.6 % of the mixture
        for outliers in (few, many):
            sent = [Weighted("clean", 1 - weight, clean), Weighted("no digit", weight, outliers)]
            assert acceptance_threshold(clean, sent) == (expected and pytest.approx(expected))


def test_what_is_refused_or_warned_of_takes_no_part_in_the_upper_threshold() -> None:
    warned = told([5, 0], [0.95, 0.9], warned=np.array([True, False]))
    refused = told([5, 0], [0.95, 0.9], verdicts=np.array(["blank", ""]))
    several = told([5, 0], [0.95, 0.9], of_parts=np.array([0.96, 0.0]))
    for clean in (warned, refused, several):
        assert acceptance_threshold(clean, clean_only(clean)) == pytest.approx(0.9)


# The lower threshold


def test_the_lower_threshold_refuses_two_clean_digits_in_a_thousand() -> None:
    clean = told([0] * 1_000, [0.3, 0.4, 0.5] + [0.9] * 997)
    assert rejection_threshold(clean, [], None) == pytest.approx(0.5)
    tied = told([0] * 1_000, [0.3, 0.4, 0.4] + [0.9] * 997)
    assert rejection_threshold(tied, [], None) == pytest.approx(0.4)


def test_the_lower_threshold_refuses_one_in_a_hundred_distorted_digits_that_are_read() -> None:
    clean = told([0] * 10, [0.9] * 10)
    row = told([0] * 50, [0.3] + [0.6] * 49)
    assert rejection_threshold(clean, [row, row], None) == pytest.approx(0.3)
    assert rejection_threshold(clean, [row, told([0] * 50, [0.7] * 50)], None) == pytest.approx(0.6)
    misread = told([5] * 100 + [0] * 10, [0.2] * 100 + [0.8] * 10)  # what is read wrongly may be refused
    assert rejection_threshold(clean, [misread], None) == pytest.approx(0.8)


def test_the_lower_threshold_is_never_above_the_upper() -> None:
    clean = told([0] * 10, [0.9] * 10)
    assert rejection_threshold(clean, [clean], 0.8) == 0.8
    assert rejection_threshold(clean, [clean], 0.95) == pytest.approx(0.9)


def test_without_digits_there_is_no_lower_threshold() -> None:
    refused = told([0], [0.9], verdicts=np.array(["blank"]))
    assert rejection_threshold(refused, [], 0.8) is None


# The mixture


def test_a_mixture_tells_what_is_accepted_and_right_by_part_and_in_all() -> None:
    clean = told([0, 0, 5, 0], [0.9, 0.9, 0.9, 0.5])
    rows = [told([0, 0], [0.9, 0.5]), told([0, 0], [0.5, 0.1])]
    sent = [
        Weighted("clean", 0.4, clean),
        *(Weighted("distorted", 0.2, row) for row in rows),
        Weighted("no digit", 0.2, to_no_digits([0.9, 0.5, 0.1, 0.1])),
    ]
    made = mixture(sent, 0.8, 0.3)
    assert [part.name for part in made.parts] == ["clean", "distorted", "no digit"]
    assert [part.weight for part in made.parts] == pytest.approx([0.4, 0.4, 0.2])
    assert [part.accepted for part in made.parts] == pytest.approx([0.75, 0.25, 0.25])
    assert [part.right for part in made.parts] == pytest.approx([0.5, 0.25, 0])
    assert made.accepted_share == pytest.approx(0.4 * 0.75 + 0.4 * 0.25 + 0.2 * 0.25)
    assert made.accepted_accuracy == pytest.approx((0.4 * 0.5 + 0.4 * 0.25) / made.accepted_share)
    # At 0.9: clean 2 of 3 right, distorted 1 of 1, no digit 0 of 1. At 0.5: right, but for what is no digit.
    high, low = 0.3 + 0.1 + 0.05, 0.1 + 0.1 + 0.1 + 0.05
    error = abs(0.9 * high - (0.2 + 0.1)) + abs(0.5 * low - (0.1 + 0.1 + 0.1))
    assert made.expected_calibration_error == pytest.approx(error / (high + low))


def test_of_a_mixture_of_which_nothing_is_answered_there_is_nothing_to_tell() -> None:
    made = mixture(clean_only(told([0], [0.5])), 0.9, 0.8)
    assert (made.accepted_accuracy, made.accepted_share, made.expected_calibration_error) == (None, 0, None)


def test_equal_weights_make_the_calibration_error_of_the_answers() -> None:
    clean = told([0, 5, 0, 0], [0.55, 0.6, 0.95, 0.99])
    plain = calibration_error(clean.probabilities, clean.labels)
    assert mixture(clean_only(clean), None, None).expected_calibration_error == pytest.approx(plain)


# Temperature and reliability


def test_temperature_undoes_what_made_answers_too_sure() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (20_000, 10))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(10, p=row) for row in honest], np.uint8)
    too_sure = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    temperature = fit_temperature([too_sure.astype(np.float32)], [labels], [1.0])
    assert temperature == pytest.approx(3, rel=0.03)


def test_sets_of_digits_count_the_same_whatever_their_size() -> None:
    generator = np.random.default_rng(2)
    labels = np.zeros(4_000, np.uint8)
    # One set is right as often as it says; the other, a hundred times as large, is never wrong.
    honest = answers([0 if right else 1 for right in generator.random(40) < 0.8], [0.8] * 40)
    never_wrong = answers([0] * 4_000, [0.8] * 4_000)
    both = fit_temperature([honest, never_wrong], [labels[:40], labels], [0.5, 0.5])
    alone = fit_temperature([np.concatenate([honest, never_wrong])], [np.zeros(4_040, np.uint8)], [1.0])
    assert alone < both < 1


def test_sure_answers_to_what_is_no_digit_make_all_answers_less_sure() -> None:
    labels, nothing = np.zeros(1_000, np.uint8), np.full(100, NO_DIGIT, np.uint8)
    right = np.random.default_rng(3).random(1_000) < 0.9
    honest, sure = answers([0 if each else 1 for each in right], [0.9] * 1_000), answers([3] * 100, [0.9] * 100)
    alone = fit_temperature([honest], [labels], [1.0])
    lightly = fit_temperature([honest, sure], [labels, nothing], [0.9, 0.1])
    heavily = fit_temperature([honest, sure], [labels, nothing], [0.6, 0.4])
    assert alone == pytest.approx(1, abs=0.1)
    assert alone < lightly < heavily


def test_reliability_tells_confidence_accuracy_and_share_of_each_bin() -> None:
    labels = np.zeros(4, np.uint8)
    low, high = reliability(answers([0, 1, 0, 0], [0.5, 0.5, 0.95, 0.99]), labels)
    assert [low.confidence, low.accuracy, low.share] == pytest.approx([0.5, 0.5, 0.5])
    assert [high.confidence, high.accuracy, high.share] == pytest.approx([0.97, 1.0, 0.5])
