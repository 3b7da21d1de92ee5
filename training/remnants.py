"""What is no digit though it is made of digits: several, a part of one, one on its back, one with its frame.

Each drawing is a function of a random generator and digits; it returns ink, float32 (height, width), 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.dataset import Part

type Floats = NDArray[np.float32]
type Pen = Callable[[tuple[int, int, int, int]], None]

# Of which digits these sides, cut off, are no digit: the top half of a 0, but not the lower half of a 4, which is a 1.
_CUT: Mapping[int, str] = {0: "tb", 2: "blr", 3: "l", 4: "l", 5: "tblr", 6: "r", 7: "l", 8: "l", 9: "l"}
_MIRRORED = (3, 4, 6, 7, 9)
_QUARTER_TURNED = (2, 3, 4, 5, 6, 7, 8, 9)
_HALF_TURNED = (3, 4, 7)
# A frame's sides: all more often than some. Without a digit inside, one side is a 1, and top and right are a 7.
_FRAMES = ("lrtb", "lrtb", "lrt", "lrb", "ltb", "rtb", "lr", "tb", "lt", "lb", "rt", "rb", "l", "r", "t", "b")
_NO_DIGIT_ALONE = ("lrtb", "lrt", "lrb", "ltb", "lr", "tb")


def enlarged(image: NDArray[np.uint8], factor: float = 4) -> Floats:
    """Return the ink of an MNIST digit without its margin, smoothly enlarged: float32, 0 to 1."""
    rows, columns = (np.flatnonzero((image > 60).any(axis=axis)) for axis in (1, 0))
    digit = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    size = (max(2, round(digit.width * factor)), max(2, round(digit.height * factor)))
    return np.asarray(digit.resize(size, Image.Resampling.BICUBIC)).astype(np.float32) / np.float32(255)


def pair(generator: Generator, digits: Part) -> Floats:
    """Write two digits side by side, touching or not."""
    return _row(generator, digits, 2)


def triple(generator: Generator, digits: Part) -> Floats:
    """Write three digits side by side."""
    return _row(generator, digits, 3)


def fragment(generator: Generator, digits: Part) -> Floats:
    """Cut about half of a digit off, where what remains is none."""
    index, label = _one_of(generator, digits, tuple(_CUT))
    ink, share = enlarged(digits.images[index]), generator.uniform(0.4, 0.58)
    rows, columns = (round(side * share) for side in ink.shape)
    kept = {"t": ink[:rows], "b": ink[-rows:], "l": ink[:, :columns], "r": ink[:, -columns:]}
    return kept[str(generator.choice(list(_CUT[label])))]


def turned(generator: Generator, digits: Part) -> Floats:
    """Mirror or turn a digit, where what comes out is none."""
    way = generator.integers(4)
    labels = _MIRRORED if way == 0 else _HALF_TURNED if way == 1 else _QUARTER_TURNED
    ink = enlarged(digits.images[_one_of(generator, digits, labels)[0]])
    return (ink[:, ::-1], ink[::-1, ::-1], np.rot90(ink), np.rot90(ink, 3))[way]


def framed(generator: Generator, digits: Part) -> Floats:
    """Write a digit in a box or a cell, or on squared paper, of which lines are left; or leave out the digit."""
    digit = enlarged(digits.images[generator.integers(len(digits))])
    height = round(max(digit.shape) / generator.uniform(0.35, 0.85))
    width = max(round(height * generator.uniform(0.75, 1.4)), digit.shape[1] + 8)
    canvas = np.zeros((height + 20, width + 20), np.float32)
    empty = generator.random() < 0.15
    if not empty:
        top, left = (10 + generator.uniform(0, 1, 2) * np.subtract((height, width), digit.shape)).astype(int)
        _paste(canvas, digit, top, left)
    image = Image.fromarray((canvas * 255).astype(np.uint8))
    width, level = int(generator.integers(2, 9)), int(generator.integers(130, 256))
    pen: Pen = partial(ImageDraw.Draw(image).line, width=width, fill=level)
    if not empty and generator.random() < 0.17:
        _squares(pen, generator, image.size)
    else:
        sides = str(generator.choice(_NO_DIGIT_ALONE if empty else _FRAMES))
        _frame(pen, generator, (10, 10, width + 10, height + 10), sides)
    return np.asarray(image, np.float32) / np.float32(255)


def _frame(pen: Pen, generator: Generator, box: tuple[int, int, int, int], sides: str) -> None:
    left, top, right, bottom = box
    ends = {
        "l": (left, top, left, bottom),
        "r": (right, top, right, bottom),
        "t": (left, top, right, top),
        "b": (left, bottom, right, bottom),
    }
    for side in sides:
        x0, y0, x1, y1 = (int(place) for place in np.add(ends[side], generator.integers(-4, 5, 4)))
        pen((x0, y0, x1, y1))


def _squares(pen: Pen, generator: Generator, size: tuple[int, int]) -> None:
    """Draw the lines of squared paper, or of ruled."""
    width, height = size
    step, ruled = max(6, round(height * generator.uniform(0.18, 0.6))), generator.random() < 0.25
    for place in range(int(generator.integers(step)), max(size), step):
        pen((0, place, width, place + int(generator.integers(-4, 5))))
        if not ruled:
            pen((place, 0, place + int(generator.integers(-4, 5)), height))


def _row(generator: Generator, digits: Part, count: int) -> Floats:
    chosen = generator.integers(len(digits), size=count)
    parts = [enlarged(digits.images[index], 4 * generator.uniform(0.75, 1)) for index in chosen]
    height = max(part.shape[0] for part in parts)
    canvas = np.zeros((2 * height, sum(part.shape[1] for part in parts) + count * height), np.float32)
    left = height // 2
    for part in parts:
        top = (2 * height - part.shape[0]) // 2 + round(height * generator.uniform(-0.15, 0.15))
        _paste(canvas, part, top, left)
        left += part.shape[1] + round(height * generator.uniform(-0.15, 0.3))
    return canvas


def _paste(canvas: Floats, ink: Floats, top: int, left: int) -> None:
    place = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(place, ink, out=place)


def _one_of(generator: Generator, digits: Part, labels: tuple[int, ...]) -> tuple[int, int]:
    """Return the index and the label of a random digit with one of some labels."""
    label = int(generator.choice(labels))
    return int(generator.choice(np.flatnonzero(digits.labels == label))), label
