"""Pictures as the networks see them, drawn in characters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits import numbers
from digits.reading import Picture, prepare

WIDEST = 100  # in characters
_SHADES = " .:-=+*#%@"


def draw_digit(picture: Picture) -> str:
    """Return a digit in canonical form, 14 lines of at most 28 characters.

    Raises:
        ImageError: the picture shows no single digit.
    """
    return _drawn(prepare(picture).pixels)


def draw_rows(picture: Picture) -> str:
    """Return the rows of a number, each of them up to 16 lines of at most 100 characters.

    Raises:
        ImageError: the picture shows no row.
    """
    return "\n".join(_drawn(row.pixels) for row in numbers.find(picture).rows.rows)


def _drawn(pixels: NDArray[np.uint8]) -> str:
    """Draw uint8 (height, width), ink bright, as dark as can be; a character is as high as two are wide."""
    height, width = pixels.shape
    columns = min(width, WIDEST)
    size = columns, max(1, round(height * columns / width / 2))
    tones = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX)).astype(int)
    shades = tones * len(_SHADES) // (tones.max() + 1)
    return "\n".join("".join(_SHADES[shade] for shade in row).rstrip() for row in shades)
