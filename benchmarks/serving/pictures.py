"""Pictures as people send them, made of the sample digits: drawn on the page, scanned, photographed with a phone."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.archives import png
from training.drawing import enlarged, grey
from training.paper import Paper

DIGITS = Path(__file__).parents[2] / "events/digits"
# Of the page's sheet, as sheet.js has them.
_PAPER, _INK = "#fff", "#14130f"
_SHEET_SIDE, _DRAWN_SIDE = 400, 280
# A photo is made at this width, and enlarged.
_PHOTO_WIDTH = 400
# What paper in the light of a lamp reflects of red, green and blue.
_LAMPLIGHT = (1.0, 0.97, 0.9)
# Of a phone's sensor, in grey levels: with it a file of 4000x3000 pixels has about a megabyte.
_GRAIN = 2

type Size = tuple[int, int]  # width and height, in pixels


def digit(number: int) -> NDArray[np.uint8]:
    """Return a sample digit, uint8 (28, 28), ink bright."""
    return np.asarray(Image.open(DIGITS / f"{number}.png"))


def drawing() -> bytes:
    """Return a 7 drawn on the page's sheet: a PNG with colours, dark ink on white."""
    pen = Image.fromarray(enlarged(digit(7))).resize((_DRAWN_SIDE, _DRAWN_SIDE), Image.Resampling.BICUBIC)
    sheet, margin = Image.new("RGB", (_SHEET_SIDE, _SHEET_SIDE), _PAPER), (_SHEET_SIDE - _DRAWN_SIDE) // 2
    sheet.paste(_INK, (margin, margin), pen)
    return png(np.asarray(sheet))


def scan(number: int, size: Size, seed: int) -> bytes:
    """Return a scan of a digit: a grey PNG, with some seeds grainy."""
    paper = Paper(np.random.default_rng(seed), size=size)
    paper.write(digit(number))
    return png(paper.scan())


def phone_photo(size: Size) -> bytes:
    """Return a phone's photo of a 7 on a sheet of paper: a JPEG with colours and the sensor's grain."""
    generator = np.random.default_rng(1)
    width, height = size
    paper = Paper(generator, size=(_PHOTO_WIDTH, _PHOTO_WIDTH * height // width))
    paper.write(digit(7))
    sheet = np.asarray(Image.fromarray(paper.photo()).resize(size, Image.Resampling.BICUBIC))
    seen = sheet + np.float32(_GRAIN) * generator.standard_normal((height, width), np.float32)
    return jpeg(np.stack([grey(seen * np.float32(share)) for share in _LAMPLIGHT], axis=-1), 85)


def jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Return a picture, grey or in colours, as a file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()
