"""The two classes of grey that a picture of ink on paper falls into."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float32]

# Tones are taken from a part of the pixels of a picture with more than this.
MANY = 20_000


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
    bins = np.bincount(np.clip(values, 0, 255).astype(np.uint8).ravel(), minlength=256).astype(np.float64)
    greys = np.arange(256.0)
    count, total, squares = (np.cumsum(bins * greys**power) for power in (0, 1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = total / count, (total[-1] - total) / (count[-1] - count)
        between = np.nan_to_num(count * (count[-1] - count) * (high - low) ** 2)
        split = int(between.argmax())
        low_spread = np.sqrt(np.maximum(squares / count - low**2, 0))[split]
        high_spread = np.sqrt(np.maximum((squares[-1] - squares) / (count[-1] - count) - high**2, 0))[split]
    separation = between[split] / max(1e-9, count[-1] * squares[-1] - total[-1] ** 2)
    figures = (split + 0.999, low[split], high[split], low_spread, high_spread, separation)
    return Tones(*(float(figure) for figure in figures))


def sampled(values: Floats) -> Floats:
    """Return every third, fourth or fifth pixel of a large array, which has the same tones.

    From row to row they are other columns, so that an upright line of a single pixel is among them.
    """
    if values.size <= MANY:
        return values
    step = next((step for step in (4, 5, 3) if math.gcd(step, values.shape[1]) == 1), 7)
    return values.ravel()[::step]
