"""Extremes in the square window around each pixel, and what is made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def windowed[T: np.number](values: NDArray[T], window: int, extreme: np.ufunc) -> NDArray[T]:
    """Return the extreme in the square window around each pixel; the border's pixels go on outside."""
    result, beyond = values, window // 2
    for axis in (0, 1):
        result, covered = np.moveaxis(result, axis, 0), 1
        result = np.concatenate([result[:1].repeat(beyond, 0), result, result[-1:].repeat(beyond, 0)])
        while covered < window:
            step = min(covered, window - covered)
            result, covered = extreme(result[:-step], result[step:]), covered + step
        result = np.moveaxis(result, 0, axis)
    return result


def local_range(values: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Return the difference between the greatest and the least value in the square window around each pixel."""
    return windowed(values, window, np.maximum) - windowed(values, window, np.minimum)


def opened(values: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Return the values without what is brighter and narrower than a window (a morphological opening)."""
    return windowed(windowed(values, window, np.minimum), window, np.maximum)
