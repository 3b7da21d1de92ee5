"""How good a model is, and which of its answers to trust: computed from probabilities and labels alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import binomtest

from digits.model.contract import CLASSES
from digits.model.judgement import ACCEPTED, ANSWERED
from digits.model.manifest import Metrics, Mixture, MixturePart
from training.answers import Answers, Weighted

# What of the accepted answers is right at least: of clean holdout digits, and over the mixture.
TARGET_ACCURACY = 0.999
MIXTURE_ACCURACY = 0.995
# What the lower threshold refuses at most: of clean holdout digits, and of distorted ones that are read correctly.
MOST_CLEAN_REFUSED = 0.002
MOST_DISTORTED_REFUSED = 0.01
_BINS = 15
_ROUNDING = 1e-9


def measure(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Metrics:
    """Return the metrics of some answers.

    Args:
        probabilities: float32 (n, 10).
        labels: uint8 (n,), with at least one digit of each class.
    """
    right = probabilities.argmax(axis=1) == labels
    return Metrics(
        count=len(labels),
        accuracy=float(right.mean()),
        accuracy_interval=wilson_interval(int(right.sum()), len(labels)),
        class_accuracy=[float(right[labels == digit].mean()) for digit in range(len(CLASSES))],
        negative_log_likelihood=negative_log_likelihood(probabilities, labels),
        expected_calibration_error=calibration_error(probabilities, labels),
    )


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, 1927)."""
    interval = binomtest(right, count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def acceptance_threshold(clean: Answers, mixture: Sequence[Weighted]) -> float | None:
    """Return the upper threshold: the lowest confidence from which on answers may be accepted.

    Of the accepted answers to clean digits, `TARGET_ACCURACY` must be right, and `MIXTURE_ACCURACY` over the mixture,
    where each picture counts as its part's weight says. A threshold accepts all answers of equal confidence.

    Args:
        clean: the holdout's digits.
        mixture: what people are taken to send.

    Returns:
        The confidence; None if none does, or if it would accept no clean digit.
    """
    parts = [part.answers for part in mixture]
    candidates = np.unique(np.concatenate([each.confidence[_acceptable(each)] for each in (clean, *parts)]))
    clean_accepted, clean_right = _counts_from(candidates, clean)
    accepted, right = np.zeros(len(candidates)), np.zeros(len(candidates))
    for part in mixture:
        counts = _counts_from(candidates, part.answers)
        accepted += part.weight * counts[0] / len(part.answers)
        right += part.weight * counts[1] / len(part.answers)
    good = np.flatnonzero(
        (clean_accepted > 0)
        & (clean_right >= TARGET_ACCURACY * clean_accepted - _ROUNDING)
        & (right >= MIXTURE_ACCURACY * accepted - _ROUNDING)
    )
    return float(candidates[good[0]]) if len(good) else None


def rejection_threshold(clean: Answers, distorted: Sequence[Answers], accept: float | None) -> float | None:
    """Return the lower threshold: the highest confidence below which few digits lie, so that the rest can be refused.

    It refuses at most `MOST_CLEAN_REFUSED` of the clean digits, and at most `MOST_DISTORTED_REFUSED` of the distorted
    ones that would be read correctly otherwise, and it is never above the upper threshold.

    Args:
        accept: the upper threshold; None if there is none.

    Returns:
        The confidence; None if there is no digit to choose it by.
    """
    answered = clean.confidence[clean.answered(None, None)]
    read = np.concatenate(
        [each.confidence[each.answered(None, None) & each.right] for each in distorted] or [answered[:0]]
    )
    limits = [
        _highest_below_few(answered, MOST_CLEAN_REFUSED),
        _highest_below_few(read, MOST_DISTORTED_REFUSED),
        accept,
    ]
    if not len(answered) and not len(read):
        return None
    return min(limit for limit in limits if limit is not None)


def mixture(parts: Sequence[Weighted], accept: float | None, reject: float | None) -> Mixture:
    """Return how well confidence and acceptance do over a mixture; parts of one name are told as one.

    Args:
        parts: their weights add up to 1.
        accept: the upper threshold; None accepts nothing.
        reject: the lower threshold; None answers always.
    """
    told: dict[str, list[list[float]]] = {}
    confidence, right, weights = [], [], []
    for part in parts:
        judged = part.answers.judged(accept, reject)
        accepted = judged == ACCEPTED
        shares = 1.0, float(accepted.mean()), float((accepted & part.answers.right).mean())
        told.setdefault(part.name, []).append([part.weight * share for share in shares])
        answered = accepted | (judged == ANSWERED)
        confidence.append(part.answers.confidence[answered])
        right.append(part.answers.right[answered])
        weights.append(np.full(int(answered.sum()), part.weight / len(part.answers)))
    sums = {name: [sum(column) for column in zip(*rows, strict=True)] for name, rows in told.items()}
    accepted_share, right_share = (sum(row[index] for row in sums.values()) for index in (1, 2))
    bins = _bins(*(np.concatenate(each) for each in (confidence, right, weights)))
    return Mixture(
        parts=[
            MixturePart(
                name=name,
                weight=_share(weight),
                accepted=_share(accepted / weight),
                right=_share(right / weight),
            )
            for name, (weight, accepted, right) in sums.items()
        ],
        accepted_accuracy=_share(right_share / accepted_share) if accepted_share else None,
        accepted_share=_share(accepted_share),
        expected_calibration_error=_calibration_error(bins) if bins else None,
    )


def _share(value: float) -> float:
    """Return a share that sums of floats may have made larger than 1."""
    return min(1.0, value)


def _acceptable(answers: Answers) -> NDArray[np.bool_]:
    return answers.judged(0.0, None) == ACCEPTED


def _counts_from(candidates: NDArray[np.float32], answers: Answers) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how many answers each threshold would accept, and how many of those are right."""
    acceptable = _acceptable(answers)

    def count(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.asarray(chosen.sum() - np.searchsorted(np.sort(answers.confidence[chosen]), candidates))

    return count(acceptable), count(acceptable & answers.right)


def _highest_below_few(confidence: NDArray[np.float32], share: float) -> float | None:
    """Return the highest threshold that at most this share of the confidences lies below."""
    if not len(confidence):
        return None
    return float(np.sort(confidence)[math.floor(share * len(confidence) + _ROUNDING)])


def negative_log_likelihood(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> float:
    """Return the mean negative log-likelihood of the labels, in nats; probabilities are clipped at 1e-12."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_label, 1e-12)).mean())


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Return the expected calibration error over 15 equal bins of confidence (Guo et al., 2017)."""
    return _calibration_error(reliability(probabilities, labels))


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of similar confidence: their mean confidence, their accuracy, and their share of all answers."""

    confidence: float
    accuracy: float
    share: float


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> list[ReliabilityBin]:
    """Return the bins that are not empty, lowest confidence first."""
    right = probabilities.argmax(axis=1) == labels
    return _bins(probabilities.max(axis=1), right, np.ones(len(labels)))


def _bins(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> list[ReliabilityBin]:
    values = confidence.astype(np.float64)
    numbers = np.minimum((values * _BINS).astype(int), _BINS - 1)
    return [
        ReliabilityBin(
            float(np.average(values[inside], weights=weights[inside])),
            float(np.average(right[inside], weights=weights[inside])),
            float(weights[inside].sum() / weights.sum()),
        )
        for inside in (numbers == number for number in range(_BINS))
        if inside.any()
    ]


def _calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    return sum(abs(each.confidence - each.accuracy) * each.share for each in bins)


def fit_temperature(
    probabilities: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.uint8]], weights: Sequence[float]
) -> float:
    """Return the temperature to divide logits by, so that confidence matches accuracy (Guo et al., 2017).

    What is fitted is how likely the confidence makes it that the answers are right or wrong as they are: unlike the
    likelihood of the labels, that can be told of what is no digit as well.

    Args:
        probabilities: of several sets of pictures.
        labels: of the same pictures; `NO_DIGIT` where there is none.
        weights: of each set, whatever its size.
    """
    logits = [np.log(np.maximum(each.astype(np.float64), 1e-30)) for each in probabilities]
    right = [each.argmax(axis=1) == truth for each, truth in zip(probabilities, labels, strict=True)]

    def cost(log_temperature: float) -> float:
        cooled = [softmax(each / math.exp(log_temperature), axis=1).max(axis=1) for each in logits]
        likely = (np.where(*pair, 1 - pair[1]) for pair in zip(right, cooled, strict=True))
        losses = (-np.log(np.maximum(each, 1e-12)).mean() if len(each) else 0.0 for each in likely)
        return float(sum(weight * loss for weight, loss in zip(weights, losses, strict=True)))

    return math.exp(minimize_scalar(cost, bounds=(math.log(0.05), math.log(20)), method="bounded").x)
