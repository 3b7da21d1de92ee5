"""Lines of digits as people write them, drawn out of MNIST's digits, for the reader to learn from.

A line is drawn at MNIST's own size, by one hand as far as MNIST allows: pens of about one width, one slant, one size.
Then it gets what paper has besides (cells, rulings, signs), and is brought to the reader's height as serving does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from digits.model.contract import CLASSES
from digits.pictures.rows import MARGIN, line_of
from digits.pictures.windows import windowed
from training import glyphs, pen
from training.dataset import Part

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.float32]

INK = 90  # what belongs to a digit, of 255
SIZE = 50  # of the square in which a digit is turned
LONGEST = 14  # digits in a line
# How often a digit is one of those that MNIST has too few of.
UNUSUAL = (0.08, 0.4, 0.12, 0.05, 0.2, 0.05, 0.05, 0.35, 0.05, 0.12)
BARE_STROKE = 0.1  # of the 1
NO_DIGITS = 0.05  # of the lines
CLEAN = 0.55  # of the lines: nothing but digits
# How large pictures are, as multiples of MNIST's size: the logarithms of most, and those of few pixels.
SIZES = (math.log(0.9), math.log(3.5))
FEW_PIXELS = (0.45, 0.9)
# Signs that are left out, by where they stand.
_BETWEEN = ("point", "comma", "hyphen", "slash", "colon")
_BEFORE = tuple(glyphs.SIGNS[name] for name in ("euro", "dollar", "pound", "hash", "less", "equal", "plus"))
_BEHIND = (
    *(glyphs.SIGNS[name] for name in ("euro", "percent", "equal")),
    *(glyphs.LETTERS[name] for name in ("K", "M", "N", "V", "W", "k", "m", "t", "h", "p", "x", "F", "H")),
)


@dataclass(frozen=True)
class Source:
    """What lines are made of.

    Attributes:
        digits: MNIST's.
        unusual: digits as MNIST has too few.
        outliers: what is neither a digit nor a number: uint8 (n, 28, 28).
    """

    digits: Part
    unusual: Part
    outliers: Pixels

    @cached_property
    def by_pen(self) -> list[NDArray[np.intp]]:
        """The digits' indices by label, those of the thinnest pen first."""
        widths = pen_widths(self.digits.images)
        suited = [np.flatnonzero(self.digits.labels == label) for label in range(len(CLASSES))]
        return [indices[np.argsort(widths[indices], kind="stable")] for indices in suited]

    @cached_property
    def unusual_ones(self) -> list[NDArray[np.intp]]:
        """The unusual digits' indices by label."""
        return [np.flatnonzero(self.unusual.labels == label) for label in range(len(CLASSES))]


def pen_widths(images: Pixels) -> Floats:
    """Return how wide the strokes of digits are, in pixels: twice the area over the perimeter."""
    drawn = images > INK
    rim = sum(np.diff(drawn, axis=axis).sum(axis=(1, 2)) for axis in (1, 2))
    widths: Floats = (2 * drawn.sum(axis=(1, 2)) / np.maximum(rim * (math.pi / 4), 1)).astype(np.float32)
    return widths


class _Hand:
    """Who writes a line."""

    def __init__(self, source: Source, generator: Generator) -> None:
        self.source, self.generator = source, generator
        self.quantile = generator.uniform()
        self.turn, self.slant = generator.normal(0, 4), generator.normal(0, 0.15)
        self.wide = generator.uniform(0.85, 1.18)
        self.pen = generator.uniform(-0.9, 1.0) if generator.random() < 0.5 else 0.0
        self.smallest = 0.85 if generator.random() < 0.85 else generator.uniform(0.55, 0.8)

    def write(self, label: int) -> Pixels:
        """Return a digit without its margin."""
        return self._turned(self._chosen(label))

    def write_outlier(self) -> Pixels:
        """Return what is no digit."""
        return self._turned(self.source.outliers[self.generator.integers(len(self.source.outliers))])

    def _chosen(self, label: int) -> Pixels:
        generator = self.generator
        others = self.source.unusual_ones[label]
        if label == 1 and generator.random() < BARE_STROKE:
            return _bare_stroke(generator)
        if len(others) and generator.random() < UNUSUAL[label]:
            return self.source.unusual.images[generator.choice(others)]
        own = self.source.by_pen[label]
        place = (self.quantile + generator.uniform(-0.12, 0.12)) * len(own)
        return self.source.digits.images[own[int(np.clip(place, 0, len(own) - 1))]]

    def _turned(self, image: Pixels) -> Pixels:
        generator = self.generator
        height = generator.uniform(self.smallest, 1.15)
        width = height * self.wide * generator.uniform(0.9, 1.12)
        angle = math.radians(self.turn + generator.uniform(-7, 7))
        slant = self.slant + generator.uniform(-0.1, 0.1)
        sine, cosine = math.sin(angle), math.cos(angle)
        back = np.array([[cosine, sine], [-sine, cosine]]) @ [[1 / width, slant / height], [0, 1 / height]]
        x, y = (len(image) - 1) / 2 - back @ np.full(2, (SIZE - 1) / 2)
        turned = Image.fromarray(image).transform(
            (SIZE, SIZE), Image.Transform.AFFINE, (*back[0], x, *back[1], y), Image.Resampling.BILINEAR
        )
        drawn = np.asarray(turned)
        if abs(self.pen) > 0.15:
            drawn = _blended(drawn, np.maximum if self.pen > 0 else np.minimum, max(self.pen, -0.55))
        cropped = _cropped(drawn, INK)
        return image[4:24, 4:24] if cropped is None else cropped


@dataclass(frozen=True)
class Line:
    """A line of digits.

    Attributes:
        pixels: uint8 (32, width), ink bright, as the reader takes it.
        labels: the digits from left to right; none where there is none.
        middles: the column of each one's middle.
    """

    pixels: Pixels
    labels: list[int]
    middles: list[float]


def draw_line(source: Source, generator: Generator) -> Line:
    """Draw a line."""
    sheet = _Sheet(source, generator)
    clean = generator.random() < CLEAN
    sheet.write()
    if not clean:
        sheet.add_signs()
        sheet.print_lines()
    image, left = sheet.crop()
    pixels = _at_height(image, generator, clean)
    scale = (pixels.shape[1] - 2 * MARGIN) / image.width
    return Line(pixels, sheet.labels, [MARGIN + (x - left) * scale for x in sheet.middles])


class _Sheet:
    """The strip of paper that a line is written on."""

    def __init__(self, source: Source, generator: Generator) -> None:
        self.generator, self.hand = generator, _Hand(source, generator)
        self.labels = _labels(generator)
        self.style = "plain" if not self.labels else str(generator.choice(_STYLES, p=_STYLE_SHARES))
        self.separators: list[float] = []
        self.between: list[float] = []  # where signs are to stand
        self.middles: list[float] = []  # of the digits

    def write(self) -> None:
        """Write the digits beside each other."""
        generator = self.generator
        low, high = _GAPS[self.style]
        gap_of_line, wander = (
            generator.uniform(low, high),
            generator.choice((0.5, 1.0, 2.0, 3.5), p=(0.3, 0.35, 0.25, 0.1)),
        )
        slope, in_cell = generator.normal(0, 0.025), 1 if generator.random() < 0.7 else 2
        if self.style == "cells" and in_cell == 2:
            gap_of_line = generator.uniform(0, 5)
        signs = generator.uniform(0.1, 0.5) if generator.random() < 0.1 else 0.0
        placed, x, before = [], 8.0, 0
        written = [self.hand.write(label) for label in self.labels] or self._outliers()
        for number, ink in enumerate(written):
            if number:
                gap = gap_of_line + generator.normal(0, 2 if gap_of_line < 10 else 4)
                at_cell = self.style == "cells" and number % in_cell == 0
                if at_cell:
                    gap = max(gap, 4) + (generator.uniform(2, 14) if in_cell == 2 else 0)
                elif generator.random() < signs:
                    gap = max(gap, generator.uniform(6, 12))
                    self.between.append(x + gap / 2)
                gap = max(gap, -6, -0.45 * min(before, ink.shape[1]))
                if at_cell and generator.random() < 0.9:
                    self.separators.append(x + gap * generator.uniform(0.2, 0.8))
                x += gap
            placed.append((ink, max(0, round(x)), round(generator.normal(0, wander) + slope * x - ink.shape[0] / 2)))
            x, before = x + ink.shape[1], ink.shape[1]
        if self.labels:
            self.middles = [left + ink.shape[1] / 2 for ink, left, _ in placed]
        self._lay(placed, math.ceil(x) + 8)

    def _outliers(self) -> list[Pixels]:
        return [self.hand.write_outlier() for _ in range(int(self.generator.choice((1, 1, 1, 2, 3, 5))))]

    def _lay(self, placed: list[tuple[Pixels, int, int]], width: int) -> None:
        room = 16
        top = min(y for _, _, y in placed)
        bottom = max(y + len(ink) for ink, _, y in placed)
        canvas = np.zeros((bottom - top + 2 * room, width), np.uint8)
        for ink, x, y in placed:
            place = canvas[y - top + room : y - top + room + len(ink), x : x + ink.shape[1]]
            np.maximum(place, ink[:, : place.shape[1]], out=place)
        self.image = Image.fromarray(canvas)
        self.top, self.bottom, self.left, self.right = room, canvas.shape[0] - room, 8, width - 8

    def add_signs(self) -> None:
        """Write what is to be left out: between the digits, before and behind them."""
        generator, strength = self.generator, int(self.generator.uniform(150, 255))
        for x in self.between:
            self._sign(x, str(generator.choice(_BETWEEN, p=(0.3, 0.2, 0.3, 0.1, 0.1))), strength)
        if not self.labels or generator.random() >= 0.04:
            return
        before = generator.random() < 0.5
        ways = (_BEFORE if before else _BEHIND)[generator.integers(len(_BEFORE if before else _BEHIND))]
        size = (self.bottom - self.top) * generator.uniform(0.6, 1.0)
        strokes = pen.unsteady(glyphs.strokes(str(generator.choice(ways))), generator)
        scale = size * np.array([generator.uniform(0.5, 0.8), 1.0])
        gap, wide = round(generator.uniform(3, 10)), math.ceil(0.9 * size) + 4
        grown = Image.new("L", (self.image.width + wide + gap, self.image.height))
        grown.paste(self.image, (wide + gap if before else 0, 0))
        x = 4 if before else self.right + gap
        drawing = ImageDraw.Draw(grown)
        for stroke in strokes:
            points = stroke * scale + (x, self.bottom - size)
            pen.trace(drawing, points, generator.uniform(1.5, 3.5), level=strength)
        self.image = grown
        self.left, self.right = (4, self.right + wide + gap) if before else (self.left, self.right + gap + wide - 4)
        if before:
            self.separators = [each + wide + gap for each in self.separators]
            self.middles = [each + wide + gap for each in self.middles]

    def _sign(self, x: float, kind: str, strength: int) -> None:
        generator, drawing = self.generator, ImageDraw.Draw(self.image)
        height, size = self.bottom - self.top, generator.uniform(1, 2)
        foot = self.bottom - size - 1
        if kind == "hyphen":
            half, y = generator.uniform(1.5, 4), (self.top + self.bottom) / 2 + generator.normal(0, 2)
            drawing.line((x - half, y, x + half, y + generator.normal(0, 0.7)), strength, int(generator.integers(1, 3)))
        elif kind == "slash":  # taller than the digits, or it would be a 1
            over, lean = height * generator.uniform(0.15, 0.3), height * generator.uniform(0.1, 0.25)
            ends = (x + lean, max(0, self.top - over), x - lean, self.bottom + over)
            drawing.line(ends, strength, int(generator.integers(1, 4)))
            self.top, self.bottom = int(max(0, self.top - over)), int(self.bottom + over)
        elif kind == "comma":
            drawing.line((x + 1, foot - 1, x - 1, foot + 4), strength, 2)
        else:
            for y in (foot, foot - 0.5 * height)[: 1 + (kind == "colon")]:
                drawing.ellipse((x - size, y - size, x + size, y + size), strength)

    def print_lines(self) -> None:
        """Print cells, rulings and underlines, or leave the gaps that erased ones leave."""
        generator, drawing = self.generator, ImageDraw.Draw(self.image)
        strength, thick = int(generator.uniform(90, 255)), int(generator.choice((1, 1, 2, 2, 3)))
        if self.style == "cells":
            self._print_cells(drawing, strength, thick)
            return
        way, tilt = generator.random(), generator.normal(0, 0.7)
        if way < 0.07:  # an underline
            y = self.bottom + int(generator.integers(-3, 7))
            self._level(drawing, y, tilt, strength, thick)
            self._reach(self.top, y + 2)
        elif way < 0.09:
            y = self.top - int(generator.integers(-2, 7))
            self._level(drawing, y, tilt, strength, thick)
            self._reach(y - 1, self.bottom)
        elif way < 0.13:  # a box
            top, bottom = self.top - int(generator.integers(0, 9)), self.bottom + int(generator.integers(0, 9))
            for y in (top, bottom):
                self._level(drawing, y, tilt, strength, thick)
            if generator.random() < 0.6:
                for x in (1, self.image.width - 2):
                    drawing.line((x, top, x + generator.normal(0, 0.5), bottom), strength, thick)
            self._reach(top, bottom + 2)
        elif way < 0.18:  # rulings through the digits
            for _ in range(int(generator.integers(1, 4))):
                self._level(drawing, generator.uniform(self.top, self.bottom), tilt, strength, thick)
            self.left, self.right = 0, self.image.width
        elif way < 0.24:  # where one was erased
            self._level(drawing, generator.uniform(self.top + 2, self.bottom - 2), tilt, 0, min(2, thick))

    def _print_cells(self, drawing: ImageDraw.ImageDraw, strength: int, thick: int) -> None:
        generator = self.generator
        top, bottom = self.top - generator.uniform(3, 13), self.bottom + generator.uniform(3, 13)
        top, bottom, lean, tilt = max(0.0, top), min(self.image.height - 1, bottom), *generator.normal(0, 0.8, 2)
        ends = [at for at in (self.left - 4, self.right + 4) if generator.random() < 0.5]
        for x in (*ends, *self.separators):
            drawing.line((x + lean, top, x - lean, bottom), strength, thick)
        for y in (top, bottom - thick + 1):
            if generator.random() < 0.55:
                self._level(drawing, y, tilt, strength, thick)
        self._reach(int(top), int(bottom) + 1)

    def _level(self, drawing: ImageDraw.ImageDraw, y: float, tilt: float, strength: int, thick: int) -> None:
        drawing.line((0, y - tilt, self.image.width, y + tilt), strength, thick)

    def _reach(self, top: float, bottom: float) -> None:
        """Let the line reach from top to bottom, across the whole strip."""
        self.top, self.bottom = max(0, int(top)), min(self.image.height, int(bottom))
        self.left, self.right = 0, self.image.width

    def crop(self) -> tuple[Image.Image, int]:
        """Return the line, cut out more or less closely, in some drawn with a finer pen, and the first column."""
        generator = self.generator
        if generator.random() < 0.18:
            self.image = _finer(self.image, generator)
        top, bottom = (int(generator.integers(0, 3)) if generator.random() < 0.3 else 0 for _ in range(2))
        left, right, last = max(0, self.left), min(self.image.width, self.right), self.image.height
        return self.image.crop((left, max(0, self.top - top), right, min(last, self.bottom + bottom))), left


_STYLES, _STYLE_SHARES = ("plain", "tight", "cells", "wide"), (0.56, 0.28, 0.1, 0.06)
_GAPS = {"plain": (-5.0, 12.0), "tight": (-5.0, 2.0), "cells": (3.0, 26.0), "wide": (14.0, 50.0)}


def _labels(generator: Generator) -> list[int]:
    if generator.random() < NO_DIGITS:
        return []
    count = int(generator.integers(1, 9)) if generator.random() < 0.88 else int(generator.integers(9, LONGEST + 1))
    labels: list[int] = []
    for share in generator.random(count):
        repeated = labels and share < 0.12  # which CTC finds hardest
        labels.append(labels[-1] if repeated else 1 if share > 0.95 else int(generator.integers(10)))
    return labels


def _bare_stroke(generator: Generator) -> Pixels:
    """Return a 1 that is nothing but a stroke."""
    side, half, lean = 112, 4 * generator.uniform(8, 10.5), generator.normal(0.1, 0.15)
    image = Image.new("L", (side, side))
    ends = np.array([(lean * half, -half), (-lean * half, half)]) + side / 2
    pen.trace(ImageDraw.Draw(image), ends, 4 * generator.uniform(0.9, 3.2))
    return np.asarray(image.reduce(4))


def _finer(image: Image.Image, generator: Generator) -> Image.Image:
    """Return a line as a pen down to a hairline draws it, redrawn as serving does."""
    size = image.width, image.height
    large = np.asarray(image.resize((3 * size[0], 3 * size[1]), Image.Resampling.BICUBIC))
    for _ in range(int(generator.integers(1, 4))):
        large = _blended(large, np.minimum, 0.9)
    large = (np.minimum(large, 159).astype(np.uint16) * 8 // 5).astype(np.uint8)
    if thicker := int(generator.integers(0, 3)):
        large = windowed(large, 2 * thicker + 1, np.maximum)
    fine = Image.fromarray(large).resize(size, Image.Resampling.BOX)
    return fine if np.asarray(fine).max() > 120 else image


def _blended(ink: Pixels, extreme: np.ufunc, share: float) -> Pixels:
    """Return ink drawn with a wider or a finer pen, all round by a share of a pixel."""
    whole = windowed(ink, 3, extreme).astype(np.float32)
    return (ink + np.float32(abs(share)) * (whole - ink)).astype(np.uint8)


def _at_height(image: Image.Image, generator: Generator, clean: bool) -> Pixels:
    """Return a line as serving draws it, out of a picture of some size and sharpness."""
    size = math.exp(generator.uniform(*SIZES)) if generator.random() < 0.9 else generator.uniform(*FEW_PIXELS)
    width, height = round(image.width * size * generator.uniform(0.85, 1.18)), round(image.height * size)
    how = Image.Resampling.BICUBIC if size >= 1 else Image.Resampling.BOX
    seen = image.resize((max(4, width), max(4, height)), how)
    if generator.random() < 0.5:
        seen = seen.filter(ImageFilter.GaussianBlur(generator.uniform(0.1, 0.45) * size))
    ink = np.asarray(seen).astype(np.float32) / np.float32(255)
    if generator.random() < 0.3:
        ink += np.float32(generator.uniform(0.01, 0.08)) * generator.standard_normal(ink.shape, np.float32)
    line = line_of(ink)
    if not clean and generator.random() < 0.2:
        line = line.copy()
        for _ in range(int(generator.integers(1, 5))):  # specks
            y, x = (int(generator.integers(0, side - 2)) for side in line.shape)
            high, wide = generator.integers(1, 4, 2)
            line[y : y + high, x : x + wide] = generator.uniform(80, 255)
    return line


def _cropped(image: Pixels, least: int) -> Pixels | None:
    rows, columns = (np.flatnonzero((image > least).any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else None
