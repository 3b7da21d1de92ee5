"""The fifteen corruptions of MNIST-C, made anew from their description, at the severity of the published data set.

Norman Mu and Justin Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019. The published pictures were
made from the test digits with other libraries: figures are close to those on them, not the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

type Pixels = NDArray[np.uint8]
type Values = NDArray[np.float64]  # (28, 28), 0 to 1, ink bright
type Corruption = Callable[[Values, Generator], Values]

SIDE = 28
_ROWS, _COLUMNS = np.indices((SIDE, SIDE))


def picture(images: Pixels, name: str, index: int) -> Pixels:
    """Return one of some MNIST images with a corruption; the same arguments always give the same picture."""
    return corrupt(images[index], name, np.random.default_rng((zlib.crc32(name.encode()), index)))


def corrupt(image: Pixels, name: str, generator: Generator) -> Pixels:
    """Return an MNIST image, uint8 (28, 28), ink bright, with one of the corruptions."""
    return np.rint(255 * np.clip(CORRUPTIONS[name](image / 255, generator), 0, 1)).astype(np.uint8)


def shot_noise(image: Values, generator: Generator) -> Values:
    """Count photons, three at full brightness."""
    return generator.poisson(3 * image) / 3


def impulse_noise(image: Values, generator: Generator) -> Values:
    """Turn 17 % of the pixels black or white."""
    chance = generator.random(image.shape)
    return np.where(chance < 0.085, 0.0, np.where(chance < 0.17, 1.0, image))


def glass_blur(image: Values, generator: Generator) -> Values:
    """Blur, exchange pixels with their neighbours twice over, and blur again."""
    blurred = _blurred(image, 0.7)
    for _ in range(2):
        places = 1 + np.stack(np.divmod(generator.permutation((SIDE - 2) ** 2), SIDE - 2), axis=1)
        neighbours = places + generator.integers(-1, 1, places.shape, endpoint=True)
        exchanged = generator.random(len(places)) < 0.5
        for here, there in zip(places[exchanged].tolist(), neighbours[exchanged].tolist(), strict=True):
            blurred[*here], blurred[*there] = blurred[*there], blurred[*here]
    return _blurred(blurred, 0.7)


def motion_blur(image: Values, generator: Generator) -> Values:
    """Move the camera within 45 degrees of level; the trace fades with a standard deviation of 3 pixels."""
    angle = math.radians(generator.uniform(-45, 45))
    weights = np.exp(-(np.arange(10) ** 2) / (2 * 3**2))
    steps = (
        weight * _moved(image, index * math.sin(angle), index * math.cos(angle)) for index, weight in enumerate(weights)
    )
    traced: Values = np.stack(list(steps)).sum(axis=0) / weights.sum()
    return traced


def shear(image: Values, generator: Generator) -> Values:
    """Slant by 0.4 pixels a row."""
    return _transformed(image, ((1, 0), (0.4 * _sign(generator), 1)))


def scale(image: Values, _: Generator) -> Values:
    """Shrink to 0.7 of the size."""
    return _transformed(image, ((1 / 0.7, 0), (0, 1 / 0.7)))


def rotate(image: Values, generator: Generator) -> Values:
    """Turn by 0.4 radians."""
    sine, cosine = _sign(generator) * math.sin(0.4), math.cos(0.4)
    return _transformed(image, ((cosine, -sine), (sine, cosine)))


def brightness(image: Values, _: Generator) -> Values:
    """Brighten by half of the range."""
    return image + 0.5


def translate(image: Values, generator: Generator) -> Values:
    """Move by three pixels along both axes."""
    return _moved(image, 3 * _sign(generator), 3 * _sign(generator))


def stripe(image: Values, _: Generator) -> Values:
    """Invert the left and the right quarter."""
    return np.where((_COLUMNS < 7) | (_COLUMNS >= 21), 1 - image, image)


def fog(image: Values, generator: Generator) -> Values:
    """Add a plasma fractal of three times the digit's strength."""
    plasma, strength = np.zeros((4, 4)), 1.0
    for _ in range(6):  # a corner of a larger map: its features are larger than the picture, too
        plasma = ndimage.zoom(plasma, 2, order=1) + strength * generator.uniform(
            -1, 1, [2 * side for side in plasma.shape]
        )
        strength /= 1.4**2
    plasma = (plasma - plasma.min()) / np.ptp(plasma)
    fogged: Values = (image + 3 * plasma[:SIDE, :SIDE]) * image.max() / (image.max() + 3)
    return fogged


def spatter(image: Values, generator: Generator) -> Values:
    """Spatter dark mud over the digit."""
    drops = _blurred(generator.normal(0.65, 0.3, image.shape), 1) > 0.65
    mud = _blurred(drops.astype(np.float64), 1.5)
    mud[mud < 0.8] = 0
    return image * (1 - mud) + 63 / 255 * mud


def dotted_line(image: Values, generator: Generator) -> Values:
    """Draw a dotted line from the left border to the right."""
    start, end = generator.integers(0, 27, 2)
    line = _line(start + (end - start) * _COLUMNS / 27)
    return image + line * (_COLUMNS // 2 % 2)


def zigzag(image: Values, generator: Generator) -> Values:
    """Draw a zigzag line, its teeth 2 pixels high and 4 wide, across the digit."""
    start, rise = generator.integers(0, 27), generator.integers(-5, 5)
    along = _COLUMNS - 2.0
    teeth = 2 * np.abs((along + 2) % 8 / 2 - 2) - 2
    line = _line(start + rise * along / 23 - teeth)
    return image + line * ((_COLUMNS >= 2) & (_COLUMNS < 25))


def canny_edges(image: Values, _: Generator) -> Values:
    """Leave only edges (Canny, 1986): the ridges of the gradient above 0.1 that reach 0.2 somewhere."""
    smooth = _blurred(image, 1)
    down, right = ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)
    slope = np.hypot(down, right)
    step = np.stack([down, right]) / np.maximum(slope, 1e-9)
    before, after = (
        ndimage.map_coordinates(slope, np.stack([_ROWS, _COLUMNS]) + sign * step, order=1) for sign in (-1, 1)
    )
    edges, _count = ndimage.label((slope >= before) & (slope > after) & (slope > 0.1), np.ones((3, 3)))
    strong = np.unique(edges[(edges > 0) & (slope > 0.2)])
    return np.isin(edges, strong).astype(np.float64)


CORRUPTIONS: dict[str, Corruption] = {
    "shot noise": shot_noise,
    "impulse noise": impulse_noise,
    "glass blur": glass_blur,
    "motion blur": motion_blur,
    "shear": shear,
    "scale": scale,
    "rotate": rotate,
    "brightness": brightness,
    "translate": translate,
    "stripe": stripe,
    "fog": fog,
    "spatter": spatter,
    "dotted line": dotted_line,
    "zigzag": zigzag,
    "canny edges": canny_edges,
}


def _sign(generator: Generator) -> int:
    return int(generator.choice((-1, 1)))


def _blurred(image: Values, sigma: float) -> Values:
    result: Values = ndimage.gaussian_filter(image, sigma)
    return result


def _moved(image: Values, down: float, right: float) -> Values:
    result: Values = ndimage.shift(image, (down, right), order=1)
    return result


def _transformed(image: Values, matrix: tuple[tuple[float, float], tuple[float, float]]) -> Values:
    """Return the image seen through a matrix, from rows and columns to where they are taken, about the middle."""
    middle = np.full(2, (SIDE - 1) / 2)
    result: Values = ndimage.affine_transform(image, np.array(matrix), middle - np.array(matrix) @ middle, order=1)
    return result


def _line(rows: NDArray[np.floating]) -> Values:
    """Return a bright line through the given row of each column, which fades within 1.5 pixels above and below."""
    away = np.clip(np.abs(_ROWS - rows), 0, 2.29)
    return np.asarray(np.clip(np.log(1 - away / 2.3) + 1, 0, 1))
