"""The canonical form: any picture of a digit as MNIST would have drawn it.

MNIST's own recipe (LeCun et al., 1998): ink bright on dark, the digit scaled with antialiasing so
that its longest side is 20 pixels, its centre of mass in the middle of 28x28. A network trained on
that form reads little else, so every path into the classifier passes here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import BlankImageError

VERSION = 1
SIDE = 28
INK_SIDE = 20
# Less contrast than this, of 255, is paper grain or compression noise, not ink.
MIN_CONTRAST = 24
# The outline of the digit is where its ink, stretched to 255, is at least this bright.
MIN_INK = 32


@dataclass(frozen=True)
class CanonicalImage:
    """What the network sees, and how it came about.

    Attributes:
        pixels: uint8 (28, 28), ink bright on dark.
        steps: what was done to the picture, in order; empty where it already was canonical.
    """

    pixels: NDArray[np.uint8]
    steps: tuple[str, ...]


def canonicalize(grey: NDArray[np.uint8]) -> CanonicalImage:
    """Bring a picture of one digit into canonical form.

    Args:
        grey: uint8 (height, width), either polarity.

    Raises:
        BlankImageError: the picture shows no ink.
    """
    steps: list[str] = []
    paper = int(np.median(_border(grey)))
    if paper > 127:
        grey, paper = 255 - grey, 255 - paper
        steps.append("inverted")
    if is_canonical(grey):
        return CanonicalImage(grey, tuple(steps))
    ink = _stretched(grey, paper)
    steps.append("contrast")
    cropped = _cropped(ink)
    steps.append(f"cropped to {cropped.shape[1]}x{cropped.shape[0]}")
    scaled = _scaled(cropped)
    steps.append(f"scaled to {scaled.shape[1]}x{scaled.shape[0]}")
    steps.append("centred")
    return CanonicalImage(_centred(scaled), tuple(steps))


def is_canonical(ink: NDArray[np.uint8]) -> bool:
    """Tell whether pixels, ink bright on dark, already have the form of MNIST.

    True of all 70,000 MNIST digits: 28x28, the longest side of the ink 19 or 20 pixels, the centre
    of mass within a pixel of the middle.
    """
    if ink.shape != (SIDE, SIDE) or not ink.any():
        return False
    rows, columns = _extent(ink > 0)
    longest = max(rows.stop - rows.start, columns.stop - columns.start)
    offset = np.abs(np.subtract(_centre_of_mass(ink), (SIDE - 1) / 2))
    return longest in (INK_SIDE - 1, INK_SIDE) and bool((offset <= 1).all())


def _border(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def _stretched(grey: NDArray[np.uint8], paper: int) -> NDArray[np.uint8]:
    above_paper = np.maximum(grey.astype(np.int16) - paper, 0)
    contrast = int(above_paper.max())
    if contrast < MIN_CONTRAST:
        raise BlankImageError("the image shows no digit: it is blank or has too little contrast")
    return (above_paper * (255 / contrast)).astype(np.uint8)


def _cropped(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ink[_extent(ink >= MIN_INK)]


def _scaled(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = ink.shape
    scale = INK_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS))


def _centred(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    centre = _centre_of_mass(ink)
    top, left = (
        int(np.clip(round(SIDE / 2 - 0.5 - position), 0, SIDE - side))
        for position, side in zip(centre, ink.shape, strict=True)
    )
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _centre_of_mass(ink: NDArray[np.uint8]) -> tuple[float, float]:
    weights = ink.astype(np.float64)
    total = weights.sum()
    return (
        float(weights.sum(axis=1) @ np.arange(ink.shape[0]) / total),
        float(weights.sum(axis=0) @ np.arange(ink.shape[1]) / total),
    )
