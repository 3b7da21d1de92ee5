"""A reader's answers to pictures of numbers, and the figures and thresholds that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from digits.errors import ImageError, TooMuchError
from digits.model.classifier import Classifier
from digits.model.manifest import LineRow, LineTable
from digits.model.reader import Reader
from digits.model.strings import Columns, probabilities_of
from digits.numbers import LineReading, confirm, read_line
from digits.pictures.rows import find_rows
from training.dataset import Part
from training.evaluate import calibration_error, wilson_interval
from training.numbers import NO_NUMBER, Numbers, pictures_sha256

# Of the accepted rows this share is wholly right, on the holdout's pictures of all kinds together.
TARGET_EXACT = 0.995
# No row is accepted that is less likely right than this, however lucky the holdout's pictures are.
LEAST_CONFIDENCE = 0.97
# The classifier contradicts a digit that it gives less than this; the value that accepts most is chosen.
AGREEMENTS = (0.02, 0.1, 0.3, 0.5)
_ROUNDING = 1e-9


@dataclass(frozen=True)
class RowAnswers:
    """Rows that were read, before thresholds are known.

    Attributes:
        right: whether the text is; never where a picture was read with too many rows or too few: bool (m,).
        confidence: how likely that is: float64 (m,).
        agreement: the least probability that the classifier gives to a digit: float64 (m,).
    """

    right: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    agreement: NDArray[np.float64]


@dataclass(frozen=True)
class NumberAnswers:
    """Answers to pictures of one kind, before thresholds are known.

    Attributes:
        right: whether the whole text is, or, where there is no number, that nothing was read: bool (n,).
        confidence: how likely it is that all rows are right: float64 (n,); 0 where nothing was read.
        least: the least confidence of a row, likewise.
        agreement: the least probability that the classifier gives to a digit, likewise.
        rows: of all pictures, one by one.
    """

    right: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    least: NDArray[np.float64]
    agreement: NDArray[np.float64]
    rows: RowAnswers

    def __len__(self) -> int:
        return len(self.right)

    def accepted(self, accept: float | None, agree: float) -> NDArray[np.bool_]:
        """Return which are accepted: bool (n,)."""
        if accept is None:
            return np.zeros(len(self), np.bool_)
        return (self.least > 0) & (self.least >= accept) & (self.agreement >= agree)

    @cached_property
    def answered(self) -> NDArray[np.bool_]:
        """Which are answered with a number, accepted or not: bool (n,)."""
        return self.least > 0


def answers_to_numbers(reader: Reader, classifier: Classifier, numbers: Numbers) -> NumberAnswers:
    """Read pictures of one kind."""
    pictures: list[tuple[bool, float, float, float]] = []
    rows: list[tuple[bool, float, float]] = []
    for text, lines in numbers.pictures():
        read = _readings(lines, reader)
        confirmed = confirm([line for line, _ in read], [reading for _, reading in read], classifier)
        told, texts = ["".join(map(str, reading.string)) for reading, _ in confirmed], text.split("\n") if text else []
        likely, agreed = [reading.probability for reading, _ in confirmed], [agrees for _, agrees in confirmed]
        right = [len(told) == len(texts) and row == texts[place] for place, row in enumerate(told)]
        rows += zip(right, likely, agreed, strict=True)
        confidence = math.prod(likely) if likely else 0.0
        pictures.append((told == texts, confidence, min(likely, default=0.0), min(agreed, default=0.0)))
    whole, confidences, least, agreements = np.array(pictures, np.float64).reshape(-1, 4).T
    row_right, row_confidences, row_agreements = np.array(rows, np.float64).reshape(-1, 3).T
    of_rows = RowAnswers(row_right > 0, row_confidences, row_agreements)
    return NumberAnswers(whole > 0, confidences, least, agreements, of_rows)


def count_alike(reader: Reader, classifier: Classifier, digits: Part) -> int:
    """Return how many clean digits both networks read alike, right or not."""
    alone = classifier.predict(digits.images).argmax(axis=1)
    return sum(_digits_of(image, reader) == [int(digit)] for image, digit in zip(digits.images, alone, strict=True))


def _digits_of(image: NDArray[np.uint8], reader: Reader) -> list[int]:
    try:
        lines = [row.pixels for row in find_rows(image).rows]
    except ImageError:
        return []
    return [digit for _, reading in _readings(lines, reader) for digit in reading.string]


def _readings(lines: Sequence[NDArray[np.uint8]], reader: Reader) -> list[tuple[NDArray[np.uint8], LineReading]]:
    """Return the lines that hold digits, with what is read; none where one holds more than are read."""
    try:
        return [(line, reading) for line in lines if (reading := read_line(line, reader)) and reading.string]
    except TooMuchError:
        return []


def answers_by_kind(reader: Reader, classifier: Classifier, numbers: Mapping[str, Numbers]) -> dict[str, NumberAnswers]:
    """Read pictures of all kinds."""
    return {kind: answers_to_numbers(reader, classifier, each) for kind, each in numbers.items()}


def thresholds(kinds: Mapping[str, NumberAnswers]) -> tuple[float | None, float]:
    """Return the least confidence of a row that is accepted, and the least agreement: those that accept most.

    Of the rows that they accept, of all kinds together, `TARGET_EXACT` are wholly right, and the confidence is never
    less than `LEAST_CONFIDENCE`. None accepts nothing.
    """
    rows = [each.rows for each in kinds.values()]
    right, agreement = np.concatenate([row.right for row in rows]), np.concatenate([row.agreement for row in rows])
    confidence = np.concatenate([row.confidence for row in rows])
    best: tuple[int, float | None, float] = (0, None, AGREEMENTS[-1])
    for agree in AGREEMENTS:
        open_to = agreement >= agree
        least = np.where(open_to, confidence, -1)
        order = np.argsort(-least, kind="stable")[: int(open_to.sum())]
        share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
        # Down to where the share first falls for good.
        good = np.flatnonzero(share >= TARGET_EXACT - _ROUNDING)
        if len(good) and good[-1] + 1 > best[0]:
            best = int(good[-1]) + 1, float(least[order[good[-1]]]), agree
    return (None if best[1] is None else max(best[1], LEAST_CONFIDENCE)), best[2]


def table_of_numbers(
    kinds: Mapping[str, NumberAnswers], numbers: Mapping[str, Numbers], accept: float | None, agree: float
) -> LineTable:
    """Return the table of answers by kind."""
    rows = []
    for kind, answers in kinds.items():
        accepted = answers.accepted(accept, agree)
        rows.append(
            LineRow(
                name=kind,
                count=len(answers),
                exact=float(answers.right.mean()),
                exact_interval=wilson_interval(int(answers.right.sum()), len(answers)),
                accepted=float(accepted.mean()),
                wrong_accepted=float((accepted & ~answers.right).mean()),
            )
        )
    confidence = np.concatenate([each.confidence[each.answered] for kind, each in kinds.items() if kind != NO_NUMBER])
    right = np.concatenate([each.right[each.answered] for kind, each in kinds.items() if kind != NO_NUMBER])
    # As a classifier of two classes, of which the first is that the whole number is right.
    both = np.stack([confidence, np.zeros_like(confidence)], axis=1).astype(np.float32)
    error = calibration_error(both, np.where(right, 0, 1).astype(np.uint8)) if len(right) else 1.0
    return LineTable(sha256=pictures_sha256(numbers), rows=rows, expected_calibration_error=error)


def fit_line_temperature(reader: Reader, numbers: Mapping[str, Numbers]) -> float:
    """Return what logits must be divided by so that the texts of lines are as likely as they are often right.

    Only lines count of pictures in which as many were found as there are rows.
    """
    lines = [
        (reader.logits(line[None])[0], [int(digit) for digit in row])
        for kind, each in numbers.items()
        if kind != NO_NUMBER
        for text, found in each.pictures()
        if len(found) == len(text.split("\n"))
        for line, row in zip(found, text.split("\n"), strict=True)
    ]
    if not lines:
        return 1.0

    def cost(logarithm: float) -> float:
        likely = [float(probabilities_of(Columns.of(logits / math.exp(logarithm)), [row])[0]) for logits, row in lines]
        # A text that is out of the question would outweigh all others.
        return -float(np.log(np.maximum(likely, 1e-3)).mean())

    found = minimize_scalar(cost, bounds=(math.log(0.5), math.log(3)), method="bounded", options={"maxiter": 12})
    return math.exp(found.x)
