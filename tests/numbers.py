"""Pictures of numbers, made of real digits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.dataset import Part, load_subset

type Pixels = NDArray[np.uint8]
PAPER, INK = 235, 35


@cache
def _digits() -> Part:
    return load_subset().holdout


def digit(label: int, scale: int = 2) -> Pixels:
    """Return a digit of the holdout without its margin, ink bright."""
    part = _digits()
    image = part.images[int(np.flatnonzero(part.labels == label)[0])]
    columns, lines = (np.flatnonzero(image.any(axis=axis)) for axis in (0, 1))
    cut = image[lines[0] : lines[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(Image.fromarray(cut).resize((cut.shape[1] * scale, cut.shape[0] * scale)))


def write(page: Pixels, text: str, corner: tuple[int, int], gap: int = 14, scale: int = 2) -> None:
    """Write a number onto a page."""
    x, top = corner
    for character in text:
        ink = digit(int(character), scale).astype(np.uint16)
        place = page[top : top + ink.shape[0], x : x + ink.shape[1]]
        place[:] = np.minimum(place, PAPER - ink * (PAPER - INK) // 255)
        x += ink.shape[1] + gap


def written(rows: Sequence[str], gap: int = 14, pitch: int = 60, scale: int = 2) -> Pixels:
    """Write rows in dark ink, each below the other."""
    width = 20 + max(len(row) for row in rows) * (28 * scale // 2 + gap + 12)
    page = np.full((pitch * len(rows) + 20, width), PAPER, np.uint8)
    for number, row in enumerate(rows):
        write(page, row, (12, 10 + number * pitch), gap, scale)
    return page


# Of `form`, by name: left, top, width and height in pixels, and what is written into it.
FIELDS = {
    "year": ((60, 80, 260, 64), "2026"),
    "zip": ((60, 200, 340, 64), "50318"),
    "empty": ((460, 80, 200, 64), ""),
    "mark": ((460, 200, 90, 64), "7"),
}


def form(degrees: float = 0, shift: tuple[int, int] = (0, 0)) -> Pixels:
    """Return a form with framed fields, turned and shifted as a scanner leaves it."""
    page = np.full((400, 800), PAPER, np.uint8)
    image = Image.fromarray(page)
    drawing = ImageDraw.Draw(image)
    for (left, top, width, height), _ in FIELDS.values():
        drawing.rectangle((left, top, left + width, top + height), outline=90, width=2)
    page = np.asarray(image).copy()
    for (left, top, _, _), text in FIELDS.values():
        write(page, text, (left + 16, top + 12))
    turned = Image.fromarray(page).rotate(degrees, Image.Resampling.BICUBIC, translate=shift, fillcolor=PAPER)
    return np.asarray(turned)


def png(pixels: Pixels) -> bytes:
    """Return a picture as a file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
