"""The two classes of grey that a picture of ink on paper falls into."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float32]

# Tones are taken from a part of the pixels of a picture with more than this.
MANY = 20_000
_POWERS = np.arange(256.0) ** [[0], [1], [2]]


@dataclass(frozen=True)
class Tones:
    """Two classes of grey.

    Attributes:
        threshold: the greatest value of the lower class.
        low, high: the means of the classes.
        low_spread, high_spread: their standard deviations.
        separation: the share of the variance that lies between the classes, 0 to 1.
    """

    threshold: float
    low: float
    high: float
    low_spread: float
    high_spread: float
    separation: float

    @property
    def contrast(self) -> float:
        """How far the classes are apart."""
        return self.high - self.low


def split_tones(values: Floats) -> Tones:
    """Split values into the two classes that differ most (Otsu, 1979).

    Args:
        values: float32 of any shape, 0 to 255, not all equal.
    """
    bins = np.bincount(np.clip(values, 0, 255).astype(np.uint8).ravel(), minlength=256)
    below = (bins * _POWERS).cumsum(axis=1)  # number, sum and sum of squares of the values up to each grey
    count, total, _ = below
    others, rest = count[-1] - count, total[-1] - total
    between = count * others * (rest / np.maximum(others, 1) - total / np.maximum(count, 1)) ** 2
    split = int(between.argmax())
    low, low_spread = _mean_and_spread(below[:, split])
    high, high_spread = _mean_and_spread(below[:, -1] - below[:, split])
    number, whole, squares = below[:, -1]
    separation = float(between[split] / max(1e-9, number * squares - whole**2))
    return Tones(split + 0.999, low, high, low_spread, high_spread, separation)


def _mean_and_spread(sums: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation, given number, sum and sum of squares; not a number for no values."""
    count, total, squares = sums.tolist()
    if not count:
        return math.nan, math.nan
    mean = total / count
    return mean, math.sqrt(max(squares / count - mean**2, 0.0))


def sampled(values: Floats) -> Floats:
    """Return every third, fourth or fifth pixel of a large array, which has the same tones.

    From row to row they are other columns, so that an upright line of a single pixel is among them.
    """
    if values.size <= MANY:
        return values
    step = next((step for step in (4, 5, 3) if math.gcd(step, values.shape[1]) == 1), 7)
    return values.ravel()[::step]
