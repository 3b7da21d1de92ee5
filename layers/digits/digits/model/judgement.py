"""What is made of a confidence: the one rule for the answers of the service and for the figures of a training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ACCEPTED = "accepted"
ANSWERED = "answered"
NOT_A_DIGIT = "not_a_digit"
SEVERAL_DIGITS = "several_digits"


def judge(
    confidence: NDArray[np.floating],
    of_parts: NDArray[np.floating],
    warned: NDArray[np.bool_],
    *,
    acceptance: float | None,
    rejection: float | None,
) -> NDArray[np.str_]:
    """Return what each picture is told: several digits, no digit, a digit, or one that is accepted.

    Args:
        confidence: highest probability of the whole, (n,).
        of_parts: least of the parts' highest probabilities, (n,); `least_of_parts` returns it.
        warned: whether something may have spoiled the answer, bool (n,).
        acceptance: the least confidence of an answer that is accepted; None accepts none.
        rejection: the least confidence of an answer; None answers always.
    """
    accepted = np.zeros(len(confidence), np.bool_) if acceptance is None else (confidence >= acceptance) & ~warned
    judged = np.where(accepted, ACCEPTED, ANSWERED)
    if rejection is not None:
        judged = np.where(confidence < rejection, NOT_A_DIGIT, judged)
    least = confidence if rejection is None else np.maximum(confidence, rejection)
    return np.where(of_parts > least, SEVERAL_DIGITS, judged)


def least_of_parts(confidence: NDArray[np.floating], counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return the least confidence among each picture's parts; 0 where there are fewer than two parts.

    Args:
        confidence: highest probability of each part, the first picture's first, (sum of counts,).
        counts: how many parts each picture has, (n,).
    """
    least = np.zeros(len(counts), confidence.dtype)
    ends = np.cumsum(counts)
    for index in np.flatnonzero(counts >= 2):
        least[index] = confidence[ends[index] - counts[index] : ends[index]].min()
    return least
