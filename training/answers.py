"""A model's answers to pictures, as thresholds and figures are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digits.model.classifier import Classifier
from digits.model.contract import CLASSES
from digits.model.judgement import ACCEPTED, ANSWERED, judge, least_of_parts

if TYPE_CHECKING:
    from training.forms import Forms
    from training.robustness import DistortedDigits

NO_DIGIT = 255  # the label of what is no digit: no answer to it is right


@dataclass(frozen=True)
class Answers:
    """A model's answers to pictures, before thresholds are known.

    Attributes:
        probabilities: float32 (n, 10); zeros where a picture was refused before the model saw it.
        labels: uint8 (n,); `NO_DIGIT` where there is none.
        verdicts: n strings: why a picture was refused before the model saw it, or empty.
        warned: whether something may have spoiled the answer, bool (n,).
        of_parts: least confidence of the parts, as `digits.model.judgement.least_of_parts` returns it, (n,).
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]
    verdicts: NDArray[np.str_]
    warned: NDArray[np.bool_]
    of_parts: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def plain(cls, probabilities: NDArray[np.float32], labels: NDArray[np.uint8] | None = None) -> Answers:
        """Return the answers to canonical images of one part, without warnings; without labels, to what is no digit."""
        count = len(probabilities)
        truth = np.full(count, NO_DIGIT, np.uint8) if labels is None else labels
        return cls(probabilities, truth, np.full(count, ""), np.zeros(count, np.bool_), np.zeros(count, np.float32))

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """The highest probability, (n,)."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the model reads the digit, thresholds and parts aside: bool (n,)."""
        return (self.verdicts == "") & (self.probabilities.argmax(axis=1) == self.labels)

    def judged(self, accept: float | None, reject: float | None) -> NDArray[np.str_]:
        """Return what each picture is told under two thresholds: `accepted`, `answered`, or the verdict."""
        of_model = judge(self.confidence, self.of_parts, self.warned, acceptance=accept, rejection=reject)
        return np.where(self.verdicts == "", of_model, self.verdicts)

    def answered(self, accept: float | None, reject: float | None) -> NDArray[np.bool_]:
        """Return which pictures are answered with a digit, accepted or not: bool (n,)."""
        return np.isin(self.judged(accept, reject), (ACCEPTED, ANSWERED))


@dataclass(frozen=True)
class Weighted:
    """Answers that are a share of a mixture."""

    name: str
    weight: float
    answers: Answers


def answers_to(classifier: Classifier, forms: Forms, labels: NDArray[np.uint8] | None = None) -> Answers:
    """Return a model's answers to pictures; without labels, to pictures of no digit."""
    probabilities = np.zeros((len(forms), len(CLASSES)), np.float32)
    probabilities[forms.readable] = classifier.predict(forms.images[forms.readable])
    of_parts = least_of_parts(classifier.predict(forms.parts).max(axis=1, initial=0), forms.part_counts)
    truth = np.full(len(forms), NO_DIGIT, np.uint8) if labels is None else labels
    return Answers(probabilities, truth, forms.verdicts, forms.warned, of_parts)


def answers_by_row(classifier: Classifier, distorted: DistortedDigits) -> dict[str, Answers]:
    """Return a model's answers to distorted digits, by row."""
    return {name: answers_to(classifier, row.forms, row.labels) for name, row in distorted.rows.items()}


def answers_by_family(classifier: Classifier, outliers: Mapping[str, Forms]) -> dict[str, Answers]:
    """Return a model's answers to what must be refused, by family."""
    return {name: answers_to(classifier, forms) for name, forms in outliers.items()}
