"""How good a model is: figures from probabilities and labels alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from digits.manifest import Metrics

TARGET_ACCURACY = 0.999
_BINS = 15
_NORMAL_95 = 1.959963984540054


def measure(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> Metrics:
    """Return the metrics of some answers.

    Args:
        probabilities: float32 (n, 10).
        labels: uint8 (n,), with at least one digit of each class.
    """
    right = probabilities.argmax(axis=1) == labels
    of_label = np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-12)
    return Metrics(
        count=len(labels),
        accuracy=float(right.mean()),
        accuracy_interval=wilson_interval(int(right.sum()), len(labels)),
        class_accuracy=[float(right[labels == digit].mean()) for digit in range(10)],
        negative_log_likelihood=float(-np.log(of_label).mean()),
        expected_calibration_error=_calibration_error(probabilities.max(axis=1), right),
    )


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, 1927)."""
    share, square = right / count, _NORMAL_95**2
    centre = share + square / (2 * count)
    spread = _NORMAL_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    scale = 1 + square / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def acceptance_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float | None:
    """Return the lowest confidence from which on answers are 99.9 % right; None where there is none."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    good = np.flatnonzero(np.cumsum(right) >= TARGET_ACCURACY * np.arange(1, len(right) + 1))
    # A threshold takes all answers of its confidence, so it may only fall where the confidence changes.
    sorted_confidence = confidence[order]
    last_of_kind = np.flatnonzero(np.append(sorted_confidence[1:] != sorted_confidence[:-1], True))
    usable = np.intersect1d(good, last_of_kind)
    return float(sorted_confidence[usable[-1]]) if len(usable) else None


def _calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float(confidence[bins == index].sum() - right[bins == index].sum())) for index in range(_BINS)]
    return sum(gaps) / len(right)
