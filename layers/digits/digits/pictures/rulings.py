"""Rulings: straight lines that are printed on paper, as cells, tables and squared paper have them.

They are found in a mask of the ink, told from the strokes of a digit, and given as the pixels to erase. Where a stroke
crosses a line, its pixels stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digits.pictures.components import Component, find_components
from digits.pictures.lines import CROSSING, INKED, Candidates, Ruling

type Mask = NDArray[np.bool_]
type Floats = NDArray[np.float32]
type Places = NDArray[np.intp]

# A line spans this share of the picture.
SPAN = 0.3
# No thicker than this share of the picture's longer side; of a wide picture, of so many times its shorter one.
THICKEST = 0.055
WIDE = 2.5
# It ends within this share of the border, or of a line across it.
ANCHORED = 0.035
# A comb's teeth touch other lines along no more than this share of their length.
TOUCHED = 0.15
# Something of this share of the shorter side is left when all lines are gone, or they were strokes.
REMAINDER = 0.16
# Lines that are no thicker than this share of the longer side are none of a digit that fills the picture, but for a 1.
FINE = 0.04
# A line on its own that touches a stroke is one itself, unless it goes on by this share of its length on both sides.
OVERHANG = 0.08
# A stroke that goes on does so within this many pixels of its straight part.
FURTHER = 3


def find_rulings(mask: Mask, ink: Floats, known: Sequence[Ruling] = ()) -> list[Ruling]:
    """Return the printed lines of a picture; none if they may be strokes, as too little else is left for a digit.

    Args:
        mask: bool (height, width) of ink, its longer side a few hundred pixels at most.
        ink: float32 (height, width), how much ink there is.
        known: lines that were erased from it before; what is like them is no stroke.
    """
    candidates = Candidates(mask, ink, SPAN), Candidates(mask.T, ink.T, SPAN)
    framed = all(len(each.components) > 1 for each in candidates)
    near = 2 * ANCHORED * max(mask.shape) + 3
    if not framed and not any(each.reach_the_border(near) for each in candidates):
        return []
    thickest = thickest_allowed(THICKEST, mask.shape)
    level, upright = (each.lines(thickest, bool(turned)) for turned, each in enumerate(candidates))
    level, upright = _anchored(level, upright, mask.shape)
    if not level and not upright:
        return []
    labels, left = _left(mask, [*level, *upright])
    if any(_goes_on(line, labels, left) for line in (*level, *upright)):
        level, upright = ([each for each in lines if not _goes_on(each, labels, left)] for lines in (level, upright))
        labels, left = _left(mask, [*level, *upright])
    if not left:
        fine = max(2, FINE * max(mask.shape), 1 + max((line.thickness for line in known), default=0))
        enough = level or len(upright) > 1 or len(known) > 1
        return [*level, *upright] if enough and all(line.thickness <= fine for line in (*level, *upright)) else []
    return [line for lines in (level, upright) for line in lines if not _is_stroke(line, lines, labels, left)]


def erased(rulings: Sequence[Ruling], shape: tuple[int, ...]) -> Mask:
    """Return the mask of the lines' ink and a pixel on either side, without what crosses them."""
    mask = np.zeros(shape, bool)
    for line in rulings:
        target = mask.T if line.upright else mask
        first, last = np.maximum(line.tops - 1, 0), np.minimum(line.bottoms + 1, len(target) - 1)
        for step in range(int((last - first).max(initial=-1)) + 1):
            inside = first + step <= last
            target[first[inside] + step, line.places[inside]] = True
    return mask


def is_piece(each: Component, ink: Floats, lines: Sequence[Ruling]) -> bool:
    """Return whether something is too short to be found as a line, but is of one, or of a further one at the border.

    Args:
        ink: float32 (height, width), how much ink there is.
    """
    height, width = ink.shape
    amount = float(ink[each.top : each.bottom, each.left : each.right].sum()) / each.longest
    at_border = 0 in (each.left, each.top) or each.right == width or each.bottom == height

    def is_of(line: Ruling) -> bool:
        first, last, low, high = (
            (each.top, each.bottom, each.left, each.right)
            if line.upright
            else (each.left, each.right, each.top, each.bottom)
        )
        drift = abs(line.rise) * (last - first)
        off = abs((low + high - 1) / 2 - line.at((first + last - 1) / 2))
        alike = amount <= INKED * line.ink and high - low <= CROSSING * line.thickness + 1 + drift
        return alike and (at_border or off <= line.thickness / 2 + 1)

    return each.longest < SPAN * min(ink.shape) and any(map(is_of, lines))


def thickest_allowed(thickest: float, shape: tuple[int, ...]) -> float:
    """Return how thick a line may be."""
    return max(2.5, thickest * min(max(shape), WIDE * min(shape)))


def _anchored(level: list[Ruling], upright: list[Ruling], shape: tuple[int, ...]) -> tuple[list[Ruling], list[Ruling]]:
    """Return the lines that go on to the border, or to a line across, at both ends; a comb's teeth at the lower one."""
    height, width = shape
    near = max(2.5, ANCHORED * min(max(shape), WIDE * min(shape)))
    bare = [line for line in upright if len(line.crossed) <= TOUCHED * line.length]

    def held(line: Ruling, x: int, across: list[Ruling]) -> bool:
        along, across_it = (height, width) if line.upright else (width, height)
        y = line.at(x)
        if not (near < x < along - near and near < y < across_it - near):
            return True
        if x == line.start and any(_is_alike(line, other, 2 * near) for other in bare):
            return True
        return any(abs(other.at(y) - x) <= near and other.start - near <= y <= other.stop + near for other in across)

    while True:
        before = len(level) + len(upright)
        level = [line for line in level if held(line, line.start, upright) and held(line, line.stop, upright)]
        upright = [line for line in upright if held(line, line.start, level) and held(line, line.stop, level)]
        if len(level) + len(upright) == before:
            return level, upright


def _is_alike(one: Ruling, other: Ruling, near: float) -> bool:
    """Return whether two upright lines begin and end at one height, as the teeth of a comb do."""
    aside = one.upright and other.upright and abs(one.middle - other.middle) > near
    return aside and abs(one.start - other.start) <= near and abs(one.stop - other.stop) <= near


def _left(mask: Mask, lines: list[Ruling]) -> tuple[Places, list[Component]]:
    """Return the labels of what is left without lines, and what of it is large enough to be a digit or most of one."""
    labels, components = find_components(mask & ~erased(lines, mask.shape))
    return labels, [each for each in components if each.longest >= REMAINDER * min(mask.shape)]


def _goes_on(line: Ruling, labels: Places, left: list[Component]) -> bool:
    """Return whether one end of a line, inside of the picture, goes on in a stroke, as the side of a 0 does."""
    turned = labels.T if line.upright else labels
    reach = int(line.thickness) + 2
    for first, last in ((line.start - FURTHER, line.start), (line.stop, line.stop + FURTHER)):
        if first < 0 or last > turned.shape[1]:
            continue
        y = round(line.at((first + last) / 2))
        around = turned[max(0, y - reach) : y + reach + 1, first:last]
        if any((around == each.label).any() for each in left):
            return True
    return False


def _is_stroke(line: Ruling, parallel: list[Ruling], labels: Places, left: list[Component]) -> bool:
    """Return whether a line is a bar or a stem: alone, with a stroke on it that it does not outrun."""
    if len(parallel) > 1 or not len(line.crossed):
        return False
    touching = set(_around(line, labels).tolist())
    parts = [part for part in left if part.label in touching]
    if not parts:
        return False
    first, last = (
        (min(part.top for part in parts), max(part.bottom for part in parts))
        if line.upright
        else (min(part.left for part in parts), max(part.right for part in parts))
    )
    return min(first - line.start, line.stop - last) <= OVERHANG * line.length


def _around(line: Ruling, labels: Places) -> Places:
    """Return the labels on both sides of a line where something crosses it."""
    turned = labels.T if line.upright else labels
    reach = int(CROSSING * line.thickness + 2)
    middle = np.rint(line.base + line.rise * line.crossed).astype(np.intp)
    rows = np.clip(middle + np.arange(-reach, reach + 1)[:, None], 0, len(turned) - 1)
    return np.unique(turned[rows, line.crossed])
