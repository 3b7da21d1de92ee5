"""The canonical form: any picture of a digit as MNIST would have drawn it.

MNIST's own recipe (LeCun et al., 1998): ink bright on dark, the digit scaled with antialiasing so
that its longest side is 20 pixels, its centre of mass in the middle of 28x28. A network trained on
that form reads little else, so every path into the classifier goes through here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import UnreadableDigitError
from digits.pictures.components import Group
from digits.pictures.ink import InkMap, find_ink
from digits.pictures.sheet import Sheet, counted
from digits.pictures.strokes import redraw

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.float32]
type Box = tuple[int, int, int, int]

# To be raised by any change to the pixels; then regenerate the tests' references: tests/canonical_references.py.
VERSION = 2
SIDE = 28
INK_SIDE = 20
# MNIST's average centre of mass, half a pixel right of and below the middle.
CENTRE = 14.0
_PLACES, _ONES = np.arange(SIDE, dtype=np.float32), np.ones(SIDE, np.float32)
TOUCHES_EDGE = "touches_edge"

# The longest side, in pixels, at which a picture is searched for its digit.
SEARCH_SIDE = 400
# Smaller pictures are enlarged to at least this longest side.
SMALL_SIDE = 80
# A digit's outline, as MNIST crops it, encloses all ink of at least this strength.
OUTLINE_INK = 0.25
# Paper around ink that was cut out already, in pixels.
CUT_MARGIN = 4
# A further digit has at least these shares of the main one's height and area; a column that may be a digit of its own,
# of the largest column's. Columns overlap by no more than this share of the narrower one.
COMPARABLE = 0.6
COMPARABLE_AREA = 0.25
COMPARABLE_PART = 0.15
OVERLAP = 0.25


@dataclass(frozen=True)
class PartImage:
    """A part of the ink that might be a digit of its own, in canonical form by itself.

    Attributes:
        pixels: uint8 (28, 28), ink bright on dark.
        box: left, top, width and height in pixels of the picture.
    """

    pixels: Pixels
    box: Box


@dataclass(frozen=True)
class CanonicalImage:
    """What the network sees, and how it was made.

    Attributes:
        pixels: uint8 (28, 28), ink bright on dark.
        steps: what was done to the picture, in order; empty if it was canonical already.
        warnings: what may spoil the answer: `touches_edge`, the digit may be cut off.
        parts: from left to right, where the ink falls apart into columns that might be digits of their own.
    """

    pixels: Pixels
    steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    parts: tuple[PartImage, ...] = ()


def canonicalize(grey: Pixels) -> CanonicalImage:
    """Bring a picture of one digit into canonical form.

    Args:
        grey: uint8 (height, width), either polarity.

    Raises:
        UnreadableDigitError: the picture shows nothing, too little contrast, or several digits.
    """
    if grey.shape == (SIDE, SIDE):
        if is_canonical(grey):
            return CanonicalImage(grey, ())
        if is_canonical(255 - grey):
            return CanonicalImage(255 - grey, ("inverted",))
    searched = _searched(grey)
    found = find_ink(searched)
    sheet = _sheet(found)
    main = sheet.groups[0]
    scale = sheet.factor * max(grey.shape) / max(searched.shape)
    digits = [group for group in sheet.groups if _is_comparable(group, main, COMPARABLE_AREA)]
    if len(digits) > 1:
        columns = [column for group in digits for column in _columns(group)]
        boxes = tuple(sorted(_box(column, scale, grey.shape) for column in columns))
        raise UnreadableDigitError(f"the picture shows {len(boxes)} digits, where one is read", "several_digits", boxes)
    pixels, strokes = _drawn(sheet.cut_out(main))
    steps = [*found.steps, *sheet.steps]
    if specks := len(sheet.components) - len(main.components):
        steps.append(f"left out {counted(specks, 'speck')}")
    _, _, wide, high = _box(main, scale, grey.shape)
    steps += [f"cropped to {wide}x{high}", *strokes, "scaled and centred"]
    height, width = sheet.labels.shape
    gaps = main.left, main.top, width - main.right, height - main.bottom
    # A digit that was cropped tightly is whole; the faint rim of a stroke may be between it and the edge.
    warnings = (TOUCHES_EDGE,) if 0 in gaps and max(gaps) > 1 else ()
    return CanonicalImage(pixels, tuple(steps), warnings, _parts(sheet, main, scale, grey.shape))


def _drawn(ink: Floats) -> tuple[Pixels, tuple[str, ...]]:
    """Return ink that was cut out in canonical form, and what was done to its strokes."""
    drawn, steps = redraw(ink)
    return from_strokes(drawn), steps


def _parts(sheet: Sheet, main: Group, scale: float, shape: tuple[int, ...]) -> tuple[PartImage, ...]:
    """Return the columns that the ink falls apart into, if several may be digits of their own."""
    columns = _columns(main)
    if len(columns) < 2:
        return ()
    columns.sort(key=lambda column: column.box)
    return tuple(PartImage(_drawn(sheet.cut_out(column))[0], _box(column, scale, shape)) for column in columns)


def _columns(group: Group) -> list[Group]:
    """Return the parts beside each other that may be digits of their own; the group itself, if it is one."""
    columns = group.columns(OVERLAP)
    largest = max(columns, key=lambda column: column.area)
    found = [column for column in columns if _is_comparable(column, largest, COMPARABLE_PART)]
    return found if len(found) > 1 else [group]


def from_ink(ink: Floats) -> Pixels:
    """Bring ink that is one thing, with no paper to be told from it, into canonical form.

    Args:
        ink: float32 (height, width), 0 paper to 1 ink.

    Returns:
        uint8 (28, 28), as `canonicalize` would make it of a picture that shows the same.

    Raises:
        UnreadableDigitError: there are only dots, or lines too fine.
    """
    return _drawn(np.pad(_cropped(ink), CUT_MARGIN))[0]


def from_strokes(ink: Floats) -> Pixels:
    """Bring ink that has been redrawn already into canonical form; arguments and errors as in `from_ink`."""
    return _centred(_scaled(_cropped(ink)))


def is_canonical(ink: Pixels) -> bool:
    """Return whether pixels, ink bright on dark, already are in MNIST's form.

    True of all 70,000 MNIST digits: 28x28, the longest side of the ink 19 or 20 pixels, the centre
    of mass within a pixel of the middle.
    """
    if ink.shape != (SIDE, SIDE):
        return False
    longest, values = 0, ink.astype(np.float32)  # in which all sums here are exact
    for amounts in (values @ _ONES, _ONES @ values):  # asked of every picture, and so without what need not be
        inked = amounts.nonzero()[0]
        if not len(inked) or abs(float(amounts @ _PLACES) / float(amounts @ _ONES) - (SIDE - 1) / 2) > 1:
            return False
        longest = max(longest, int(inked[-1] - inked[0]) + 1)
    return longest in (INK_SIDE - 1, INK_SIDE)


def _searched(grey: Pixels) -> Pixels:
    """Return the picture at a size at which digits and lines are several pixels wide, but quickly found."""
    image, longest = Image.fromarray(grey), max(grey.shape)
    if longest > SEARCH_SIDE:
        image = image.reduce(-(-longest // SEARCH_SIDE))
    elif longest < SMALL_SIDE:
        factor = -(-SMALL_SIDE // longest)
        image = image.resize((factor * image.width, factor * image.height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _sheet(ink: InkMap) -> Sheet:
    """Return the ink without what is no part of a digit."""
    sheet = Sheet(ink.ink)
    while sheet.leave_out_lines():  # what is left may show further ones
        pass
    if ink.uneven:
        sheet.leave_out_shadows()
    sheet.leave_out_border()
    while sheet.leave_out_lines(sheet.groups[0].box):  # an underline, a comb, a frame that stands free
        sheet.leave_out_border()
    sheet.leave_out_marks()
    return sheet


def _is_comparable(group: Group, main: Group, area: float) -> bool:
    return group.height >= COMPARABLE * main.height and group.area >= area * main.area


def _box(group: Group, scale: float, shape: tuple[int, ...]) -> Box:
    """Return left, top, width and height in pixels of a picture of that height and width."""
    left, top, right, bottom = (side * scale for side in group.box)
    return round(left), round(top), round(min(right, shape[1]) - left), round(min(bottom, shape[0]) - top)


def _cropped(ink: Floats) -> Floats:
    outline = ink >= OUTLINE_INK
    if not outline.any():
        raise UnreadableDigitError("the picture shows only dots or lines too fine to be a digit", "no_contrast")
    return ink[_extent(outline)]


def _scaled(ink: Floats) -> Pixels:
    height, width = ink.shape
    scale = INK_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scaled = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX))
    return np.clip(np.rint(scaled * 255), 0, 255).astype(np.uint8)


def _centred(ink: Pixels) -> Pixels:
    centre = _centre_of_mass(ink)
    top, left = (
        int(np.clip(round(CENTRE - position), 0, SIDE - side)) for position, side in zip(centre, ink.shape, strict=True)
    )
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _centre_of_mass(ink: Pixels) -> tuple[float, float]:
    weights = ink.astype(np.float64)
    total = weights.sum()
    return (
        float(weights.sum(axis=1) @ np.arange(ink.shape[0]) / total),
        float(weights.sum(axis=0) @ np.arange(ink.shape[1]) / total),
    )
