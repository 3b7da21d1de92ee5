"""What colours and transparency show where brightness alone shows nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# How bright red, green and blue are (ITU-R BT.601), as Pillow has it.
LUMA = np.array([0.299, 0.587, 0.114])
# Greys within less than this, of 255, have hardly any contrast: colours are looked at.
FAINT = 24
# They tell more if they are at least this far apart, and this many times as far as the greys (√3 times is grey only).
COLOURFUL = 32
COLOURFUL_IN_GREYS = 3.0
# Looked at with this longest side, in pixels, or up to twice as much; means are of this many pixels squared at most.
SAMPLE_SIDE = 64
AVERAGED = 3
# Alpha from which on a pixel shows its own colour.
SOLID = 250
# What covers more than this share of the rectangle around it, and whose colours differ by this much, of 255, is a sheet
# with ink on it; so is what is bright and covers more than that share of the picture.
SHEET = 0.5
SHEET_RANGE = 64
BRIGHT_SHEET = 0.7


@dataclass(frozen=True)
class Ground:
    """What a transparent picture is to be laid onto.

    Attributes:
        name: in words.
        colour: red, green and blue, 0 to 255.
    """

    name: str
    colour: tuple[int, int, int]


WHITE = Ground("white", (255, 255, 255))
BLACK = Ground("black", (0, 0, 0))


def ground_of(image: Image.Image) -> Ground:
    """Return what is around the opaque part of a picture: more paper around a sheet, or what ink stands out from.

    Args:
        image: of mode RGBA.
    """
    box = image.getchannel("A").getbbox()
    if box is None:
        return WHITE
    sample = np.asarray(_stepped(image.crop(box), SAMPLE_SIDE)).reshape(-1, 4)
    colours, alpha = sample[:, :3], sample[:, 3]
    bright = float((colours @ LUMA - 127.5) @ alpha) > 0
    solid = colours[alpha >= SOLID]
    if solid.size:
        share = float(alpha.mean()) / 255
        covered = share * (box[2] - box[0]) * (box[3] - box[1]) / (image.width * image.height)
        inked = share > SHEET and int(np.ptp(solid, axis=0).max()) >= SHEET_RANGE
        if inked or (bright and covered > BRIGHT_SHEET):
            red, green, blue = (int(value) for value in np.median(solid, axis=0))
            return Ground("the paper's own colour", (red, green, blue))
    return BLACK if bright else WHITE


def is_faint(grey: Image.Image) -> bool:
    """Return whether a picture of mode L has hardly any contrast."""
    low, high = _averaged(grey).getextrema()
    return bool(high - low < FAINT)  # type: ignore[operator]


def told_apart(image: Image.Image) -> Image.Image | None:
    """Return as grey how far colours are along their principal axis, where that tells more than their brightness.

    Args:
        image: of mode RGB.

    Returns:
        Mode L, bright for what is most of the picture; or None.
    """
    sample = _averaged(image)
    colours = np.asarray(sample, np.float64).reshape(-1, 3)
    axis = np.linalg.eigh(np.cov(colours, rowvar=False, bias=True))[1][:, -1]
    along = colours @ axis
    low, high = float(along.min()), float(along.max())
    least = max(COLOURFUL, COLOURFUL_IN_GREYS * float(np.ptp(np.asarray(sample.convert("L")))))
    if high - low < least:
        return None
    if np.median(along) < (low + high) / 2:
        axis, low, high = -axis, -high, -low
    scale = min(1.0, 255 / (high - low))
    red, green, blue = (scale * float(part) for part in axis)
    return image.convert("L", (red, green, blue, 255 - scale * high))


def _averaged(image: Image.Image) -> Image.Image:
    """Return means of a picture, so that noise is no contrast; of some of its pixels, which is faster than of all."""
    some = _stepped(image, AVERAGED * SAMPLE_SIDE)
    return some.reduce(max(1, max(some.size) // SAMPLE_SIDE))


def _stepped(image: Image.Image, side: int) -> Image.Image:
    """Return pixels of a picture as they are, at even steps, so that the longest side is less than twice `side`."""
    factor = max(1, max(image.size) // side)
    width, height = (max(1, length // factor) for length in image.size)
    return image.resize((width, height), Image.Resampling.NEAREST) if factor > 1 else image
