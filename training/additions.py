"""What a training has besides the digits of its data set: unusual digits, outliers, and lines of digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.pictures.canonical import SIDE
from training.dataset import Part
from training.line_drawing import Source
from training.lines import Lines, training_lines
from training.outliers import NUMBERS, outlier_digits
from training.recipes import Recipe
from training.unusual import unusual_digits

# The most outliers; a small data set has half as many as digits.
MOST_OUTLIERS = 20_000
# What is drawn is the same for every seed of a training.
_SEED = 1


@dataclass(frozen=True)
class Additions:
    """What the network learns from besides the data set's digits.

    Attributes:
        unusual: digits as MNIST has too few.
        outliers: what is no digit: uint8 (n, 28, 28).
        lines: what a reader learns from, made out of all of these; None where none is trained.
    """

    unusual: Part
    outliers: NDArray[np.uint8]
    lines: Lines | None = None


_NO_IMAGES = np.zeros((0, SIDE, SIDE), np.uint8)
NOTHING = Additions(Part(_NO_IMAGES, np.zeros(0, np.uint8)), _NO_IMAGES)


def additions(recipe: Recipe, training: Part, kept_in: Path, say: Callable[[str], None] = lambda _: None) -> Additions:
    """Return what a recipe has besides these digits, made out of some of them.

    Args:
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
    """
    added, no_numbers = NOTHING, _NO_IMAGES
    if recipe.unusual:
        added = replace(added, unusual=unusual_digits(training, _SEED, kept_in, say))
    if recipe.outliers_in_batch:
        count = min(MOST_OUTLIERS, len(training) // 2)
        outliers = outlier_digits(training, count, _SEED, kept_in, say)
        added = replace(added, outliers=outliers.images)
        no_numbers = outliers.images[~np.isin(outliers.family, NUMBERS)]
    if recipe.reader:
        source = Source(training, added.unusual, no_numbers)
        added = replace(added, lines=training_lines(source, recipe.reader.lines, kept_in, say))
    return added
