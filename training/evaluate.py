"""How good a model is: metrics computed from probabilities and labels alone."""

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
from digits.model.manifest import Metrics

TARGET_ACCURACY = 0.999
_BINS = 15


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


def acceptance_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float | None:
    """Return the lowest confidence at or above which 99.9 % of answers are right; None if there is none."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    good = np.flatnonzero(np.cumsum(right) >= TARGET_ACCURACY * np.arange(1, len(right) + 1))
    # A threshold accepts all answers of equal confidence, so it can only lie where the confidence changes.
    sorted_confidence = confidence[order]
    last_of_kind = np.flatnonzero(np.append(sorted_confidence[1:] != sorted_confidence[:-1], True))
    usable = np.intersect1d(good, last_of_kind)
    return float(sorted_confidence[usable[-1]]) if len(usable) else None


def negative_log_likelihood(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> float:
    """Return the mean negative log-likelihood of the labels, in nats; probabilities are clipped at 1e-12."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_label, 1e-12)).mean())


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Return the expected calibration error over 15 equal bins of confidence (Guo et al., 2017)."""
    return sum(abs(step.confidence - step.accuracy) * step.share for step in reliability(probabilities, labels))


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of similar confidence: their mean confidence, their accuracy, and their share of all answers."""

    confidence: float
    accuracy: float
    share: float


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> list[ReliabilityBin]:
    """Return the bins that are not empty, lowest confidence first."""
    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        ReliabilityBin(float(confidence[inside].mean()), float(right[inside].mean()), float(inside.mean()))
        for inside in (bins == index for index in range(_BINS))
        if inside.any()
    ]


def fit_temperature(probabilities: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.uint8]]) -> float:
    """Return the temperature to divide logits by, so that confidence matches accuracy (Guo et al., 2017).

    Args:
        probabilities: of several sets of digits; each set has the same weight.
        labels: of the same digits.
    """
    logits = [np.log(np.maximum(each.astype(np.float64), 1e-30)) for each in probabilities]

    def cost(log_temperature: float) -> float:
        cooled = [softmax(each / math.exp(log_temperature), axis=1) for each in logits]
        return sum(negative_log_likelihood(*pair) for pair in zip(cooled, labels, strict=True))

    return math.exp(minimize_scalar(cost, bounds=(math.log(0.05), math.log(20)), method="bounded").x)
