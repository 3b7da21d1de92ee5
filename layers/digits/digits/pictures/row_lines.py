"""Printed lines among rows of digits, where a picture is wide and each digit is small: cells, combs, underlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digits.pictures.components import find_components
from digits.pictures.lines import Candidates, Ruling, is_same
from digits.pictures.rulings import find_rulings

type Mask = NDArray[np.bool_]
type Floats = NDArray[np.float32]

# What goes on for so many heights of a digit is no stroke of one. It is no thicker than the first share of the height,
# nor than the second one of its own length, and hardly anywhere further off the straight line than the third one of the
# height, or it may be strokes of digits that touch.
LONG = 1.6
THICKEST = 0.2
SLENDER = 0.05
STRAIGHT = 0.06
# Of a line that slopes, a run in a row is this share of that.
RUN = 0.5
# An upright line is at least this share of the height.
TOOTH = 0.25
# It ends at a level line or at the border, within so many pixels and this share of the height. It is at most so many
# times as thick as the level lines usually are, and upright to them but for this slope and a pixel.
SLACK = (2.0, 0.03)
THICKER = 1.35
UPRIGHT = 0.04
# A gap within this share of its length from an end parts it from what it does not belong to.
ENDS = 0.25
# The height of a digit is at least this share of the shorter side, or there is none.
LEAST_HEIGHT = 0.1


def find_row_lines(mask: Mask, ink: Floats, known: Sequence[Ruling] = ()) -> list[Ruling]:
    """Return the printed lines of a picture of rows; arguments as of `find_rulings`."""
    height = _digit_height(mask)
    found = [*find_rulings(mask, ink, known)]
    found += [line for line in _long_lines(mask, ink, height) if not any(is_same(line, other) for other in found)]
    level = [line for line in found if not line.upright]
    hanging = _teeth(mask, ink, height) if level else []
    upright = [line for line in found if line.upright]
    upright += [line for line in hanging if not any(is_same(line, other) for other in upright)]
    everywhere = [*level, *(line for line in known if not line.upright)]
    slack = SLACK[0] + SLACK[1] * height
    likely = [
        line
        for line in upright
        if (_is_alike(line, everywhere) and not _ends_before(line)) or _crosses_all(line, mask.shape, height, slack)
    ]
    others = [*likely, *(line for line in known if line.upright)]
    return level + [line for line in likely if _is_printed(line, everywhere, others, mask.shape, slack)]


def _digit_height(mask: Mask) -> float:
    """Return about how high digits are: the median of what is neither long nor a speck; else no more than the rest."""
    _, components = find_components(mask)
    low = LEAST_HEIGHT * min(mask.shape)
    large = [each for each in components if each.height >= max(4, low)]
    heights = [each.height for each in large if each.width < LONG * each.height]
    return (
        float(np.median(heights)) if heights else float(max((each.height for each in large), default=min(mask.shape)))
    )


def _long_lines(mask: Mask, ink: Floats, height: float) -> list[Ruling]:
    span = LONG * height / mask.shape[1]
    if span >= 1:
        return []
    found = Candidates(mask, ink, span, RUN).lines(max(2.5, THICKEST * height), upright=False)
    return [
        line
        for line in found
        if line.thickness <= max(2.5, SLENDER * line.length) and _off_straight(line) <= max(1, STRAIGHT * height)
    ]


def _off_straight(line: Ruling) -> float:
    """Return how far nine tenths of a line's bare places are at most off its middle."""
    off = np.abs((line.tops + line.bottoms) / 2 - line.base - line.rise * line.places)
    return float(np.sort(off)[int(0.9 * len(off))])


def _teeth(mask: Mask, ink: Floats, height: float) -> list[Ruling]:
    span = min(1.0, TOOTH * height / mask.shape[0])
    return Candidates(mask.T, ink.T, span).lines(max(2.5, THICKEST * height), upright=True)


def _is_alike(line: Ruling, level: Sequence[Ruling]) -> bool:
    """Return whether an upright line may have been printed with the level ones: as thin, and at a right angle."""
    if not level:
        return True
    thickness = float(np.median([other.thickness for other in level]))
    slope = float(np.median([other.rise for other in level]))
    upright = abs(line.rise + slope) <= UPRIGHT + 1 / line.length
    return upright and line.thickness <= THICKER * thickness + 0.5


def _ends_before(line: Ruling) -> bool:
    """Return whether there is paper between a line and what was taken for its first or last piece: a level line."""
    inked = np.sort(np.concatenate([line.places, line.crossed]))
    gaps = inked[np.flatnonzero(np.diff(inked) > 1)]
    return bool(((gaps < line.start + ENDS * line.length) | (gaps >= line.stop - 1 - ENDS * line.length)).any())


def _crosses_all(line: Ruling, shape: tuple[int, ...], height: float, slack: float) -> bool:
    """Return whether an upright line crosses the whole picture, which is higher than any digit."""
    return line.start <= slack and line.stop > shape[0] - 1 - slack and line.length >= LONG * height


def _is_printed(
    line: Ruling, level: Sequence[Ruling], upright: Sequence[Ruling], shape: tuple[int, ...], slack: float
) -> bool:
    """Return whether an upright line ends below at a level line or the border, and so does another of its length.

    Alone it is a 1, unless it crosses the whole picture.
    """
    last = shape[0] - 1

    def held(upright: Ruling, at: int) -> bool:
        if at <= slack or at >= last - slack:
            return True
        x = upright.at(at)
        return any(
            abs(other.at(x) - at) <= slack + other.thickness / 2 and other.start - slack <= x <= other.stop + slack
            for other in level
        )

    if not held(line, line.stop - 1):
        return False
    if line.start <= slack and line.stop > last - slack:
        return True
    return any(
        abs(other.length - line.length) <= 2 * slack and held(other, other.stop - 1)
        for other in upright
        if other is not line and abs(other.middle - line.middle) > 2 * slack
    )
