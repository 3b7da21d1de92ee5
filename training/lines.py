"""Lines of digits in arrays, and those that a reader learns from: drawn once for a data set, and kept."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from digits.model.identity import sha256
from training import glyphs, kept, line_drawing, pen
from training.line_drawing import Line, Source, draw_line
from training.processes import mapped
from training.provenance import sources_sha256

type Pixels = NDArray[np.uint8]

_SEED = 1


@dataclass(frozen=True)
class Lines:
    """Lines of different widths.

    Attributes:
        columns: the lines beside each other: uint8 (sum of widths, 32).
        widths: int (n,).
        labels: the digits of all lines: uint8 (sum of lengths,).
        lengths: int (n,).
        middles: the columns of the digits' middles: float32 (sum of lengths,).
    """

    columns: Pixels
    widths: NDArray[np.intp]
    labels: NDArray[np.uint8]
    lengths: NDArray[np.intp]
    middles: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.widths)

    @classmethod
    def of(cls, drawn: Sequence[Line]) -> Self:
        """Return lines in arrays."""
        return cls(
            columns=np.concatenate([line.pixels.T for line in drawn]),
            widths=np.array([line.pixels.shape[1] for line in drawn]),
            labels=np.array([digit for line in drawn for digit in line.labels], np.uint8),
            lengths=np.array([len(line.labels) for line in drawn]),
            middles=np.array([middle for line in drawn for middle in line.middles], np.float32),
        )

    @classmethod
    def of_texts(cls, drawn: Sequence[tuple[Pixels, str]]) -> Self:
        """Return lines of which only the digits are known, and not where they are."""
        return cls.of([Line(pixels, [int(digit) for digit in text], [math.nan] * len(text)) for pixels, text in drawn])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, to be kept."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the lines whose arrays were kept; a `KeyError` says that they were not."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @cached_property
    def _starts(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.cumsum(self.widths) - self.widths, np.cumsum(self.lengths) - self.lengths

    def image(self, index: int) -> Pixels:
        """Return a line, uint8 (32, width)."""
        start = self._starts[0][index]
        return self.columns[start : start + self.widths[index]].T

    def text(self, index: int) -> NDArray[np.uint8]:
        """Return the digits of a line."""
        return self.labels[self._digits(index)]

    def middles_of(self, index: int) -> NDArray[np.float32]:
        """Return the columns of their middles."""
        return self.middles[self._digits(index)]

    def _digits(self, index: int) -> slice:
        start = self._starts[1][index]
        return slice(start, start + self.lengths[index])


def training_lines(source: Source, count: int, kept_in: Path, say: Callable[[str], None] = lambda _: None) -> Lines:
    """Return the lines that a reader learns from.

    Args:
        source: what they are made of.
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
    """
    path = kept_in / f"{_digest(source, count)}.npz"
    stored = kept.read(path)
    if stored is not None:
        with suppress(KeyError):
            return Lines.of_arrays(stored)
    say(f"reader: drawing {count:,} lines of digits, once for this data set")
    lines = Lines.of(mapped(partial(_drawn, source), count))
    kept.write(path, lines.arrays(), lambda reason: say(f"reader: not kept for the next time: {reason}"))
    return lines


def _drawn(source: Source, number: int) -> Line:
    return draw_line(source, np.random.default_rng((_SEED, number)))


def _digest(source: Source, count: int) -> str:
    """Return the name of a kept result: a digest of the digits and of the code that makes it."""
    modules = (sys.modules[__name__], line_drawing, glyphs, pen)
    code = sources_sha256(*(Path(str(module.__file__)) for module in modules))
    versions = " ".join(version(package) for package in ("numpy", "pillow"))
    digits = f"{source.digits.sha256()} {source.unusual.sha256()} {sha256(source.outliers.tobytes())}"
    return sha256(f"lines {digits} {count} {code} {versions}".encode())[:16]
