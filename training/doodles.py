"""What is no digit, drawn: letters and signs by hand and in print, shapes, scribbles, textures, shadows, things.

Each drawing is a function of a random generator; it returns ink, float32 (height, width), 0 to 1.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from training import glyphs, pen
from training.pen import SIDE, Stroke

type Floats = NDArray[np.float32]

FONT_SIZE = 96
BUILT_IN = ""  # in place of a font's file: the font that Pillow has built in
_TURNED = ("triangle", "square", "rectangle", "diamond", "house", "arrow", "cross", "lightning", "asterisk")
_FILLED = ("triangle", "square", "rectangle", "diamond", "heart", "house", "moon", "cross", "cloud", "tree")


def written(generator: Generator, glyph: str, *, quivering: float = 0.03) -> Floats:
    """Write a glyph by hand."""
    strokes = pen.unsteady(glyphs.strokes(glyph), generator, quivering)
    turn = pen.slant(generator).T
    return pen.ink([stroke @ turn for stroke in strokes], generator.uniform(5, 19))


def written_otherwise(generator: Generator, glyph: str) -> Floats:
    """Write a glyph in another style: with a broad nib, whose width depends on the direction."""
    turn = pen.slant(generator, 6, (0.8, 1.2), 0.1).T
    strokes = [stroke @ turn for stroke in pen.unsteady(glyphs.strokes(glyph), generator, 0.015)]
    angle, reach = generator.uniform(0.3, 1.2), generator.uniform(0.02, 0.06)
    nib = np.array([math.cos(angle), -math.sin(angle)]) * reach
    return pen.ink(
        [*(each + nib for each in strokes), *strokes, *(each - nib for each in strokes)], generator.uniform(5, 9)
    )


def shape(generator: Generator, name: str) -> Floats:
    """Draw a shape, some of them filled or turned."""
    glyph = str(generator.choice(glyphs.SHAPES[name]))
    filled = name in _FILLED and generator.random() < 0.5
    exact = filled or generator.random() < 0.3
    strokes = list(glyphs.strokes(glyph)) if exact else pen.unsteady(glyphs.strokes(glyph), generator)
    turn = pen.slant(generator, 180 if name in _TURNED else 12, (0.75, 1.3)).T
    return pen.ink([stroke @ turn for stroke in strokes], generator.uniform(4, 16), filled=filled)


def star(generator: Generator) -> Floats:
    """Draw a star or a polygon; more than five corners only filled, or they are a 0."""
    corners, pointed = int(generator.integers(3, 9)), generator.random() < 0.5
    angles = np.linspace(0, 2 * math.pi, (2 if pointed else 1) * corners + 1) - math.pi / 2
    reach = np.ones(len(angles))
    if pointed:
        reach[1::2] = generator.uniform(0.35, 0.7)
    outline = np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1)
    filled = generator.random() < 0.6 or (not pointed and corners > 5)
    turn = pen.slant(generator, 180, (0.75, 1.3)).T
    return pen.ink([outline @ turn], generator.uniform(2, 10), filled=filled)


def scribble(generator: Generator) -> Floats:
    """Draw lines that mean nothing; too many for a digit."""
    points = list(generator.integers(2, 8, generator.integers(1, 5)))
    if len(points) == 1:
        points = [max(6, *points)]
    strokes = [generator.uniform(0, 1, (count, 2)) for count in points]
    curves = [pen.smooth(stroke) if generator.random() < 0.6 else stroke for stroke in strokes]
    return pen.ink([curve @ pen.slant(generator).T for curve in curves], generator.uniform(4, 18))


def printed(generator: Generator, signs: str, files: Sequence[str] = (BUILT_IN,), longest: int = 1) -> Floats:
    """Print a sign, or a word, in a font, a little turned and slanted."""
    length = 1 if longest == 1 or generator.random() < 0.8 else int(generator.integers(2, longest + 1))
    text = "".join(generator.choice(list(signs), length))
    font = _font(str(generator.choice(list(files))))
    image = Image.new("L", (SIDE + FONT_SIZE * (length - 1), SIDE + 30))
    ImageDraw.Draw(image).text((24, 16), text, fill=255, font=font, stroke_width=int(generator.integers(0, 5)))
    if generator.random() < 0.7:
        image = _warped(image, np.linalg.inv(pen.slant(generator, 8, (0.8, 1.2), 0.15)))
    return np.asarray(image, np.float32) / np.float32(255)


def texture(generator: Generator) -> Floats:
    """Return spots, a chessboard, or stripes."""
    kind = generator.integers(3)
    if kind == 0:
        noise = _noise(generator, generator.uniform(1.5, 14))
        return (noise > np.quantile(noise, generator.uniform(0.4, 0.85))).astype(np.float32)
    if kind == 1:
        squares = np.indices((SIDE, SIDE)) // int(generator.integers(8, 40))
        return (squares.sum(axis=0) % 2).astype(np.float32)
    waves = np.sin(_across(generator) * (2 * math.pi / generator.uniform(8, 50)) + generator.uniform(0, 6))
    return (waves > generator.uniform(-0.3, 0.7)).astype(np.float32)


def shadow(generator: Generator) -> Floats:
    """Return what uneven light leaves of an empty sheet: blots, dark corners, half of the picture, an arc."""
    noise = _noise(generator, generator.uniform(4, 14))
    uneven = (noise - noise.mean()) / (noise.std() + 1e-3)
    rows, columns = np.indices((SIDE, SIDE), np.float32) - SIDE / 2
    kind = generator.integers(4)
    if kind == 0:
        narrow, wide = generator.uniform(25, 60, 2)
        return np.clip(uneven + 1 - (rows / narrow) ** 2 - (columns / wide) ** 2, 0, 1).astype(np.float32)
    softness = generator.uniform(1, 30)
    if kind == 1:  # corners or the whole rim, darker with the distance from somewhere near the middle
        centre = generator.uniform(-40, 40, 2)
        far = np.hypot(rows - centre[0], (columns - centre[1]) * generator.uniform(0.7, 1.4))
        return _stepped(far - generator.uniform(65, 95) + 3 * uneven, softness)
    if kind == 2:
        return _stepped(_across(generator) - generator.uniform(-30, 20) + 3 * uneven, softness)
    far = np.hypot(rows, columns - generator.uniform(-90, 0)) + 3 * uneven
    arc = np.abs(far - generator.uniform(40, 80)) - generator.uniform(6, 18)
    return _stepped(-arc, softness / 3)


def thing(generator: Generator) -> Floats:
    """Return the silhouette of some object: what is solid, with some lines, perhaps in several greys."""
    image = Image.new("L", (SIDE, SIDE))
    brush, grey = ImageDraw.Draw(image), generator.random() < 0.5
    for _ in range(generator.integers(2, 8)):
        kind, level = generator.integers(3), int(generator.integers(90, 256)) if grey else 255
        spots = generator.uniform(14, SIDE - 14, (int(generator.integers(3, 6)), 2))
        if kind == 0:
            (left, top), (right, bottom) = spots.min(axis=0), spots.max(axis=0)
            brush.ellipse((left, top, right, bottom), fill=level)
        else:
            pen.trace(brush, spots, generator.uniform(3, 16), filled=kind == 1, level=level)
    return np.asarray(image, np.float32) / np.float32(255)


def long_thing(generator: Generator) -> Floats:
    """Draw the outline of something long with a point, as of a pencil or a knife, and lines across it."""
    half, tip, end = generator.uniform(0.07, 0.13), generator.uniform(0.1, 0.35), generator.uniform(-0.05, 0.15)
    upper = np.array([(0, generator.uniform(0, half / 3)), (tip, half), (1 - max(0, end), half), (1, half * (end < 0))])
    outline: Stroke = np.concatenate([upper, upper[::-1] * (1, -1), upper[:1]])
    places = generator.choice([tip / 3, tip, 0.7, 0.8, 0.9], int(generator.integers(1, 5)), replace=False)
    across = [np.array([(place, -1), (place, 1)]) * (1, half * min(1, place / tip)) for place in places]
    turn = pen.slant(generator, 180, (0.75, 1.3)).T
    thickness = generator.uniform(2, 60 * half)  # with more it is a 1
    return pen.ink([stroke @ turn for stroke in (outline, *across)], thickness)


def disc(generator: Generator) -> Floats:
    """Draw a filled disc or ellipse."""
    circle: Stroke = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], axis=1)
    return pen.ink([circle @ pen.slant(generator, 90, (0.65, 1)).T], generator.uniform(2, 6), filled=True)


def fonts_of_matplotlib(*names: str) -> tuple[str, ...]:
    """Return the files of fonts that the package matplotlib brings."""
    package = importlib.util.find_spec("matplotlib")
    folder = Path(str(package and package.origin)).parent / "mpl-data/fonts/ttf"
    return tuple(str(folder / f"{name}.ttf") for name in names)


_CIRCLE = np.linspace(0, 2 * math.pi, 40)


@cache
def _font(file: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.truetype(file, FONT_SIZE) if file else ImageFont.load_default(FONT_SIZE)


def _warped(image: Image.Image, source: NDArray[np.float64]) -> Image.Image:
    middle = np.array([image.width, image.height]) / 2
    away = middle - source @ middle
    (a, b), (c, d) = source.tolist()
    coefficients = (a, b, float(away[0]), c, d, float(away[1]))
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)


def _noise(generator: Generator, sigma: float) -> Floats:
    grains = Image.fromarray(generator.integers(0, 256, (SIDE, SIDE), np.uint8))
    return np.asarray(grains.filter(ImageFilter.GaussianBlur(sigma)), np.float32)


def _across(generator: Generator) -> Floats:
    """Return the distance from the middle in a random direction, in pixels."""
    rows, columns = np.indices((SIDE, SIDE), np.float32) - SIDE / 2
    angle = generator.uniform(0, 2 * math.pi)
    return (columns * math.cos(angle) + rows * math.sin(angle)).astype(np.float32)


def _stepped(distance: Floats, softness: float) -> Floats:
    return np.clip(distance / softness + 0.5, 0, 1).astype(np.float32)
