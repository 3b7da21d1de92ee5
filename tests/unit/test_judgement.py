"""What is made of a confidence."""

from __future__ import annotations

import numpy as np
import pytest

from digits.model.judgement import judge, least_of_parts

NO_PARTS = np.zeros(4)


def test_the_two_thresholds_are_reached_by_what_equals_them() -> None:
    confidence = np.array([0.9, 0.89, 0.5, 0.49])
    judged = judge(confidence, NO_PARTS, np.zeros(4, bool), acceptance=0.9, rejection=0.5)
    assert judged.tolist() == ["accepted", "answered", "answered", "not_a_digit"]


def test_without_thresholds_everything_is_answered_and_nothing_accepted() -> None:
    judged = judge(np.array([1.0, 0.9, 0.5, 0.1]), NO_PARTS, np.zeros(4, bool), acceptance=None, rejection=None)
    assert judged.tolist() == ["answered"] * 4


def test_a_warning_takes_acceptance_away_and_no_more() -> None:
    warned = np.array([True, False, True, True])
    judged = judge(np.array([1.0, 1.0, 0.7, 0.2]), NO_PARTS, warned, acceptance=0.9, rejection=0.5)
    assert judged.tolist() == ["answered", "accepted", "answered", "not_a_digit"]


def test_parts_that_are_surer_than_the_whole_are_several_digits_even_where_the_whole_is_none() -> None:
    confidence, of_parts = np.array([0.9, 0.9, 0.2, 0.2]), np.array([0.91, 0.9, 0.6, 0.3])
    judged = judge(confidence, of_parts, np.zeros(4, bool), acceptance=0.8, rejection=0.5)
    assert judged.tolist() == ["several_digits", "accepted", "several_digits", "not_a_digit"]


def test_parts_that_are_no_digits_are_not_several() -> None:
    judged = judge(np.array([0.2]), np.array([0.4]), np.zeros(1, bool), acceptance=0.8, rejection=0.5)
    assert judged.tolist() == ["not_a_digit"]


def test_the_least_of_two_parts_or_more_counts() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.99, 0.95, 0.6])
    assert least_of_parts(confidence, np.array([2, 0, 1, 3])).tolist() == pytest.approx([0.8, 0, 0, 0.6])
    assert least_of_parts(np.empty(0), np.array([0, 0])).tolist() == [0, 0]
