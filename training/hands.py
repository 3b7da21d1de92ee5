"""Hands that MNIST hardly knows: how others write a 0, 1, 2, 4, 7 or 9, drawn onto MNIST's digits.

Each drawing is a pure function. It takes an MNIST image, uint8 (28, 28), ink bright, of the digit that it is for,
and a random generator, and returns the same in canonical form. A digit that is written so already stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import label

from digits.pictures.canonical import from_ink
from training import pen
from training.remnants import enlarged

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.float32]
type Point = NDArray[np.float64]
type Drawing = Callable[[Pixels, Generator], Pixels]

_MARGIN = 48  # around the enlarged digit, for what is added; in pixels, four of which are one of MNIST's


@dataclass(frozen=True)
class Hand:
    """A way to write a digit."""

    digit: int
    draw: Drawing


def long_upstroke(image: Pixels, generator: Generator) -> Pixels:
    """Begin a 1 with an upstroke of a third to most of its height, and perhaps set it on a foot."""
    sheet = _Sheet(image, generator)
    sheet.straighten(generator.uniform(-0.05, 0.3))
    top, bottom = sheet.end(top=True), sheet.end(top=False)
    down = bottom - top
    turn = math.radians(generator.uniform(24, 50))
    away = generator.uniform(0.35, 0.8) * (_turned(down, turn))
    sheet.draw(top, top + away / 2 + _across(away) * generator.uniform(-0.08, 0.08), top + away)
    if generator.random() < 0.3:
        half = np.array([generator.uniform(0.2, 0.4), generator.uniform(-0.05, 0.05)]) * sheet.height
        sheet.draw(bottom - half, bottom + half)
    return sheet.canonical()


def looped(image: Pixels, generator: Generator) -> Pixels:
    """Turn from the slope of a 2 into its base by a loop."""
    sheet = _Sheet(image, generator)
    if sheet.closed:
        return sheet.canonical()
    lower = sheet.rows(0.75, 1)
    column = int(np.flatnonzero(sheet.drawn[lower].any(axis=0))[0])
    row = lower.start + float(np.flatnonzero(sheet.drawn[lower, column : column + 3].any(axis=1)).mean())
    wide, high = sheet.height * generator.uniform((0.13, 0.09), (0.24, 0.17))
    centre = np.array([column + sheet.width / 2 + 0.7 * wide, row - 0.45 * high])
    angles = np.linspace(0, 2 * math.pi, 9)[:-1]
    circle = np.stack([wide * np.cos(angles), high * np.sin(angles)], axis=1)
    tilted = circle @ pen.slant(generator, 25, (0.9, 1.1), 0.2).T
    sheet.draw(*(centre + tilted), closed=True)
    return sheet.canonical()


def crossed(image: Pixels, generator: Generator) -> Pixels:
    """Cross the stem of a 7."""
    sheet = _Sheet(image, generator)
    middle = sheet.stem(generator.uniform(0.42, 0.62))
    angle = math.radians(generator.uniform(-18, 10))
    half = np.array([math.cos(angle), math.sin(angle)]) * generator.uniform(0.17, 0.34) * sheet.height
    off = generator.uniform(-0.25, 0.25)
    sheet.draw(middle - (1 + off) * half, middle + (1 - off) * half)
    return sheet.canonical()


def closed(image: Pixels, generator: Generator) -> Pixels:
    """Write a 4 with this pen and slant as it is printed, closed at its top."""
    right, across, reach = generator.uniform((0.55, 0.5, 0.85), (0.8, 0.75, 1.1))
    bow = generator.uniform(-0.06, 0.06)
    slope = pen.smooth(np.array([(right, 0), (right / 2 + bow, across / 2 + bow), (0, across)]))
    stem = np.array([(right, generator.uniform(0, 0.08)), (right, 1)])
    return _written(image, generator, [np.vstack([slope, (reach, across)]), stem])


def opened(image: Pixels, generator: Generator) -> Pixels:
    """Write a 4 with this pen and slant in two strokes that are far apart at the top."""
    right, across, reach = generator.uniform((0.55, 0.45, 0.8), (0.75, 0.65, 1.05))
    arm = np.array([(generator.uniform(0, 0.15), 0), (0, 0.9 * across), (0.06, across), (reach, across)])
    stem = np.array([(right + generator.uniform(0, 0.1), generator.uniform(-0.1, 0.3)), (right, 1)])
    return _written(image, generator, [pen.smooth(arm) if generator.random() < 0.4 else arm, stem])


def slashed(image: Pixels, generator: Generator) -> Pixels:
    """Strike a 0 through, from the lower left to the upper right."""
    sheet = _Sheet(image, generator)
    rows, columns = np.nonzero(sheet.drawn)
    middle = np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2
    half = np.array([np.ptp(columns), -np.ptp(rows)]) / 2 * generator.uniform((0.6, 0.6), (1.25, 1))
    half[0] = max(half[0], 0.2 * sheet.height)
    sheet.draw(middle - half, middle + _across(half) * generator.uniform(-0.08, 0.08), middle + half)
    return sheet.canonical()


def hooked(image: Pixels, generator: Generator) -> Pixels:
    """End a 9 in a hook to the left, as a g ends."""
    sheet = _Sheet(image, generator)
    end, size = sheet.end(top=False), sheet.height * generator.uniform(0.6, 1.15)
    hook = np.array([(0, 0), (-0.09, 0.13), (-0.26, 0.17), (-0.42, 0.08), (-0.5, -0.04)])
    kept = hook[: generator.integers(4, 6)]
    sheet.draw(*(end + kept * size * (generator.uniform(0.7, 1.2), generator.uniform(0.7, 1.2))))
    return sheet.canonical()


HANDS: dict[str, Hand] = {
    "0 slashed": Hand(0, slashed),
    "1 with a long upstroke": Hand(1, long_upstroke),
    "2 with a loop": Hand(2, looped),
    "4 closed": Hand(4, closed),
    "4 open": Hand(4, opened),
    "7 crossed": Hand(7, crossed),
    "9 like a g": Hand(9, hooked),
}


@dataclass
class _Sheet:
    """An enlarged digit with room around it, and a pen as wide as its own."""

    image: Pixels
    generator: Generator
    ink: Image.Image = field(init=False)
    drawn: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        sharp = np.clip((enlarged(self.image) - 0.25) * 2, 0, 1)
        self._take(Image.fromarray(np.pad(sharp * 255, _MARGIN).astype(np.uint8)))

    def _take(self, ink: Image.Image) -> None:
        self.ink, self.drawn = ink, np.asarray(ink) >= 128
        rows = np.flatnonzero(self.drawn.any(axis=1))
        self.top, self.height = int(rows[0]), int(np.ptp(rows)) + 1
        rim = int(np.diff(self.drawn, axis=0).sum()) + int(np.diff(self.drawn, axis=1).sum())
        self.width = 2 * int(self.drawn.sum()) / (rim * math.pi / 4)

    @property
    def closed(self) -> bool:
        """Whether the digit surrounds some paper."""
        return label(~self.drawn)[1] > 1

    @property
    def lean(self) -> float:
        """How far the top is to the right of the bottom, as a share of the height."""
        return float(self.end(top=True)[0] - self.end(top=False)[0]) / self.height

    def straighten(self, most: float) -> None:
        """Slant a digit that leans further to the right back to that lean."""
        back = self.lean - most
        if back > 0:
            slanted = (1, -back, back * self.ink.height / 2, 0, 1, 0)
            self._take(self.ink.transform(self.ink.size, Image.Transform.AFFINE, slanted, Image.Resampling.BICUBIC))

    def rows(self, start: float, stop: float) -> slice:
        """Return the rows between two shares of the digit's height."""
        return slice(self.top + int(start * self.height), self.top + round(stop * self.height))

    def runs(self, share: float) -> list[float]:
        """Return the middles of the strokes that a row cuts, from the left."""
        row = np.concatenate([[0], self.drawn[self.top + int(share * self.height)], [0]]).astype(np.int8)
        changes = np.flatnonzero(np.diff(row))
        return [float(middle) for middle in changes.reshape(-1, 2).mean(axis=1) - 0.5]

    def stem(self, share: float) -> Point:
        """Return the middle of the last stroke that a row cuts."""
        return np.array([(self.runs(share) or [self.ink.width / 2])[-1], self.top + int(share * self.height)])

    def end(self, top: bool) -> Point:
        """Return where the pen began at the very top, or ended at the bottom."""
        away = self.width / 2
        row = self.top + away if top else self.top + self.height - away
        rows = slice(self.top, round(row)) if top else slice(round(row), self.top + self.height)
        return np.array([np.nonzero(self.drawn[rows])[1].mean(), row])

    def draw(self, *points: Point, closed: bool = False) -> None:
        """Draw a smooth line through points."""
        width = self.width * self.generator.uniform(0.8, 1.1)
        shaken = np.array(points) + self.generator.normal(0, 0.012 * self.height, (len(points), 2))
        pen.trace(ImageDraw.Draw(self.ink), pen.smooth(shaken, closed), width)

    def canonical(self) -> Pixels:
        """Return the digit with what was added."""
        return from_ink(np.asarray(self.ink, np.float32) / np.float32(255))


def _written(image: Pixels, generator: Generator, strokes: list[pen.Stroke]) -> Pixels:
    """Write strokes, within 0 to 1, as wide and slanted as a digit is."""
    sheet = _Sheet(image, generator)
    turn = np.array([[generator.uniform(0.6, 0.95), -float(np.clip(sheet.lean, -0.2, 0.6))], [0, 1]])
    written = [stroke @ turn.T for stroke in pen.unsteady(strokes, generator, 0.02)]
    return from_ink(pen.ink(written, sheet.width * pen.REACH / sheet.height))


def _turned(vector: Point, angle: float) -> Point:
    """Return a vector turned clockwise, as it is seen."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([cosine * vector[0] - sine * vector[1], sine * vector[0] + cosine * vector[1]])


def _across(vector: Point) -> Point:
    return np.array([-vector[1], vector[0]])
