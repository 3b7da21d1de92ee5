"""How an MNIST digit is enlarged and drawn with another pen, and what pictures have in common."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter
from scipy.ndimage import gaussian_filter

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.float32]


def grey(values: NDArray[np.floating]) -> Pixels:
    """Round to grey levels, uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blurred(values: Floats, sigma: float) -> Floats:
    """Blur float32 (height, width) by a Gaussian of sigma pixels."""
    result: Floats = gaussian_filter(values, sigma, radius=math.ceil(3 * sigma))
    return result


def jpeg(picture: Pixels, quality: int) -> Pixels:
    """Return what JPEG leaves of a picture."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        return np.asarray(opened.convert("L"))


def enlarged(image: Pixels) -> Pixels:
    """Return the digit drawn sharply in 112x112 pixels, 0 or 255."""
    large = np.asarray(Image.fromarray(image).resize((112, 112), Image.Resampling.BICUBIC))
    return np.where(large >= 128, 255, 0).astype(np.uint8)


def thinned(large: Pixels, pixels: int) -> Pixels:
    """Take `pixels` off a drawn digit all round, but leave lines of three pixels wherever it had some."""
    drawn = Image.fromarray(large)
    lines = Image.fromarray(_skeleton(large).astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))
    return np.asarray(ImageChops.lighter(drawn.filter(ImageFilter.MinFilter(2 * pixels + 1)), lines))


def thickened(large: Pixels, pixels: int) -> Pixels:
    """Add `pixels` to a drawn digit all round; there must be room for them."""
    return np.asarray(Image.fromarray(large).filter(ImageFilter.MaxFilter(2 * pixels + 1)))


def _skeleton(drawn: Pixels) -> NDArray[np.bool_]:
    """Thin strokes to lines of one pixel (Zhang and Suen, 1984)."""
    ink = drawn > 0
    while True:
        before = int(ink.sum())
        for first in (True, False):
            ink &= ~_peeled(ink, first)
        if int(ink.sum()) == before:
            return ink


def _peeled(ink: NDArray[np.bool_], first: bool) -> NDArray[np.bool_]:
    """Return the rim pixels that one half step of Zhang and Suen removes."""
    padded = np.pad(ink, 1)
    height, width = ink.shape
    clockwise = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    around = np.stack([padded[row : row + height, column : column + width] for row, column in clockwise])
    count = around.sum(axis=0, dtype=np.uint8)
    beginnings = (~around & np.roll(around, -1, axis=0)).sum(axis=0, dtype=np.uint8)
    north, east, south, west = around[::2]
    kept = (east & south & (north | west)) if first else (north & west & (east | south))
    return ink & (count >= 2) & (count <= 6) & (beginnings == 1) & ~kept
