"""Real digits on a page, and what is printed or falls on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digits.pictures.images import decode
from tests import events

type Pixels = NDArray[np.uint8]

SIDE, DIGIT = 160, 84
INK, PAPER = 40, 255


def digit(label: int, height: int = DIGIT) -> Pixels:
    """Return a real digit without its margin, dark on bright, drawn sharply at a height in pixels."""
    image = decode(events.digit_file(label)).pixels
    rows, columns = (np.flatnonzero((image > 64).any(axis=axis)) for axis in (1, 0))
    box = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    large = np.asarray(box.resize((max(1, round(box.width * height / box.height)), height), Image.Resampling.BICUBIC))
    sharp = np.clip(4.0 * large - 384, 0, 255)
    return (PAPER - sharp * (PAPER - INK) / 255).astype(np.uint8)


def page(label: int | None = None, side: int = SIDE) -> Pixels:
    """Return a square page with a digit in the middle, half as high; or none."""
    sheet = np.full((side, side), PAPER, np.uint8)
    return sheet if label is None else put(sheet, digit(label, round(side * DIGIT / SIDE)))


def put(sheet: Pixels, ink: Pixels, left: int | None = None, top: int | None = None) -> Pixels:
    """Return the sheet with ink at a place, in the middle by default; what lies outside is lost."""
    left = (sheet.shape[1] - ink.shape[1]) // 2 if left is None else left
    top = (sheet.shape[0] - ink.shape[0]) // 2 if top is None else top
    result = sheet.copy()
    place = result[max(0, top) : top + ink.shape[0], max(0, left) : left + ink.shape[1]]
    part = ink[max(0, -top) :, max(0, -left) :][: place.shape[0], : place.shape[1]]
    np.minimum(place, part, out=place)
    return result


def print_lines(sheet: Pixels, *boxes: tuple[int, int, int, int], dark: int = INK) -> Pixels:
    """Return the sheet with bars over it, each left, top, right and bottom in pixels."""
    result = sheet.copy()
    for left, top, right, bottom in boxes:
        place = result[max(0, top) : bottom, max(0, left) : right]
        np.minimum(place, dark, out=place)
    return result


def box_of(sheet: Pixels) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the ink."""
    rows, columns = (np.flatnonzero((sheet < 200).any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def likeness(one: Pixels, other: Pixels) -> float:
    """Return how much two canonical forms are alike, 1 for equal ones: the correlation of what is a little blurred.

    One may be a pixel beside the other, as the centre of mass is rounded.
    """
    first, second = (_blurred(np.pad(each, 1)) for each in (one, other))
    shifted = (np.roll(second, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1))
    return max(float(np.corrcoef(first.ravel(), each.ravel())[0, 1]) for each in shifted)


def _blurred(pixels: Pixels) -> NDArray[np.float64]:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.BoxBlur(1))).astype(np.float64)


def frame(sheet: Pixels, box: tuple[int, int, int, int], thick: int = 3) -> Pixels:
    """Return the sheet with a printed cell, its lines inside of a box."""
    left, top, right, bottom = box
    return print_lines(
        sheet,
        (left, top, right, top + thick),
        (left, bottom - thick, right, bottom),
        (left, top, left + thick, bottom),
        (right - thick, top, right, bottom),
    )


def cell(sheet: Pixels) -> Pixels:
    """Print a box around the digit."""
    return frame(sheet, (12, 14, 150, 146))


def cut_cell(sheet: Pixels) -> Pixels:
    """Print a box along the border, whose lines are cut through lengthwise."""
    return frame(sheet, (0, 0, SIDE, SIDE), 4)


def free_cell(sheet: Pixels) -> Pixels:
    """Print a box close to the digit, far from the border."""
    left, top, right, bottom = box_of(sheet)
    return frame(sheet, (left - 8, top - 8, right + 8, bottom + 8), 2)


def comb(sheet: Pixels) -> Pixels:
    """Print a comb's line and two of its teeth."""
    return print_lines(sheet, (0, 142, SIDE, 145), (20, 84, 23, 145), (138, 84, 141, 145))


def table(sheet: Pixels) -> Pixels:
    """Print a table whose lines go on beyond the picture."""
    return print_lines(sheet, (0, 20, SIDE, 23), (0, 140, SIDE, 143), (18, 0, 20, SIDE), (141, 0, 143, SIDE))


def ruled(sheet: Pixels) -> Pixels:
    """Print rulings, of which some cross the digit."""
    return print_lines(sheet, *((0, top, SIDE, top + 2) for top in range(17, SIDE, 36)), dark=110)


def squared(sheet: Pixels, dark: int = 150) -> Pixels:
    """Print squares."""
    level = ((0, at, SIDE, at + 2) for at in range(9, SIDE, 28))
    upright = ((at, 0, at + 2, SIDE) for at in range(13, SIDE, 28))
    return print_lines(sheet, *level, *upright, dark=dark)


def underlined(sheet: Pixels, gap: int = 8, count: int = 1, apart: int = 8) -> Pixels:
    """Underline the digit, once or twice."""
    left, _, right, bottom = box_of(sheet)
    beyond = max(14, (right - left) // 3)
    tops = [bottom + gap + apart * number for number in range(count)]
    return print_lines(sheet, *((left - beyond, top, right + beyond, top + 3) for top in tops))


def desk(sheet: Pixels, dark: int = 60) -> Pixels:
    """Show a desk beyond the sheet's slanting edge."""
    rows, columns = np.indices(sheet.shape)
    return np.where(columns + 0.12 * rows > 148, np.uint8(dark), sheet)


def shaded(sheet: Pixels, light: float = 0.55) -> Pixels:
    """Let a shadow with sharp edges fall over the left half."""
    rows, columns = np.indices(sheet.shape)
    return np.where(columns - 0.2 * rows < 60, (sheet * light).astype(np.uint8), sheet)


def vignetted(sheet: Pixels, levels: int) -> Pixels:
    """Let the corners be darker by some grey levels."""
    across = np.linspace(-1, 1, sheet.shape[1])[None, :] ** 2 + np.linspace(-1, 1, sheet.shape[0])[:, None] ** 2
    return (sheet * (1 - levels / PAPER * (across / 2) ** 1.5)).astype(np.uint8)


def with_neighbour(sheet: Pixels) -> Pixels:
    """Show a part of the next digit at the right border."""
    return put(sheet, digit(8), left=sheet.shape[1] - 14)


def with_comma(sheet: Pixels) -> Pixels:
    """Write a comma behind the digit."""
    _, _, right, bottom = box_of(sheet)
    return print_lines(sheet, (right + 9, bottom - 8, right + 16, bottom), (right + 10, bottom, right + 14, bottom + 7))


def with_tail(sheet: Pixels) -> Pixels:
    """Let a neighbour's stroke come in from the border."""
    _, top, right, bottom = box_of(sheet)
    return print_lines(sheet, (max(right + 10, 125), (top + bottom) // 2, SIDE, (top + bottom) // 2 + 6))
