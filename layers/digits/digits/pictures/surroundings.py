"""Printed lines in the box around a digit: a frame that stands free, a comb, an underline that touches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.pictures.components import find_components
from digits.pictures.lines import Candidates, Ruling
from digits.pictures.rulings import REMAINDER, erased, thickest_allowed

type Mask = NDArray[np.bool_]
type Floats = NDArray[np.float32]

# A line spans these shares of the box, and is no thicker than this share of its longer side.
UPRIGHT = 0.6
ALL_ACROSS = 0.75
THICKEST_AROUND = 0.1
# One on either side of the digit is this close to the box's side, as a share of its longer one.
ASIDE = 0.12
# An underline lies in the lower part, has hardly any of the ink below, and goes on by this share of its length on both
# sides of what touches it.
LOWER = 0.6
BELOW = 0.2
FREE = 0.18
# One of two lines is a base if something stands on its very end.
AT_END = 0.08
# Thinner lines, in pixels, are hairlines.
HAIRLINE = 2


def find_surroundings(mask: Mask, ink: Floats) -> list[Ruling]:
    """Return the printed lines in the box around a digit, which need not go on: a frame, a comb's tooth, an underline.

    Args:
        mask, ink: as for `find_rulings`, cropped to the digit with what touches it or lies close to it.
    """
    thickest = thickest_allowed(THICKEST_AROUND, mask.shape)
    across = Candidates(mask, ink, ALL_ACROSS).lines(thickest, upright=False)
    upright = Candidates(mask.T, ink.T, UPRIGHT).lines(thickest, upright=True) if across else []
    framing = _framing(across, upright, mask.shape)
    lines = framing or [line for line in across if line.middle >= LOWER * len(mask)]
    if not lines:
        return []
    labels, components = find_components(mask & ~erased(lines, mask.shape))
    left = [each for each in components if each.height >= 2 * REMAINDER * len(mask)]
    if framing or not left:
        return lines if left else []
    top = round(min(line.middle - line.thickness for line in lines))
    digit = np.isin(labels, [each.label for each in left])
    if digit[top:].sum() > BELOW * digit.sum():
        return []
    double = len(lines) > 1 and all(_is_double(line, lines, mask.shape) for line in lines)
    if any(_is_base(line, mask, AT_END if double else FREE) for line in lines):
        return []
    return lines


def _framing(level: list[Ruling], upright: list[Ruling], shape: tuple[int, ...]) -> list[Ruling]:
    """Return the lines on both sides, below and above, if there are both sides and a line between them."""
    height, width = shape
    near = ASIDE * max(shape)
    left = [line for line in upright if line.middle <= near]
    right = [line for line in upright if line.middle >= width - near]
    between = [
        line
        for line in level
        if min(line.middle, height - line.middle) <= near and line.start <= near and line.stop >= width - near
    ]
    return [*left, *right, *between] if left and right and between else []


def _is_double(line: Ruling, lines: list[Ruling], shape: tuple[int, ...]) -> bool:
    """Return whether another line begins and ends with this one, close by."""
    near = ASIDE * max(shape)
    return any(
        max(abs(other.start - line.start), abs(other.stop - line.stop), abs(other.middle - line.middle)) <= near
        for other in lines
        if other is not line
    )


def _is_base(line: Ruling, mask: Mask, free: float) -> bool:
    """Return whether what stands on a line does so at one of its ends, as the stroke of a 2 on its base.

    Args:
        free: the share of its length that an underline goes on.
    """
    x = np.arange(line.start, line.stop)
    top = np.rint(line.base + line.rise * x - line.thickness / 2).astype(np.intp)
    contact = np.ones(len(x), bool)
    for step in (1, 2, 3):
        # A hairline that slants drifts by up to a pixel from row to row.
        drift = step if line.thickness < HAIRLINE else 0
        places = np.clip(x + np.arange(-drift, drift + 1)[:, None], 0, mask.shape[1] - 1)
        contact &= mask[np.maximum(top - step, 0), places].any(axis=0)
    x = x[contact]
    return len(x) > 0 and min(x[0] - line.start, line.stop - x[-1] - 1) < free * line.length
