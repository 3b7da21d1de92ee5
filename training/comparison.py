"""What a challenger has to show: figures by itself, and differences from the live model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from digits.model.contract import CLASSES
from digits.model.judgement import ACCEPTED
from digits.model.proof import LoadedModel
from digits.registry.decisions import Check, Scores
from training.answers import Answers, answers_by_family, answers_by_row
from training.evaluate import MIXTURE_ACCURACY, calibration_error, mixture
from training.judging import Judging
from training.mixture import compose
from training.number_answers import NumberAnswers, answers_by_kind
from training.outliers import FRAMED
from training.refusals import BLANK_SHEETS
from training.robustness import table_of

CONFIDENCE = 0.95  # one-sided
LOWEST_ACCURACY = 0.95  # on the holdout, even if nothing is live
MOST_EXCUSED = 0.2
MOST_ACCEPTED = {BLANK_SHEETS: 0.02, FRAMED: 0.3}  # of families that have a limit of their own


@dataclass(frozen=True)
class Margins:
    """How much accuracy a challenger may lose, as a share of the digits.

    In each class and row it may lose a further fifth of the live model's error rate there.

    Attributes:
        calibration_error, distorted_calibration_error: the most that it may have; the live model's does not matter.
        wrong_accepted: the share of a row's digits that may be read wrongly and accepted; likewise.
        outliers_accepted: the share of a family's pictures, which show no digit, that may be accepted; likewise.
        outliers_difference: how many more of a family may be accepted than by the live model. A family has some 200
            pictures, of which equally good models accept up to nine more or fewer: what counts is what is certain.
        numbers: the share of a kind's pictures of numbers that may be lost; likewise.
        numbers_wrong_accepted: the share of them that may be read wrongly and accepted.
    """

    accuracy: float
    class_accuracy: float
    row_accuracy: float
    calibration_error: float
    distorted_calibration_error: float
    wrong_accepted: float
    outliers_accepted: float
    outliers_difference: float
    numbers: float
    numbers_wrong_accepted: float


MARGINS = Margins(0.003, 0.01, 0.02, 0.025, 0.035, 0.02, 0.1, 0.03, 0.03, 0.025)
# A few hundred digits cannot show differences that small: one digit of a class's 50 is 2 points. Trained on a few
# thousand with six seeds, `quick` has calibration errors of 0.043 to 0.050, and in its worst row 0 to 0.067 of 60
# digits wrong and accepted.
SMALL_MARGINS = Margins(0.02, 0.06, 0.04, 0.07, 0.07, 0.1, 0.3, 0.1, 0.15, 0.1)
SMALL_HOLDOUT = 2_000


class ScoredModel:
    """A model's answers on the holdout, on distorted digits and on what must be refused."""

    def __init__(self, model: LoadedModel, judging: Judging) -> None:
        holdout = judging.digits
        self.model, self.labels = model, holdout.labels
        accept, reject = model.manifest.acceptance_threshold, model.manifest.rejection_threshold
        clean = Answers.plain(model.classifier.predict(holdout.images), holdout.labels)
        rows = answers_by_row(model.classifier, judging.distorted)
        families = answers_by_family(model.classifier, judging.outliers)
        self.right = clean.right
        self.right_by_row = {name: answers.right & answers.answered(accept, reject) for name, answers in rows.items()}
        self.calibration_error = calibration_error(clean.probabilities, clean.labels)
        self.table = table_of(rows, accept, reject)
        self.mixture = mixture(compose(clean, rows, families), accept, reject)
        self.accepted_by_family = {
            name: answers.judged(accept, reject) == ACCEPTED for name, answers in families.items()
        }
        self.numbers = _numbers(model, judging)

    @property
    def accepts(self) -> bool:
        """Whether there is a threshold from which on answers are accepted; without one, there is nothing to check."""
        return self.model.manifest.acceptance_threshold is not None

    def scores(self) -> Scores:
        """Return what a decision records of the model."""
        return Scores(
            version=self.model.manifest.version,
            holdout_accuracy=self.right.mean(),
            distorted_accuracy=np.mean([right.mean() for right in self.right_by_row.values()]),
            holdout_calibration_error=self.calibration_error,
            distorted_calibration_error=self.table.expected_calibration_error,
            test_accuracy=self.model.manifest.test.accuracy,
        )


def _numbers(model: LoadedModel, judging: Judging) -> dict[str, tuple[NumberAnswers, NDArray[np.bool_]]]:
    """Return the answers to pictures of numbers by kind, and which are accepted; none without a reader."""
    if not model.numbers.exists:
        return {}
    reader = model.numbers.get()
    accept, agree = reader.record.acceptance_threshold, reader.record.agreement_threshold
    kinds = answers_by_kind(reader.network, model.classifier, judging.numbers)
    return {kind: (answers, answers.accepted(accept, agree)) for kind, answers in kinds.items()}


def promises(new: ScoredModel, margins: Margins) -> Iterator[Check]:
    """Return what a model has to show by itself, whatever is live."""
    yield Check(name="accuracy", figure=new.right.mean(), rule="at least", limit=LOWEST_ACCURACY)
    for name, figure, limit in (
        ("calibration error", new.calibration_error, margins.calibration_error),
        (
            "calibration error, distorted digits",
            new.table.expected_calibration_error,
            margins.distorted_calibration_error,
        ),
    ):
        yield Check(name=name, figure=figure, rule="at most", limit=limit)
    yield from number_promises(new, margins)
    if not new.accepts:
        return
    if new.mixture.accepted_accuracy is not None:
        figure = round(new.mixture.accepted_accuracy, 9)
        yield Check(name="accepted accuracy, mixture", figure=figure, rule="at least", limit=MIXTURE_ACCURACY)
    for row in new.table.rows:
        name, figure = f"row {row.name}, wrong and accepted", row.wrong_accepted or 0
        yield Check(name=name, figure=figure, rule="at most", limit=margins.wrong_accepted)
    for family, accepted in new.accepted_by_family.items():
        name, limit = f"no digit: {family}, accepted", MOST_ACCEPTED.get(family, margins.outliers_accepted)
        yield Check(name=name, figure=float(accepted.mean()), rule="at most", limit=limit)


def number_promises(new: ScoredModel, margins: Margins) -> Iterator[Check]:
    """Return what a reader has to show by itself."""
    for kind, (answers, accepted) in new.numbers.items():
        figure = float((accepted & ~answers.right).mean())
        name = f"numbers: {kind}, wrong and accepted"
        yield Check(name=name, figure=figure, rule="at most", limit=margins.numbers_wrong_accepted)


def number_comparisons(old: ScoredModel, new: ScoredModel, margins: Margins) -> Iterator[Check]:
    """Return what a reader has to show beside the live one; that there is one, first of all."""
    if not old.numbers:
        return
    yield Check(name="readers of numbers", figure=float(bool(new.numbers)), rule="at least", limit=1)
    for kind, (answers, _) in new.numbers.items():
        yield _loss(f"numbers: {kind}", old.numbers[kind][0].right, answers.right, margins.numbers)


def comparisons(old: ScoredModel, new: ScoredModel, margins: Margins) -> Iterator[Check]:
    """Return what a model has to show beside the live one."""
    theirs, ours = old.model.manifest.dataset, new.model.manifest.dataset
    for name, figure, limit in (
        ("digits of the data set", ours.own_count, theirs.own_count),
        ("training digits", ours.training_count, theirs.training_count),
    ):
        yield Check(name=name, figure=figure, rule="at least", limit=limit)
    bound = _least_gain(old.right, new.right)
    yield Check(name="accuracy, difference at 95 %", figure=bound, rule="at least", limit=-margins.accuracy)
    for digit in range(len(CLASSES)):
        chosen = new.labels == digit
        yield _loss(f"digit {digit}", old.right[chosen], new.right[chosen], margins.class_accuracy)
    yield from number_comparisons(old, new, margins)
    for name, right in old.right_by_row.items():
        yield _loss(f"row {name}", right, new.right_by_row[name], margins.row_accuracy)
    if old.accepts and new.accepts:
        for family, accepted in old.accepted_by_family.items():
            if family == FRAMED:  # which shows a digit that may well be read
                continue
            name, more = (
                f"no digit: {family}, difference at 95 %",
                _least_gain(accepted, new.accepted_by_family[family]),
            )
            yield Check(name=name, figure=more, rule="at most", limit=margins.outliers_difference)


def _least_gain(old: NDArray[np.bool_], new: NDArray[np.bool_]) -> float:
    """Return the share that is true of the new more often than of the old, with 95 % confidence."""
    return lower_bound(int((new & ~old).sum()), int((old & ~new).sum()), len(new))


def lower_bound(gained: int, lost: int, count: int) -> float:
    """Return the lower 95 % confidence bound of the new share minus the old one.

    The score interval for a difference of paired proportions (Tango, 1998), one-sided.

    Args:
        gained: how many pictures count for the new model alone; lost, how many for the old one alone.
        count: how many pictures both have answered.
    """
    quantile = norm.ppf(CONFIDENCE)

    def excess(difference: float) -> float:
        a, c = 2 * count, -lost * difference * (1 - difference)
        b = -gained - lost + (2 * count - gained + lost) * difference
        share_lost = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = count * (2 * share_lost + difference * (1 - difference))
        return gained - lost - count * difference - quantile * math.sqrt(max(0.0, variance))

    return max(-1.0, float(brentq(excess, -1 + 1e-9, (gained - lost) / count - 1e-9)))


def _loss(name: str, old: NDArray[np.bool_], new: NDArray[np.bool_], margin: float) -> Check:
    limit = -(margin + MOST_EXCUSED * (1 - float(old.mean())))
    return Check(name=f"{name}, difference", figure=float(new.mean() - old.mean()), rule="at least", limit=limit)
