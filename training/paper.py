"""A sheet of paper in front of a camera: what is written and printed on it, and the light that falls on it."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from training.drawing import Floats, Pixels, blurred, enlarged, grey, jpeg, thickened, thinned

type Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

FAINTEST = 40  # of a stroke, of 255
MNIST_HEIGHT = 20  # of a digit, in its pixels
LEAST, MOST = 48, 400  # sides of a picture, in pixels
SKEW_DEGREES = 3.0


class Paper:
    """A sheet that fills the picture.

    Attributes:
        side: of the picture, in pixels: its height.
        ink: what is written, float32 (height, width), 0 to 1.
        printed: how dark printed lines are, likewise.
        light: what falls on it, likewise.
        along, down: pixels from the middle, in the direction of the rulings, which are skew.
        pixels: how much thicker than MNIST's the pen is, in pixels of 112, all round; None draws MNIST's own strokes,
            soft as they are.
        dark: the share of light that ink takes.
        white: the share of light that paper reflects.
    """

    def __init__(self, generator: Generator, least: int = LEAST, size: tuple[int, int] | None = None) -> None:
        """Lay a sheet down.

        Args:
            least: the least height, in pixels.
            size: width and height, in pixels; None is about as wide as high.
        """
        self.generator = generator
        self.side = round(math.exp(generator.uniform(math.log(least), math.log(MOST))))
        self.width = int(np.clip(self.side * generator.uniform(0.8, 1.25), LEAST, MOST))
        if size:
            self.width, self.side = size
        shape = (self.side, self.width)
        self.ink, self.printed, self.light = (np.zeros(shape, np.float32) for _ in range(3))
        middle = np.array([self.side / 2, self.width / 2], np.float32)
        self.y, self.x = np.indices(shape, np.float32) - middle[:, None, None]
        skew = math.radians(generator.uniform(-SKEW_DEGREES, SKEW_DEGREES)) if generator.random() < 0.6 else 0.0
        self.along, self.down = self.turned(skew)
        self.pixels: int | None = int(generator.choice((-3, -2, -1, 0, 0, 1)))
        self.dark = generator.uniform(0.55, 0.88)
        self.white = generator.uniform(0.75, 0.97)
        across = self.turned(generator.uniform(0, 2 * math.pi))[0] / self.side + 0.5
        self.light += 1 - np.float32(generator.uniform(0, 0.2)) * across
        self.box: Box = (0, 0, 0, 0)

    def turned(self, angle: float) -> tuple[Floats, Floats]:
        """Return both coordinates, in pixels from the middle, in a frame that is turned by an angle."""
        sine, cosine = np.float32(math.sin(angle)), np.float32(math.cos(angle))
        return self.x * cosine + self.y * sine, self.y * cosine - self.x * sine

    def write(self, image: Pixels, area: Box | None = None, tall: tuple[float, float] = (0.42, 0.74)) -> None:
        """Write a digit somewhere around the middle of an area, with one pen or another, and remember its box.

        Args:
            tall: the share of the area's height, from and to.
        """
        left, top, right, bottom = area or (0, 0, self.width, self.side)
        height = max(22.0, self.generator.uniform(*tall) * (bottom - top))
        digit = self.pen(image, min(height, 0.8 * (bottom - top)), 0.8 * (right - left))
        free = np.array([right - left - digit.shape[1], bottom - top - digit.shape[0]])
        x, y = np.array([left, top]) + free * (0.5 + self.generator.uniform(-0.28, 0.28, 2))
        self.box = self.put(digit, x, y)

    def pen(self, image: Pixels, height: float, width: float = math.inf) -> Floats:
        """Return a digit without its margin at a height in pixels, less if it were wider than `width`."""
        drawn = _soft(image) if self.pixels is None else _drawn(image, self.pixels)
        return sized(drawn, round(min(height, width * drawn.shape[0] / drawn.shape[1])))

    def put(self, ink: Floats, x: float, y: float) -> Box:
        """Lay ink on the paper, whose part outside of the picture is lost, and return its box."""
        left, top = round(x), round(y)
        rows = slice(max(0, top), max(0, top + ink.shape[0]))
        columns = slice(max(0, left), max(0, left + ink.shape[1]))
        place = self.ink[rows, columns]
        begin = max(0, -top), max(0, -left)
        piece = ink[begin[0] : begin[0] + place.shape[0], begin[1] : begin[1] + place.shape[1]]
        np.maximum(place, piece, out=place)
        return left, top, left + ink.shape[1], top + ink.shape[0]

    def line(self, upright: bool, at: float, thick: float, every: float | None = None) -> Floats:
        """Return the ink of a line across the whole picture, or of lines at equal distances.

        Args:
            at: where, in pixels from the left or the upper side.
        """
        distance = (self.along + self.width / 2 if upright else self.down + self.side / 2) - np.float32(at)
        if every:
            distance = (distance + np.float32(every / 2)) % np.float32(every) - np.float32(every / 2)
        return np.clip(np.float32(thick / 2 + 0.5) - np.abs(distance), 0, 1)

    def between(self, upright: bool, start: float, stop: float) -> Floats:
        """Return 1 between two such lines and 0 beyond them."""
        place = self.along + self.width / 2 if upright else self.down + self.side / 2
        return np.clip(np.minimum(place - np.float32(start), np.float32(stop) - place) + np.float32(0.5), 0, 1)

    def print_lines(self, lines: Floats, dark: float) -> None:
        """Print lines that take a share of the light."""
        np.maximum(self.printed, np.float32(dark) * lines, out=self.printed)

    def thickness(self, low: float = 0.008, high: float = 0.025) -> float:
        """Return the thickness of a printed line, a share of the picture's side but at least a pixel."""
        return max(1.0, self.side * self.generator.uniform(low, high))

    def print_border(self, side: int, share: float) -> None:
        """Print a line at a share of the picture from its left, upper, right or lower side (0 to 3)."""
        length = self.side if side % 2 else self.width
        line = self.line(side % 2 == 0, (share if side < 2 else 1 - share) * length, self.thickness())
        self.print_lines(line, self.dark * self.generator.uniform(0.55, 1.15))

    def print_squares(self, every: float, dark: float) -> None:
        """Print squares of a side in pixels."""
        thick = self.thickness(0.004, 0.012)
        for upright in (False, True):
            self.print_lines(self.line(upright, self.generator.uniform(0, every), thick, every), dark)

    def darken_corners(self) -> None:
        """Take 60 to 120 grey levels of the paper's from the light, more and more towards the corners."""
        x, y = self.generator.uniform(-0.15, 0.15, 2) * (self.width, self.side)
        away = np.hypot((self.x - np.float32(x)) / self.width, (self.y - np.float32(y)) / self.side)
        share = (away / away.max()) ** np.float32(self.generator.uniform(1.5, 4))
        self.light *= 1 - np.float32(self.generator.uniform(60, 120) / (255 * self.white)) * share

    def reflected(self) -> Floats:
        """Return the share of light that each place reflects."""
        return np.float32(self.white) * (1 - np.maximum(np.float32(self.dark) * self.ink, self.printed))

    def photo(self, reflected: Floats | None = None) -> Pixels:
        """Return what a camera sees: blurred, mostly noisy, often through JPEG."""
        generator = self.generator
        seen = 255 * (self.reflected() if reflected is None else reflected) * self.light
        seen = blurred(seen, generator.uniform(0.3, 1.0) * max(0.8, max(seen.shape) / 250))
        if generator.random() < 0.8:
            noise = generator.standard_normal(seen.shape, np.float32)
            seen += np.float32(generator.uniform(0.5, 4)) * noise
        return jpeg(grey(seen), int(generator.integers(40, 90))) if generator.random() < 0.6 else grey(seen)

    def scan(self) -> Pixels:
        """Return what a scanner sees in even light: sharp or a little blurred, clean or grainy."""
        generator = self.generator
        seen = 255 * self.reflected()
        if generator.random() < 0.4:
            seen = blurred(seen, generator.uniform(0.1, 0.35) * (self.box[3] - self.box[1]) / MNIST_HEIGHT)
        if generator.random() < 0.5:
            seen += np.float32(generator.uniform(0.5, 6)) * generator.standard_normal(seen.shape, np.float32)
        return grey(seen)


def sized(ink: Floats, height: int) -> Floats:
    """Return drawn ink at another height, float32, 0 to 1, with sharp edges."""
    width = max(1, round(ink.shape[1] * height / ink.shape[0]))
    size = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC))
    return size if height < ink.shape[0] else np.clip(2 * size - np.float32(0.5), 0, 1)


def _drawn(image: Pixels, pixels: int) -> Floats:
    """Return the digit without its margin, float32, 0 to 1, thickened or thinned by some pixels of 112."""
    large = np.pad(enlarged(image), 4)
    drawn = thinned(large, -pixels) if pixels < 0 else thickened(large, pixels)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    soft = np.asarray(Image.fromarray(drawn).filter(ImageFilter.GaussianBlur(1)))
    return soft[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / np.float32(255)


def _soft(image: Pixels) -> Floats:
    """Return the digit without its margin in MNIST's own greys, float32, 0 to 1, enlarged as in `_drawn`."""
    side = 4 * image.shape[0]
    large = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    rows, columns = (np.flatnonzero((large >= FAINTEST).any(axis=axis)) for axis in (1, 0))
    return large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / np.float32(255)
