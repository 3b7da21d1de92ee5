"""Pictures that must be refused: blank sheets, and several digits beside each other."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from training import scenes
from training.blanks import BLANKS
from training.dataset import Part
from training.forms import Forms, bring

BLANK_SHEETS = "blank sheets"
SEVERAL_DIGITS = "several digits"


def blank_sheet(index: int) -> NDArray[np.uint8]:
    """Return a blank sheet, of each kind in turn; the same index always gives the same picture."""
    return list(BLANKS.values())[index % len(BLANKS)](_generator(BLANK_SHEETS, index))


def several_digits(part: Part, index: int) -> NDArray[np.uint8]:
    """Return two or three digits of a part beside each other, in turn; the same index always gives the same."""
    generator = _generator(SEVERAL_DIGITS, index)
    return scenes.several(part.images[generator.integers(0, len(part), 2 + index % 2)], generator)


def refused_pictures(part: Part, count: int) -> dict[str, Forms]:
    """Return so many pictures of each kind that must be refused, in canonical form.

    Args:
        part: whose digits stand beside each other.
    """
    return {
        BLANK_SHEETS: bring(blank_sheet, count),
        SEVERAL_DIGITS: bring(lambda index: several_digits(part, index), count),
    }


def _generator(name: str, index: int) -> np.random.Generator:
    return np.random.default_rng((zlib.crc32(name.encode()), index))
