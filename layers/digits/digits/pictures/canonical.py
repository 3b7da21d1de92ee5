"""The canonical form: any picture of a digit as MNIST would have drawn it.

MNIST's own recipe (LeCun et al., 1998): ink bright on dark, the digit scaled with antialiasing so
that its longest side is 20 pixels, its centre of mass in the middle of 28x28. A network trained on
that form reads little else, so every path into the classifier goes through here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digits.errors import UnreadableDigitError
from digits.pictures.components import Group, find_components, grouped
from digits.pictures.ink import find_ink
from digits.pictures.strokes import redraw, stroke_mask

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.float32]
type Box = tuple[int, int, int, int]

# To be raised by any change to the pixels; then regenerate the tests' references: tests/canonical_references.py.
VERSION = 1
SIDE = 28
INK_SIDE = 20
# MNIST's average centre of mass, half a pixel right of and below the middle.
CENTRE = 14.0
TOUCHES_EDGE = "touches_edge"

# The longest side, in pixels, at which a picture is searched for its digit.
SEARCH_SIDE = 400
# The longest side at which connected components are found.
COMPONENT_SIDE = 128
# A smaller share of the largest component's area is a speck.
SPECK_SHARE = 0.03
# A digit's outline, as MNIST crops it, encloses all ink of at least this strength.
OUTLINE_INK = 0.25
# Paper around ink that was cut out already, in pixels.
CUT_MARGIN = 4
# A further digit has at least these shares of the main one's height and area. Parts with a larger gap than the last,
# a share of the largest one's longer side, are separate.
COMPARABLE = 0.6
COMPARABLE_AREA = 0.25
APART = 0.25


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
    if is_canonical(grey):
        return CanonicalImage(grey, ())
    if is_canonical(255 - grey):
        return CanonicalImage(255 - grey, ("inverted",))
    searched = _searched(grey)
    found = find_ink(searched)
    digit = _only_digit(found.ink, max(grey.shape) / max(searched.shape))
    drawn, strokes = redraw(digit.ink)
    scaled = _scaled(_cropped(drawn))
    steps = (*found.steps, *digit.steps, *strokes, f"scaled to {scaled.shape[1]}x{scaled.shape[0]}", "centred")
    return CanonicalImage(_centred(scaled), steps, (TOUCHES_EDGE,) if digit.touches_edge else ())


def from_ink(ink: Floats) -> Pixels:
    """Bring ink that is one thing, with no paper to be told from it, into canonical form.

    Args:
        ink: float32 (height, width), 0 paper to 1 ink.

    Returns:
        uint8 (28, 28), as `canonicalize` would make it of a picture that shows the same.

    Raises:
        UnreadableDigitError: there are only dots, or lines too fine.
    """
    drawn, _ = redraw(np.pad(_cropped(ink), CUT_MARGIN))
    return _centred(_scaled(_cropped(drawn)))


def is_canonical(ink: Pixels) -> bool:
    """Return whether pixels, ink bright on dark, already are in MNIST's form.

    True of all 70,000 MNIST digits: 28x28, the longest side of the ink 19 or 20 pixels, the centre
    of mass within a pixel of the middle.
    """
    if ink.shape != (SIDE, SIDE) or not ink.any():
        return False
    rows, columns = _extent(ink > 0)
    longest = max(rows.stop - rows.start, columns.stop - columns.start)
    offset = np.abs(np.subtract(_centre_of_mass(ink), (SIDE - 1) / 2))
    return longest in (INK_SIDE - 1, INK_SIDE) and bool((offset <= 1).all())


def _searched(grey: Pixels) -> Floats:
    image = Image.fromarray(grey)
    factor = -(-max(grey.shape) // SEARCH_SIDE)
    return np.asarray(image.reduce(factor) if factor > 1 else image).astype(np.float32)


@dataclass(frozen=True)
class _Digit:
    """The ink of the only digit, float32, cropped to it with a margin."""

    ink: Floats
    steps: tuple[str, ...]
    touches_edge: bool


def _only_digit(ink: Floats, scale: float) -> _Digit:
    """Remove specks, and crop to the rest if it is one digit."""
    factor = -(-max(ink.shape) // COMPONENT_SIDE)
    small = np.asarray(Image.fromarray(ink).reduce(factor)) if factor > 1 else ink
    labels, components = find_components(stroke_mask(small))
    groups = grouped(components, APART, SPECK_SHARE)
    main = groups[0]
    digits = [group for group in groups if _is_digit(group, main)]
    if len(digits) > 1:
        boxes = tuple(
            sorted(_box(group, factor * scale, ink.shape[1] * scale, ink.shape[0] * scale) for group in digits)
        )
        raise UnreadableDigitError(f"the picture shows {len(boxes)} digits, where one is read", "several_digits", boxes)
    left, top, right, bottom = main.box
    edge = left == 0 or top == 0 or bottom == small.shape[0] or right == small.shape[1]
    steps = [f"cropped to {round((right - left) * factor * scale)}x{round((bottom - top) * factor * scale)}"]
    specks = len(components) - len(main.components)
    if specks:
        ink = np.where(_near(labels, main, ink.shape), ink, np.float32(0))
        steps.insert(0, f"left out {specks} speck{'s' * (specks > 1)}")
    margin = max(2, (bottom - top) // 10)
    rows, columns = (
        slice(max(0, low - margin) * factor, (high + margin) * factor) for low, high in ((top, bottom), (left, right))
    )
    return _Digit(ink[rows, columns], tuple(steps), edge)


def _near(labels: NDArray[np.intp], kept: Group, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of the given shape: the kept components and the pixels next to them."""
    mask = Image.fromarray(np.isin(labels, [part.label for part in kept.components]))
    grown = mask.convert("L").filter(ImageFilter.MaxFilter(5))
    return np.asarray(grown.resize((shape[1], shape[0]), Image.Resampling.NEAREST)) > 0


def _is_digit(group: Group, main: Group) -> bool:
    return group.height >= COMPARABLE * main.height and group.area >= COMPARABLE_AREA * main.area


def _box(group: Group, scale: float, width: float, height: float) -> Box:
    """Return left, top, width and height in pixels of a picture of that size."""
    left, top, right, bottom = (side * scale for side in group.box)
    return round(left), round(top), round(min(right, width) - left), round(min(bottom, height) - top)


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
