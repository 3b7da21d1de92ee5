"""Photographs of digits, as a camera makes them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from tests import events
from training.distortions import ROWS


def photo(digit: int, side: int) -> bytes:
    """A photograph of a sheet of paper, as JPEG."""
    pixels = np.asarray(Image.open(io.BytesIO(events.digit_file(digit))))
    distorted = Image.fromarray(ROWS["photo"].distort(pixels, np.random.default_rng(3)))
    return encoded(distorted.convert("RGB").resize((side, side)), "JPEG", quality=95)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grainy_photo(digit: int, side: int) -> bytes:
    """A photograph in bad light, whose grain makes the file large."""
    pixels = np.asarray(Image.open(io.BytesIO(photo(digit, side)))).astype(int)
    grain = np.random.default_rng(1).integers(-30, 30, (side, side, 1))
    return encoded(Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)), "JPEG", quality=95)


def turned(file: bytes) -> bytes:
    """The same photograph by a camera that was held upright: a tag tells how to turn it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees
    return encoded(Image.open(io.BytesIO(file)).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
