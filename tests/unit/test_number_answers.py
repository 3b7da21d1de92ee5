"""Answers to pictures of numbers: what counts as right, which are accepted, and how sure they are."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.model.contract import BLANK
from training.number_answers import (
    AGREEMENTS,
    LEAST_CONFIDENCE,
    TARGET_EXACT,
    NumberAnswers,
    RowAnswers,
    answers_to_numbers,
    fit_line_temperature,
    table_of_numbers,
    thresholds,
)
from training.numbers import NO_NUMBER, Numbers

type Line = NDArray[np.uint8]


def line(text: str, sure: float = 0.999) -> Line:
    """A line without ink that tells a fake reader what to answer, and how sure it is of its first digit."""
    pixels = np.zeros((32, 40), np.uint8)
    pixels[0, : len(text)] = [int(digit) + 1 for digit in text]
    pixels[1, 0] = round(1 / (1 - sure) ** 0.5)  # below what counts as ink
    return pixels


class FakeReader:
    """Reads what a line says; another digit in the first place is as likely as is left."""

    def logits(self, lines: Line) -> NDArray[np.float32]:
        digits = [int(each) - 1 for each in lines[0, 0] if each]
        columns = np.full((1, max(1, 2 * len(digits)), 11), -60, np.float32)
        columns[0, :, BLANK] = 0
        for place, digit in enumerate(digits):
            columns[0, 2 * place, [digit, BLANK]] = 0, -60
        if digits:
            left = 1 / int(lines[0, 1, 0]) ** 2
            columns[0, 0, digits[0]] = math.log(1 - left)
            columns[0, 0, (digits[0] + 1) % 10] = math.log(left)
        return columns


READER: Any = FakeReader()
CLASSIFIER: Any = SimpleNamespace(predict=lambda images: np.full((len(images), 10), 0.1, np.float32))


def answers_to(*pictures: tuple[str, list[Line]]) -> NumberAnswers:
    return answers_to_numbers(READER, CLASSIFIER, Numbers.of(list(pictures)))


# Right


def test_a_number_is_right_where_all_of_its_rows_are_and_nothing_where_nothing_is_read() -> None:
    answers = answers_to(
        ("2026", [line("2026")]),
        ("2026", [line("2020")]),
        ("12\n7", [line("12"), line("7")]),
        ("12\n7", [line("7"), line("12")]),
        ("12\n7", [line("127")]),
        ("12", [line("12"), line("")]),  # a row in which nothing is read is none
        ("12", []),
        ("", []),
        ("", [line("")]),
        ("", [line("1")]),
    )
    assert answers.right.tolist() == [True, False, True, False, False, True, False, True, True, False]
    assert answers.answered.tolist() == [True] * 6 + [False] * 3 + [True]


def test_a_row_is_right_in_its_place_where_there_are_as_many_as_were_written() -> None:
    rows = answers_to(
        ("12\n7", [line("12"), line("7")]),
        ("12\n7", [line("12"), line("1")]),
        ("12\n7", [line("12")]),
        ("12", [line("12"), line("")]),
        ("12", []),
        ("", [line("1", 0.98)]),
    ).rows
    assert rows.right.tolist() == [True, True, True, False, False, True, False]
    assert len(rows.agreement) == len(rows.confidence) == 7
    assert rows.confidence[-1] == pytest.approx(0.98, abs=1e-3)


def test_a_number_is_as_sure_as_all_of_its_rows_and_accepted_by_the_least_sure() -> None:
    answers = answers_to(("111\n222", [line("111", 0.99), line("222", 0.96)]), ("333", [line("333", 0.99)]), ("4", []))
    np.testing.assert_allclose(answers.confidence, [0.99 * 0.96, 0.99, 0], atol=1e-6)
    np.testing.assert_allclose(answers.least, [0.96, 0.99, 0], atol=1e-6)
    assert answers.accepted(0.97, 0.5).tolist() == [False, True, False]
    assert answers.accepted(0.95, 0.5).tolist() == [True, True, False]
    assert answers.accepted(0.0, 0.0).tolist() == [True, True, False]  # what is not answered is never accepted
    assert answers.accepted(None, 0.0).tolist() == [False] * 3


def inked(text: str, sure: float = 0.999) -> Line:
    """A line of one digit with ink for the classifier to see."""
    pixels = line(text, sure)
    pixels[8:26, 12:16] = 200
    return pixels


def with_classifier(digit: int, text: str, pixels: Line) -> NumberAnswers:
    """Answers to a picture where the classifier is sure of a digit."""
    probabilities = np.zeros((1, 10), np.float32)
    probabilities[0, digit] = 1
    classifier: Any = SimpleNamespace(predict=lambda _: probabilities)
    return answers_to_numbers(READER, classifier, Numbers.of([(text, [pixels])]))


def test_the_classifier_contradicts_a_digit_that_it_reads_otherwise() -> None:
    agreed, contradicted = (with_classifier(digit, "1", inked("1")) for digit in (1, 7))
    assert (agreed.right.tolist(), agreed.agreement.tolist()) == ([True], [1])
    assert (contradicted.right.tolist(), contradicted.agreement.tolist()) == ([True], [0])
    assert agreed.accepted(0.5, 0.3).all()
    assert not contradicted.accepted(0.5, 0.3).any()


def test_where_the_reader_is_not_sure_the_classifier_decides() -> None:
    unsure = inked("1", sure=0.6)  # or it is a 2
    assert with_classifier(1, "1", unsure).right.all()
    assert with_classifier(2, "2", unsure).right.all()


def test_few_digits_that_the_classifier_cannot_see_are_not_confirmed() -> None:
    assert answers_to(("1", [line("1")]), ("12", [line("12")]), ("123", [line("123")])).agreement.tolist() == [0, 0, 1]


# Thresholds


def told(right: list[bool], least: list[float], agreement: list[float] | None = None) -> NumberAnswers:
    """Answers to pictures of one row each."""
    rows = RowAnswers(np.array(right), np.array(least), np.array(agreement or [1.0] * len(right)))
    return NumberAnswers(rows.right, rows.confidence, rows.confidence, rows.agreement, rows)


def test_the_threshold_is_the_lowest_at_which_enough_of_what_is_accepted_is_right() -> None:
    """Two wrong ones among the 420 surest are few enough; a third among the 421 surest is not."""
    least = [1 - number / 20_000 for number in range(500)]
    right = [number not in (100, 380, 420) for number in range(500)]
    accept, agree = thresholds(
        {"separated": told(right[:250], least[:250]), "touching": told(right[250:], least[250:])}
    )
    assert accept == pytest.approx(least[419])
    assert agree == AGREEMENTS[0]
    kept = np.array(least) >= least[419]
    assert np.array(right)[kept].mean() >= TARGET_EXACT
    assert np.array(right)[np.array(least) >= least[420]].mean() < TARGET_EXACT


def test_what_is_no_number_and_read_as_one_counts_as_wrong() -> None:
    numbers = told([True] * 100, [0.98] * 100)
    surer = told([False], [0.99])
    assert thresholds({"separated": numbers}) == (0.98, AGREEMENTS[0])
    assert thresholds({"separated": numbers, NO_NUMBER: surer}) == (None, AGREEMENTS[-1])


def test_what_the_classifier_contradicts_is_left_out_where_more_can_be_accepted_then() -> None:
    right = [True] * 300 + [False] * 10
    least = [0.971 + number / 20_000 for number in range(310)]  # the wrong ones are the surest
    agreement = [0.9] * 290 + [0.25] * 10 + [0.2] * 10
    accept, agree = thresholds({"separated": told(right, least, agreement)})
    assert (accept, agree) == (0.971, 0.3)


def test_no_row_is_accepted_that_is_not_likely_right() -> None:
    assert thresholds({"separated": told([True] * 100, [0.9] * 50 + [0.99] * 50)})[0] == LEAST_CONFIDENCE


def test_without_a_good_threshold_nothing_is_accepted() -> None:
    assert thresholds({"separated": told([False, True], [0.99, 0.5])})[0] is None
    assert thresholds({"separated": told([], [])})[0] is None  # nothing is answered


# Figures


def test_the_table_has_a_row_for_each_kind() -> None:
    kinds = {
        "separated": told([True] * 6 + [False] * 2, [0.9] * 5 + [0.6] * 2 + [0.95]),
        NO_NUMBER: told([True, True, False, True], [0, 0, 0.97, 0]),
    }
    numbers = {kind: Numbers.of([("1", [line("1")])] * len(each)) for kind, each in kinds.items()}
    table = table_of_numbers(kinds, numbers, 0.9, 0.5)
    separated, nothing = table.rows
    assert (separated.name, separated.count, separated.exact) == ("separated", 8, 0.75)
    assert (separated.accepted, separated.wrong_accepted) == (6 / 8, 1 / 8)
    # Newcombe (1998): Wilson's interval of 6 in 8.
    assert separated.exact_interval == pytest.approx((0.409, 0.929), abs=1e-3)
    assert (nothing.name, nothing.exact, nothing.accepted, nothing.wrong_accepted) == (NO_NUMBER, 0.75, 0.25, 0.25)
    # 5 are 0.9 sure and right; 2 are 0.6 sure, one of them right; one is 0.95 sure and wrong. No number is left out.
    expected = (5 * abs(1 - 0.9) + 2 * abs(0.5 - 0.6) + 0.95) / 8
    assert table.expected_calibration_error == pytest.approx(expected, abs=1e-6)


def test_the_table_knows_its_pictures() -> None:
    kinds = {"separated": told([True], [0.9])}
    digests = {
        table_of_numbers(kinds, {"separated": Numbers.of([(text, [line("1")])])}, 0.5, 0.5).sha256
        for text in ("1", "1", "2")
    }
    assert len(digests) == 2


def test_a_reader_that_answers_nothing_has_a_table() -> None:
    kinds = {"separated": told([False], [0.0])}
    table = table_of_numbers(kinds, {"separated": Numbers.of([("1", [])])}, None, 0.5)
    assert (table.rows[0].exact, table.rows[0].accepted, table.expected_calibration_error) == (0, 0, 1)


# Temperature


class Overconfident:
    """Says of every line that it is a 4, with logits twice as far apart as the share of fours allows."""

    def __init__(self, share: float, factor: float) -> None:
        self.logit = factor * math.log(share / (1 - share))

    def logits(self, _: Line) -> NDArray[np.float32]:
        columns = np.full((1, 1, 11), -1e4, np.float32)
        columns[0, 0, [4, 9]] = self.logit, 0
        return columns


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.0])
def test_the_temperature_makes_texts_as_likely_as_they_are_right(factor: float) -> None:
    pictures = [(("4" if number % 10 else "9"), [line("")]) for number in range(50)]
    numbers = {
        "separated": Numbers.of(pictures),
        # Of these, nothing can be learned.
        "page": Numbers.of([("9\n9", [line("")])] * 50),
        NO_NUMBER: Numbers.of([("", [line("")])] * 50),
    }
    reader: Any = Overconfident(0.9, factor)
    assert fit_line_temperature(reader, numbers) == pytest.approx(factor, rel=0.02)


def test_without_a_line_logits_stay_as_they_are() -> None:
    assert fit_line_temperature(READER, {"separated": Numbers.of([("1", [])])}) == 1
