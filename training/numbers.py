"""Pictures of numbers that a reader is judged by: drawn once of a part's digits, on one sheet or another, and kept.

They go the whole way that a request's picture goes. Nothing of them is learned from.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from digits.errors import ImageError
from digits.model.identity import sha256
from digits.pictures.rows import LINE_HEIGHT, find_rows
from training import drawing, glyphs, kept, paper, pen
from training.dataset import Part
from training.drawing import Floats, Pixels
from training.paper import Paper
from training.processes import mapped
from training.provenance import canonical_form_sha256

PICTURES_PER_KIND = 200
DIGITS_PER_PICTURE = 10  # or a small part's digits would be seen again and again
MOST_DIGITS = 8
NO_NUMBER = "no number"
_UPRIGHT = 112  # the height of a digit before it is sized, in pixels


class _Text:
    """Digits beside each other, before they are on paper: places in heights of a digit."""

    def __init__(self, part: Part, generator: Generator, gaps: tuple[float, float], length: int | None = None) -> None:
        length = length or int(generator.integers(1, MOST_DIGITS + 1))
        self.generator, self.gaps = generator, gaps
        self.indices = generator.integers(0, len(part), length)
        self.images = part.images[self.indices]
        self.text = "".join(map(str, part.labels[self.indices]))

    def write(self, sheet: Paper, x: float, y: float, height: float) -> float:
        """Write them with one pen, the first at (x, y), and return where the last one ends."""
        size, before = height * self.generator.uniform(0.9, 1.0), 0
        for number, image in enumerate(self.images):
            ink = sheet.pen(image, size * self.generator.uniform(0.92, 1.08))
            if number:
                gap = self.generator.uniform(*self.gaps) * height
                x += max(gap, -0.5 * min(before, ink.shape[1]))
            _, _, x, _ = sheet.put(ink, x, y + (height - ink.shape[0]) / 2 + self.generator.normal(0, 0.05) * height)
            before = ink.shape[1]
        return x

    def width(self, sheet: Paper, height: float) -> float:
        """Return how wide they are at most."""
        widths = sum(sheet.pen(image, _UPRIGHT).shape[1] for image in self.images) * height / _UPRIGHT
        return 1.1 * widths + max(0.0, self.gaps[1]) * height * (len(self.images) - 1)


SEPARATED, TOUCHING = (0.1, 0.5), (-0.2, 0.0)


def separated(part: Part, generator: Generator) -> tuple[Pixels, str]:
    """Scan a number whose digits are apart."""
    sheet, text = _written(part, generator, SEPARATED, own_pen=True)
    return sheet.scan(), text


def touching(part: Part, generator: Generator) -> tuple[Pixels, str]:
    """Scan a number whose digits touch or overlap, by up to half of the narrower one."""
    sheet, text = _written(part, generator, TOUCHING, own_pen=True)
    return sheet.scan(), text


def in_cells(part: Part, generator: Generator) -> tuple[Pixels, str]:
    """Write a number into printed cells, one digit or two in each: boxes, a table's row or a comb."""
    text = _Text(part, generator, (0.05, 0.3))
    height = generator.uniform(18, 70)
    high, in_cell = height * generator.uniform(1.25, 1.9), 2 if generator.random() < 0.25 else 1
    wide = height * in_cell * generator.uniform(1.1, 1.7)
    cells = -(-len(text.images) // in_cell)
    margin = generator.uniform(0.04, 0.6) * height
    size = math.ceil(cells * wide + 2 * margin), math.ceil(high + 2 * margin)
    sheet = Paper(generator, size=size)
    for number, image in enumerate(text.images):
        cell, place = divmod(number, in_cell)
        ink = sheet.pen(image, height * generator.uniform(0.85, 1.0), 0.8 * wide / in_cell)
        free = wide / in_cell - ink.shape[1], high - ink.shape[0]
        x, y = np.array(free) * (0.5 + generator.uniform(-0.25, 0.25, 2))
        sheet.put(ink, margin + cell * wide + place * wide / in_cell + x, margin + y)
    thick, dark = max(1.0, height * generator.uniform(0.02, 0.06)), sheet.dark * generator.uniform(0.5, 1.15)
    kind = str(generator.choice(("boxes", "row", "comb")))
    beside = sheet.between(True, margin - thick / 2, margin + cells * wide + thick / 2) if kind != "row" else 1
    low = margin + (generator.uniform(0.3, 0.7) * high if kind == "comb" else 0)
    beneath = sheet.between(False, low - thick / 2, margin + high + thick / 2)
    sheet.print_lines(sheet.line(False, margin + high, thick) * beside, dark)
    if kind != "comb":
        sheet.print_lines(sheet.line(False, margin, thick) * beside, dark)
    for cell in range(cells + 1):
        sheet.print_lines(sheet.line(True, margin + cell * wide, thick) * beneath, dark)
    return sheet.photo(), text.text


def ruled(part: Part, generator: Generator) -> tuple[Pixels, str]:
    """Write a number on rulings or squares."""
    sheet, text = _written(part, generator, (0.05, 0.5))
    height = sheet.box[3] - sheet.box[1]
    dark = sheet.dark * generator.uniform(0.35, 0.9)
    if generator.random() < 0.4:
        sheet.print_squares(generator.uniform(0.3, 0.7) * height, dark)
    else:
        every, thick = generator.uniform(0.6, 1.4) * height, max(1.0, height * generator.uniform(0.015, 0.05))
        sheet.print_lines(sheet.line(False, generator.uniform(0, every), thick, every), dark)
    return sheet.photo(), text


def photographed(part: Part, generator: Generator) -> tuple[Pixels, str]:
    """Photograph a number: aslant, in a shadow or with dark corners."""
    sheet, text = _written(part, generator, (0.02, 0.5), degrees=6)
    if generator.random() < 0.5:
        sheet.darken_corners()
    else:
        across, _ = sheet.turned(generator.uniform(0, 2 * math.pi))
        distance = across / sheet.side - generator.uniform(-0.25, 0.3)
        inside = 1 / (1 + np.exp(np.clip(-distance / generator.uniform(0.02, 0.2), -30, 30)))
        sheet.light *= (1 - generator.uniform(0.2, 0.5) * inside).astype(np.float32)
    return sheet.photo(), text


def page(part: Part, generator: Generator) -> tuple[Pixels, str]:
    """Write some rows below each other, on plain or ruled paper, a little aslant."""
    height, rows = generator.uniform(18, 50), int(generator.integers(2, 6))
    gaps = (0.05, 0.5) if generator.random() < 0.7 else (-0.1, 0.3)
    texts = [_Text(part, generator, gaps, int(generator.integers(2, MOST_DIGITS + 1))) for _ in range(rows)]
    pitch = height * generator.uniform(1.5, 2.4)
    left, top, right, bottom = height * generator.uniform(0.3, 1.2, 4)
    size = (
        _room(left + right + MOST_DIGITS * (0.8 + gaps[1]) * height),
        _room(top + bottom + height + (rows - 1) * pitch),
    )
    sheet = Paper(generator, size=size)
    for number, text in enumerate(texts):
        text.write(sheet, left + generator.uniform(0, 0.3) * height, top + number * pitch, height)
    if generator.random() < 0.4:
        thick = max(1.0, height * generator.uniform(0.02, 0.05))
        sheet.print_lines(
            sheet.line(False, top + 1.12 * height, thick, pitch), sheet.dark * generator.uniform(0.3, 0.9)
        )
    if generator.random() < 0.5:
        degrees = generator.uniform(-3, 3)
        sheet.ink, sheet.printed = _turned(sheet.ink, degrees), _turned(sheet.printed, degrees)
    return sheet.photo(), "\n".join(text.text for text in texts)


def no_number(_: Part, generator: Generator) -> tuple[Pixels, str]:
    """Write letters, signs or shapes, a few in a row."""
    count, height = int(generator.integers(1, 7)), generator.uniform(18, 70)
    sheet = Paper(generator, size=(_room((0.6 + 1.1 * count) * height), _room(height * generator.uniform(1.3, 2.5))))
    kinds = (glyphs.LETTERS, glyphs.LETTERS, glyphs.SIGNS, glyphs.SHAPES, glyphs.TICKS)
    ways = list(kinds[generator.integers(len(kinds))].values())
    x, slant, width = 0.3 * height, pen.slant(generator), generator.uniform(4, 14)
    for _number in range(count):
        choice = ways[generator.integers(len(ways))]
        strokes = pen.unsteady(glyphs.strokes(str(generator.choice(choice))), generator)
        ink = pen.ink([stroke @ slant.T for stroke in strokes], width)
        rows, columns = (np.flatnonzero((ink > 0).any(axis=axis)) for axis in (1, 0))
        cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        scale = height * generator.uniform(0.7, 1.0) / pen.REACH
        size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
        letter = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC))
        y = (sheet.side - letter.shape[0]) / 2
        x = sheet.put(letter, x, y)[2] + generator.uniform(0.05, 0.4) * height
    return sheet.photo(), ""


type Drawing = Callable[[Part, Generator], tuple[Pixels, str]]
KINDS: dict[str, Drawing] = {
    "separated": separated,
    "touching": touching,
    "in cells": in_cells,
    "ruled": ruled,
    "photographed": photographed,
    "page": page,
    NO_NUMBER: no_number,
}


@dataclass(frozen=True)
class Numbers:
    """Pictures of one kind, as the lines that were found in them.

    Attributes:
        texts: what they show: n strings, a line for each row; empty where there is no number.
        columns: all lines beside each other: uint8 (sum of widths, 32).
        widths: int (m,).
        counts: how many lines each picture has: int (n,), m in all.
    """

    texts: NDArray[np.str_]
    columns: Pixels
    widths: NDArray[np.intp]
    counts: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, read: list[tuple[str, list[Pixels]]]) -> Self:
        """Return texts and lines in arrays."""
        lines = [line for _, found in read for line in found]
        return cls(
            texts=np.array([text for text, _ in read]),
            columns=np.concatenate([line.T for line in lines] or [np.zeros((0, LINE_HEIGHT), np.uint8)]),
            widths=np.array([line.shape[1] for line in lines], np.intp),
            counts=np.array([len(found) for _, found in read], np.intp),
        )

    def pictures(self) -> list[tuple[str, list[Pixels]]]:
        """Return each picture's text and lines, uint8 (32, width)."""
        lines = np.split(self.columns, np.cumsum(self.widths)[:-1]) if len(self.widths) else []
        ends = np.cumsum(self.counts)
        return [
            (str(text), [line.T for line in lines[end - count : end]])
            for text, count, end in zip(self.texts, self.counts, ends, strict=True)
        ]


def number_pictures(
    part: Part, kept_in: Path, say: Callable[[str], None] = lambda _: None, count: int | None = None
) -> dict[str, Numbers]:
    """Return pictures of numbers, made out of a part's digits, by kind.

    Args:
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
        count: of each kind; where it is None, `PICTURES_PER_KIND`, or fewer of a small part.
    """
    size = count or min(PICTURES_PER_KIND, -(-len(part) // DIGITS_PER_PICTURE))
    path = kept_in / f"{_digest(part, size)}.npz"
    stored = kept.read(path)
    if stored is not None:
        with suppress(KeyError):
            return {kind: _of_arrays(stored, kind) for kind in KINDS}
    total = size * len(KINDS)
    say(f"numbers: drawing {total:,} pictures of them, once for this data set")
    read = mapped(partial(_found, part, size), total, worthwhile=100)
    made = {kind: Numbers.of(read[number * size : (number + 1) * size]) for number, kind in enumerate(KINDS)}
    arrays = {f"{kind}/{name}": array for kind, numbers in made.items() for name, array in vars(numbers).items()}
    kept.write(path, arrays, lambda reason: say(f"numbers: not kept for the next time: {reason}"))
    return made


def pictures_sha256(numbers: Mapping[str, Numbers]) -> str:
    """Return the digest of all texts and lines."""
    return sha256(b"".join(each.columns.tobytes() + "|".join(each.texts).encode() for each in numbers.values()))


def picture(part: Part, kind: str, index: int) -> tuple[Pixels, str]:
    """Return a picture of a kind and what it shows; the same arguments always give the same picture."""
    return KINDS[kind](part, np.random.default_rng((list(KINDS).index(kind), index)))


def _of_arrays(arrays: Mapping[str, NDArray[Any]], kind: str) -> Numbers:
    return Numbers(**{name: arrays[f"{kind}/{name}"] for name in ("texts", "columns", "widths", "counts")})


def _found(part: Part, size: int, number: int) -> tuple[str, list[Pixels]]:
    kind, index = divmod(number, size)
    drawn, text = picture(part, list(KINDS)[kind], index)
    try:
        return text, [row.pixels for row in find_rows(drawn).rows]
    except ImageError:
        return text, []


def _written(
    part: Part, generator: Generator, gaps: tuple[float, float], *, own_pen: bool = False, degrees: float = 0
) -> tuple[Paper, str]:
    """Return a sheet with a number somewhere on it.

    Args:
        own_pen: whether the digits keep MNIST's pens.
        degrees: by how much they may be written aslant.
    """
    text, height = _Text(part, generator, gaps), generator.uniform(18, 80)
    probe = Paper(generator, size=(paper.LEAST, paper.LEAST))
    left, top, right, bottom = height * generator.uniform(0.15, 1.2, 4)
    size = _room(text.width(probe, height) + left + right), _room(height + top + bottom)
    fall = math.tan(math.radians(degrees)) * size[0] / 2
    sheet = Paper(generator, size=(size[0], _room(size[1] + 2 * fall)))
    sheet.pixels = None if own_pen else sheet.pixels
    top += fall
    end = text.write(sheet, left, top, height)
    sheet.box = left, top, end, top + height
    if degrees:
        sheet.ink = _turned(sheet.ink, generator.uniform(-degrees, degrees))
    return sheet, text.text


def _room(side: float) -> int:
    return max(24, math.ceil(side))


def _turned(ink: Floats, degrees: float) -> Floats:
    """Return ink that was written aslant."""
    return np.asarray(Image.fromarray(ink).rotate(degrees, Image.Resampling.BICUBIC))


def _digest(part: Part, size: int) -> str:
    """Return the name of a kept result: a digest of the digits and of the code that makes it."""
    code = canonical_form_sha256(sys.modules[__name__], drawing, glyphs, paper, pen)
    versions = " ".join(version(package) for package in ("numpy", "pillow", "scipy"))
    return sha256(f"numbers {part.sha256()} {size} {code} {versions}".encode())[:16]
