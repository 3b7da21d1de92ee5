"""How well numbers are read, by kind of picture, and whether both networks read single digits alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.models import Measured
from digits.model.manifest import LineRow, LineTable
from training.artifacts import DISTORTED_FOLDER, OUTPUT
from training.dataset import Part
from training.evaluate import wilson_interval
from training.number_answers import NumberAnswers, answers_to_numbers, count_alike, table_of_numbers
from training.numbers import number_pictures

PAGE = "page"
# What share is read right, by kind; those before the pages are single rows.
EXACT = {"separated": 0.985, "touching": 0.96, "in cells": 0.97, "ruled": 0.97, "photographed": 0.96, PAGE: 0.93}
ROWS = tuple(kind for kind in EXACT if kind != PAGE)
COVERAGE, WRONG_OF_ACCEPTED, WRONG_PAGES, ALIKE = 0.8, 0.005, 0.01, 0.99


@dataclass(frozen=True)
class Share:
    """A measured share and its aim.

    Attributes:
        rule: `at least` or `at most`, followed by `aim`.
    """

    name: str
    hits: int
    count: int
    rule: str
    aim: float

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.count

    @property
    def met(self) -> bool:
        """Whether the aim is met, without allowance for chance."""
        return self.value >= self.aim if self.rule == "at least" else self.value <= self.aim

    def line(self) -> str:
        """Return it as a row of a Markdown table, with its 95 % Wilson interval."""
        low, high = wilson_interval(self.hits, self.count)
        verdict = "met" if self.met else "**missed**"
        return (
            f"| {self.name} | {self.rule} {100 * self.aim:g} % | {100 * self.value:.2f} % "
            f"| {100 * low:.2f}..{100 * high:.2f} % | {verdict} |"
        )


def read_kinds(model: Measured, part: Part, count: int) -> tuple[LineTable, dict[str, NumberAnswers]]:
    """Return the table of a reader's answers to so many pictures of each kind, and the answers by kind.

    Raises:
        NoReaderError, CorruptModelError: the model has no reader, or one that is not what its manifest says.
    """
    reader = model.numbers.get()
    record = reader.record
    numbers = number_pictures(part, OUTPUT / DISTORTED_FOLDER, partial(print, flush=True), count)
    answers = {kind: answers_to_numbers(reader.network, model.classifier, each) for kind, each in numbers.items()}
    return table_of_numbers(answers, numbers, record.acceptance_threshold, record.agreement_threshold), answers


def row_line(row: LineRow) -> str:
    """Return a kind of pictures as a row of a Markdown table."""
    low, high = row.exact_interval
    return (
        f"| {row.name} | {row.count:,} | {100 * row.exact:.2f} % | {100 * low:.2f}..{100 * high:.2f} % "
        f"| {100 * row.accepted:.2f} % | {100 * row.wrong_accepted:.2f} % |"
    )


def shares(answers: Mapping[str, NumberAnswers], accept: float | None, agree: float) -> Iterator[Share]:
    """Judge the answers by kind.

    Args:
        accept, agree: the thresholds of the manifest.
    """
    for kind, aim in EXACT.items():
        right = answers[kind].right
        yield Share(f"{kind}, exact", int(right.sum()), len(right), "at least", aim)
    accepted, wrong = _accepted([answers[kind] for kind in ROWS], accept, agree)
    count = sum(len(answers[kind]) for kind in ROWS)
    yield Share("single rows, accepted", accepted, count, "at least", COVERAGE)
    if accepted:
        yield Share("accepted single rows, wrong", wrong, accepted, "at most", WRONG_OF_ACCEPTED)
    _, wrong = _accepted([answers[PAGE]], accept, agree)
    yield Share("page, accepted and wrong", wrong, len(answers[PAGE]), "at most", WRONG_PAGES)


def _accepted(kinds: list[NumberAnswers], accept: float | None, agree: float) -> tuple[int, int]:
    """Return how many answers are accepted, and how many of these are wrong."""
    accepted = np.concatenate([each.accepted(accept, agree) for each in kinds])
    right = np.concatenate([each.right for each in kinds])
    return int(accepted.sum()), int((accepted & ~right).sum())


def agreement(model: Measured, digits: Part) -> Share:
    """Return how many clean digits both networks read alike, right or not."""
    alike = count_alike(model.numbers.get().network, model.classifier, digits)
    return Share("clean digits that both networks read alike", alike, len(digits), "at least", ALIKE)
