"""What happens to a digit on its way to a camera or a canvas: the rows of the robustness table.

Each distortion is a pure function. It takes an MNIST image, uint8 (28, 28), ink bright, and a random
generator, and returns a picture, uint8 (height, width), in the polarity and size of its source.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from PIL import Image

from training import scenes
from training.drawing import Floats, Pixels, blurred, enlarged, grey, jpeg, thickened, thinned
from training.hands import HANDS

type Distortion = Callable[[Pixels, Generator], Pixels]

AIM_POINTS = 0.7
HARD_AIM_POINTS = 2.0
ON_PAPER = 0.97


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        distort: what happens to the digit.
        aim_points: how many points of accuracy it may cost, compared with the clean digits.
        digit: the only digit that it can happen to; None for all.
        least_accuracy: what the accuracy must be instead, if not None: where a refusal is better than a guess.
    """

    distort: Distortion
    aim_points: float = AIM_POINTS
    digit: int | None = None
    least_accuracy: float | None = None

    @property
    def aim(self) -> str:
        """The aim of its accuracy, in points or per cent, as tables show it."""
        return f"-{self.aim_points:g}" if self.least_accuracy is None else f"{100 * self.least_accuracy:g} %"


def clean(image: Pixels, _: Generator) -> Pixels:
    """Leave the digit as it is."""
    return image


def invert(image: Pixels, _: Generator) -> Pixels:
    """Draw black on white."""
    return 255 - image


def shift(image: Pixels, generator: Generator, pixels: int) -> Pixels:
    """Move the digit by `pixels` along both axes, on a canvas that keeps it whole."""
    top, left = generator.choice((0, 2 * pixels), 2)
    return _placed(image, 28 + 2 * pixels, int(top), int(left))


def shrink(image: Pixels, generator: Generator, factor: int) -> Pixels:
    """Reduce the 28x28 pixels, antialiased, and put them at a random place on a large canvas."""
    small = np.asarray(Image.fromarray(image).reduce(factor))
    side = 28 * factor
    top, left = generator.integers(0, side - small.shape[0], 2)
    return _placed(small, side, int(top), int(left))


def place(image: Pixels, generator: Generator) -> Pixels:
    """Put the unchanged digit at a random place on a canvas four times as wide and high."""
    top, left = generator.integers(0, 84, 2)
    return _placed(image, 112, int(top), int(left))


def crop(image: Pixels, _: Generator, stretched: bool = False) -> Pixels:
    """Cut the margin off a digit in dark ink and enlarge it, optionally stretched to a square."""
    rows, columns = (np.flatnonzero((image >= 64).any(axis=axis)) for axis in (1, 0))
    box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = (100, 100) if stretched else (5 * box.shape[1], 5 * box.shape[0])
    return 255 - np.asarray(Image.fromarray(box).resize(size, Image.Resampling.BICUBIC))


def rotate(image: Pixels, generator: Generator, degrees: float) -> Pixels:
    """Turn the digit to the left or to the right, on a canvas that keeps it whole."""
    canvas = Image.fromarray(np.pad(image, 6))
    return np.asarray(canvas.rotate(degrees * generator.choice((-1, 1)), Image.Resampling.BICUBIC))


def light_gradient(image: Pixels, generator: Generator) -> Pixels:
    """Write on paper that is lit four times as brightly on one side as on the other."""
    ink = _page(image, 168, 112, generator)
    reflected = 0.92 * (1 - 0.85 * ink)
    return grey(255 * reflected * _ramp(ink.shape, generator, 0.25, 1.0))


def photograph(image: Pixels, generator: Generator) -> Pixels:
    """Photograph ink on paper: a shadow, uneven light, perspective, blur, noise and JPEG at quality 30."""
    digit = int(generator.integers(180, 330))
    ink = _perspective(_page(image, 480, digit, generator), generator)
    reflected = generator.uniform(0.75, 0.9) * (1 - generator.uniform(0.6, 0.85) * ink)
    light = _ramp(ink.shape, generator, 0.65, 1.0) * _band_shadow(ink.shape, generator)
    noisy = blurred(255 * reflected * light, generator.uniform(1, 3))
    noisy += generator.normal(0, generator.uniform(3, 8), ink.shape).astype(np.float32)
    return jpeg(grey(noisy), 30)


def thin_pen(image: Pixels, _: Generator) -> Pixels:
    """Write with a pen a third as wide as MNIST's: eroded, but at least three pixels of 112 wide."""
    pen = Image.fromarray(thinned(enlarged(image), 3))
    return 255 - np.pad(np.asarray(pen.reduce(2)), 12)


def thick_pen(image: Pixels, _: Generator) -> Pixels:
    """Write with a felt pen: two MNIST pixels wider."""
    pen = Image.fromarray(thickened(np.pad(enlarged(image), 24), 4))
    return 255 - np.asarray(pen.reduce(2))


def chalk(image: Pixels, generator: Generator) -> Pixels:
    """Write with grainy chalk on a smudged board."""
    ink = _page(image, 200, 130, generator)
    grain = blurred(generator.normal(0, 1, ink.shape).astype(np.float32), 1.0)
    smudges = blurred(generator.normal(0, 1, ink.shape).astype(np.float32), 12)
    board = 55 + 250 * smudges + generator.normal(0, 4, ink.shape)
    return grey(board + ink * (140 + 120 * grain))


def faint_pencil(image: Pixels, generator: Generator) -> Pixels:
    """Write with a hard pencil: the contrast is a tenth of the paper's brightness, with grain."""
    ink = _page(image, 224, 140, generator)
    grain = blurred(generator.normal(0, 1, ink.shape).astype(np.float32), 0.8)
    return grey(230 - ink * (24 + 12 * grain) + generator.normal(0, 2.5, ink.shape))


ROWS: dict[str, Row] = {
    "clean": Row(clean),
    "inverted": Row(invert),
    "shifted 3 px": Row(partial(shift, pixels=3)),
    "shifted 8 px": Row(partial(shift, pixels=8)),
    "half size": Row(partial(shrink, factor=2)),
    "quarter of the canvas": Row(place),
    "quarter size, 7 px": Row(partial(shrink, factor=4)),
    "tight crop": Row(crop),
    "tight crop, stretched": Row(partial(crop, stretched=True)),
    "rotated 10 degrees": Row(partial(rotate, degrees=10)),
    "rotated 20 degrees": Row(partial(rotate, degrees=20), HARD_AIM_POINTS),
    "light gradient": Row(light_gradient),
    "photo": Row(photograph, HARD_AIM_POINTS),
    "thin pen": Row(thin_pen),
    "thick pen": Row(thick_pen),
    "chalk on board": Row(chalk),
    "faint pencil": Row(faint_pencil),
    **{name: Row(hand.draw, HARD_AIM_POINTS, hand.digit) for name, hand in HANDS.items()},
    "cell": Row(scenes.cell, least_accuracy=ON_PAPER),
    "cut cell": Row(scenes.cut_cell, least_accuracy=ON_PAPER),
    "ruled": Row(scenes.ruled, least_accuracy=ON_PAPER),
    "squared": Row(scenes.squared, least_accuracy=ON_PAPER),
    "edge line": Row(scenes.edge_line, least_accuracy=ON_PAPER),
    "neighbour": Row(scenes.neighbour, least_accuracy=ON_PAPER),
    "underline": Row(scenes.underline, least_accuracy=ON_PAPER),
    "shadow": Row(scenes.shadow, least_accuracy=ON_PAPER),
    "vignette": Row(scenes.vignette, least_accuracy=ON_PAPER),
    "desk": Row(scenes.desk, least_accuracy=ON_PAPER),
}


def _placed(image: Pixels, side: int, top: int, left: int) -> Pixels:
    canvas = np.zeros((side, side), np.uint8)
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def _page(image: Pixels, side: int, digit: int, generator: Generator) -> Floats:
    """Return ink, float32 (side, side), 0 to 1, with the 28x28 pixels smoothly enlarged somewhere on it."""
    large = np.asarray(Image.fromarray(image).resize((digit, digit), Image.Resampling.BICUBIC))
    top, left = generator.integers(0, side - digit, 2)
    return _placed(large, side, int(top), int(left)).astype(np.float32) / np.float32(255)


def _ramp(shape: tuple[int, ...], generator: Generator, low: float, high: float) -> Floats:
    """Return light that fades from one side to the other: float32 of the given shape, low to high."""
    across = _across(shape, generator)
    return (low + (high - low) * (across - across.min()) / np.ptp(across)).astype(np.float32)


def _band_shadow(shape: tuple[int, ...], generator: Generator) -> Floats:
    """Return the light that a soft-edged shadow across the page leaves."""
    across = _across(shape, generator)
    middle, half_width = generator.uniform(-0.35, 0.35), generator.uniform(0.1, 0.25)
    softness = generator.uniform(0.02, 0.08)
    inside = 1 / (1 + np.exp((np.abs(across - middle) - half_width) / softness))
    return (1 - generator.uniform(0.2, 0.45) * inside).astype(np.float32)


def _across(shape: tuple[int, ...], generator: Generator) -> Floats:
    """Return the distance from the middle in a random direction, in units of the height."""
    angle = generator.uniform(0, 2 * math.pi)
    rows, columns = np.indices(shape, np.float32)
    rows, columns = rows / shape[0] - 0.5, columns / shape[0] - 0.5
    return rows * np.float32(math.sin(angle)) + columns * np.float32(math.cos(angle))


def _perspective(ink: Floats, generator: Generator) -> Floats:
    """View the page from slightly further away and at an angle."""
    side = ink.shape[0]
    corners = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float64)
    seen = corners + np.sign(corners - side / 2) * generator.uniform(0, 0.08 * side, (4, 2))
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, seen, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    coefficients = tuple(np.linalg.solve(np.array(rows), np.array(values)))
    image = Image.fromarray((ink * 255).astype(np.uint8))
    warped = image.transform(image.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    return np.asarray(warped).astype(np.float32) / np.float32(255)
