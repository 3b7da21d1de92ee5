"""From a scanned form to what is written in its fields, whose places are known.

A page lies a little turned or shifted on the scanner. It is turned until its lines are level, and shifted until the
frames that are printed on it lie on the fields' edges. Where no frames are found, fields are cut out with a margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import FormFieldError, TooMuchError, UnreadableDigitError
from digits.model.proof import LoadedModel
from digits.numbers import NO_HINTS, Found, Hints, NumberReading, nothing_there, read_rows
from digits.pictures.ink import NORMAL, find_ink
from digits.pictures.rows import Box, find_rows
from digits.reading import Picture

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.float32]

MOST_FIELDS = 100
# The page is looked at with this longest side, in pixels.
LOOK_SIDE = 1_000
# How far it may be turned, either way, and in which steps; how far shifted, as a share of its width.
MOST_DEGREES = 3.5
DEGREES = np.arange(-MOST_DEGREES, MOST_DEGREES + 0.05, 0.1)
MOST_SHIFT = 0.025
# Frames are found where so many times as much ink lies on the fields' edges as usual, and at least so much.
FOUND_RATIO = 2.0
FOUND_INK = 0.2
# Fields are cut out with this margin: shares of the page's width, with frames and without.
MARGIN = 0.004
WIDE_MARGIN = 0.02
# A blank field's tone is the page's, give or take so much of 255, as light varies.
SAME_TONE = 60
# Its darkest pixels, in per cent of all, are darker than usual by hardly anything, or by so many times its spread.
DARKEST = 0.5
LEAST_FAINT = 4
MOST_SPREADS = 3.5


@dataclass(frozen=True)
class Field:
    """A field of a form.

    Attributes:
        name: of the answer.
        box: left, top, width and height, as shares of the page's width and height.
        hints: what is known of its number.
    """

    name: str
    box: tuple[float, float, float, float]
    hints: Hints = NO_HINTS


@dataclass(frozen=True)
class FormReading:
    """What is written in the fields of a form.

    Attributes:
        fields: by name; without rows where a field is blank.
        steps: what was done to the page.
        sha256: of the picture.
    """

    fields: dict[str, NumberReading]
    steps: tuple[str, ...]
    sha256: str


def read_form(picture: Picture, fields: Sequence[Field], model: LoadedModel) -> FormReading:
    """Read the fields of a form.

    Raises:
        FormFieldError: a field holds more rows, or a row more digits, than are read.
        NoReaderError, CorruptModelError, StoreError: the reader cannot be had.
    """
    page = _Page.of(picture.image.pixels, fields)
    readings = {}
    for field in fields:
        try:
            readings[field.name] = _read_field(page, field, picture, model)
        except TooMuchError as error:
            raise FormFieldError(f"field {field.name!r}: {error}", field.name) from error
    return FormReading(readings, (*picture.image.steps, *page.steps), picture.sha256)


def _read_field(page: _Page, field: Field, picture: Picture, model: LoadedModel) -> NumberReading:
    left, top, right, bottom = page.cut(field)
    part = page.pixels[top:bottom, left:right]
    if not part.size:  # the page was shifted so far that it is not on the picture
        return nothing_there(picture.sha256, model, surely=False)
    try:
        rows = find_rows(part)
    except UnreadableDigitError as error:
        surely = page.is_paper(part) and (error.verdict == "blank" or _is_plain(part))
        return nothing_there(picture.sha256, model, surely=surely)
    inside = tuple(row for row in rows.rows if page.holds(field, top, row.box))
    if not inside:
        return nothing_there(picture.sha256, model, surely=False)

    def as_sent(box: Box) -> Box:
        return picture.image.as_sent(page.as_scanned((box[0] + left, box[1] + top, box[2], box[3])))

    return read_rows(Found(replace(rows, rows=inside), rows.steps, as_sent, picture.sha256), model, field.hints)


@dataclass(frozen=True)
class _Page:
    """A page that was turned level.

    Attributes:
        pixels: uint8 (height, width).
        degrees: by how much it was turned, anticlockwise.
        fields: of the form.
        shift: how far the fields lie to the right and below of where they should, in pixels.
        framed: whether that is known.
    """

    pixels: Pixels
    fields: Sequence[Field]
    degrees: float
    shift: tuple[int, int]
    framed: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """What was done to the page."""
        turned = (f"turned by {self.degrees:.1f} degrees",) if self.degrees else ()
        return (*turned, f"found its frames {self.shift[0]}, {self.shift[1]} pixels away") if self.framed else turned

    @classmethod
    def of(cls, pixels: Pixels, fields: Sequence[Field]) -> _Page:
        """Turn a page, and find the frames of its fields."""
        image = Image.fromarray(pixels)
        factor = -(-max(pixels.shape) // LOOK_SIDE)
        small = image.reduce(factor) if factor > 1 else image
        try:
            ink = find_ink(np.asarray(small), longest=math.inf).ink
        except UnreadableDigitError:
            return cls(pixels, fields, 0.0, (0, 0), framed=False)
        ink = np.clip(ink, 0, 1)
        degrees = _slant(ink)
        if degrees:
            tone = int(np.median(pixels))
            pixels = np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=tone))
            ink = np.asarray(Image.fromarray(ink).rotate(degrees, Image.Resampling.BILINEAR))
        down, found_down = _offset(ink, fields, upright=False)
        right, found_right = _offset(ink, fields, upright=True)
        framed = found_down or found_right
        shift = right * factor if found_right else 0, down * factor if found_down else 0
        return cls(pixels, fields, degrees, shift, framed)

    def _place(self, field: Field) -> tuple[float, float, float, float]:
        height, width = self.pixels.shape
        left, top, wide, high = field.box
        x, y = left * width + self.shift[0], top * height + self.shift[1]
        return x, y, x + wide * width, y + high * height

    def cut(self, field: Field) -> tuple[int, int, int, int]:
        """Return where a field is to be cut out: left, top, right and bottom."""
        height, width = self.pixels.shape
        left, top, right, bottom = place = self._place(field)
        margin = min((MARGIN if self.framed else WIDE_MARGIN) * width, 0.4 * (bottom - top))
        before, above, behind, below = (min(margin, room / 2) for room in self._room(field, place))
        return (
            min(max(0, math.floor(left - before)), width),
            min(max(0, math.floor(top - above)), height),
            min(max(0, math.ceil(right + behind)), width),
            min(max(0, math.ceil(bottom + below)), height),
        )

    def _room(self, field: Field, place: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return how far it is to the next field on the left, above, on the right and below."""
        left, top, right, bottom = place
        room = [math.inf] * 4
        for other in self.fields:
            if other is field:
                continue
            first, upper, last, lower = self._place(other)
            if min(bottom, lower) > max(top, upper):
                room[0] = min(room[0], max(0, left - last)) if first < left else room[0]
                room[2] = min(room[2], max(0, first - right)) if first > left else room[2]
            if min(right, last) > max(left, first):
                room[1] = min(room[1], max(0, top - lower)) if upper < top else room[1]
                room[3] = min(room[3], max(0, upper - bottom)) if upper > top else room[3]
        return room[0], room[1], room[2], room[3]

    def is_paper(self, part: Pixels) -> bool:
        """Return whether a part of the page has about its tone."""
        return abs(float(np.median(part)) - float(np.median(self.pixels))) <= SAME_TONE

    def holds(self, field: Field, above: int, box: Box) -> bool:
        """Return whether the middle of a row that was found below a place lies in the field."""
        _, top, _, bottom = self._place(field)
        slack = 0.25 * (bottom - top)
        return top - slack <= above + box[1] + box[3] / 2 <= bottom + slack

    def as_scanned(self, box: Box) -> tuple[float, float, float, float]:
        """Return the box around a box of the turned page where that lay before it was turned."""
        height, width = self.pixels.shape
        angle = math.radians(self.degrees)
        x = np.array([box[0], box[0] + box[2]] * 2) - width / 2
        y = np.repeat([box[1], box[1] + box[3]], 2) - height / 2
        # `Image.rotate` turns anticlockwise, with rows that go down.
        across = x * math.cos(angle) - y * math.sin(angle) + width / 2
        down = x * math.sin(angle) + y * math.cos(angle) + height / 2
        left, top = float(across.min()), float(down.min())
        return left, top, float(across.max()) - left, float(down.max()) - top


def _is_plain(part: Pixels) -> bool:
    """Return whether nothing is darker than the grain and the light of paper make it, not even faint strokes."""
    middle, dark = np.percentile(part, (50, DARKEST))
    spread = NORMAL * float(np.median(np.abs(part - middle)))
    return bool(middle - dark <= max(LEAST_FAINT, MOST_SPREADS * spread))


def _slant(ink: Floats) -> float:
    """Return by how many degrees a page must be turned anticlockwise: until its ink lies in as few rows as can be."""
    rows, columns = np.nonzero(ink >= 0.5)
    if not len(rows):
        return 0.0
    columns = columns - ink.shape[1] / 2

    def sharpness(degrees: float) -> float:
        level = rows - columns * math.tan(math.radians(degrees))
        counts = np.bincount(np.maximum(np.rint(level + ink.shape[1] / 8), 0).astype(np.intp))
        return float((counts.astype(np.float64) ** 2).sum())

    sharp = np.array([sharpness(float(degrees)) for degrees in DEGREES])
    best = int(sharp.argmax())
    return float(DEGREES[best]) if sharp[best] > 1.02 * sharpness(0.0) else 0.0


def _offset(ink: Floats, fields: Sequence[Field], *, upright: bool) -> tuple[int, bool]:
    """Return how far the frames lie from the fields' edges, down or to the right, and whether any were found."""
    page = ink.T if upright else ink
    height, width = page.shape
    along = np.concatenate([np.zeros((height, 1), np.float32), np.cumsum(page, axis=1)], axis=1)
    most = max(2, round(MOST_SHIFT * ink.shape[1]))
    shifts = np.arange(-most, most + 1)
    total, edges = np.zeros(len(shifts)), 0
    for field in fields:
        left, top, wide, high = field.box
        if upright:
            left, top, wide, high = top, left, high, wide
        # Without its ends, where the page may still be shifted the other way, and what is beyond the page.
        start, stop = (min(round((left + share * wide) * width), width) for share in (0.15, 0.85))
        if stop <= start:
            continue
        for edge in (top, top + high):
            places = np.clip(round(edge * height) + shifts, 1, height - 2)
            near = np.maximum(_sum(along, places, start, stop), _sum(along, places + 1, start, stop))
            total += near / (stop - start)
            edges += 1
    if not edges:
        return 0, False
    share = total / edges
    best = int(share.argmax())
    return int(shifts[best]), bool(share[best] >= max(FOUND_INK, FOUND_RATIO * float(np.median(share))))


def _sum(along: Floats, places: NDArray[np.intp], start: int, stop: int) -> Floats:
    """Return how much ink lies between two columns of some rows, given the sums up to each column."""
    result: Floats = along[places, stop] - along[places, start]
    return result
