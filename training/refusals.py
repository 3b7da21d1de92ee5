"""What judges whether a model can say no: outliers by family, blank sheets, and several digits beside each other."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from numpy.random import Generator
from numpy.typing import NDArray

from digits.model.identity import sha256
from training import blanks, drawing, forms, kept, paper, scenes
from training.blanks import BLANKS
from training.dataset import Part
from training.forms import Forms, bring_all
from training.outliers import FAMILIES, outlier_digits
from training.provenance import canonical_form_sha256

BLANK_SHEETS = "blank sheets"
SEVERAL_DIGITS = "several digits"
PICTURES_PER_KIND = 200  # for training and promotion


def judging_outliers(part: Part, kept_in: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Forms]:
    """Return pictures that must be refused, as many of each family of outliers as blank sheets and several digits.

    Args:
        part: its digits are what some of them are made out of; another part has other pictures throughout.
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
    """
    outliers = outlier_digits(part, PICTURES_PER_KIND * len(FAMILIES), _seed(part), kept_in, say, judging=True)
    families = {name: Forms.plain(outliers.images[outliers.family == name]) for name in FAMILIES}
    return families | refused_pictures(part, PICTURES_PER_KIND, kept_in, say)


def refused_pictures(
    part: Part, count: int, kept_in: Path, say: Callable[[str], None] = lambda _: None
) -> dict[str, Forms]:
    """Return so many blank sheets and pictures of several digits, in canonical form; arguments as above."""
    path = kept_in / f"{_digest(part, count)}.npz"
    stored = kept.read(path)
    if stored is not None:
        with suppress(KeyError):
            return {name: Forms.of_arrays(stored, name) for name in (BLANK_SHEETS, SEVERAL_DIGITS)}
    say(f"outliers: drawing {count:,} blank sheets and as many pictures of several digits, once for this data set")
    drawings = {BLANK_SHEETS: partial(blank_sheet, seed=_seed(part)), SEVERAL_DIGITS: partial(several_digits, part)}
    made = bring_all({name: (drawing, count) for name, drawing in drawings.items()})
    arrays = {key: array for name, each in made.items() for key, array in each.arrays(name).items()}
    kept.write(path, arrays, lambda reason: say(f"outliers: not kept for the next time: {reason}"))
    return made


def blank_sheet(index: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a blank sheet, of each kind in turn; the same index and seed always give the same picture."""
    return list(BLANKS.values())[index % len(BLANKS)](_generator(BLANK_SHEETS, index, seed))


def several_digits(part: Part, index: int) -> NDArray[np.uint8]:
    """Return two or three digits of a part beside each other, in turn; the same index always gives the same."""
    generator = _generator(SEVERAL_DIGITS, index, _seed(part))
    return scenes.several(part.images[generator.integers(0, len(part), 2 + index % 2)], generator)


def _generator(name: str, index: int, seed: int) -> Generator:
    return np.random.default_rng((zlib.crc32(name.encode()), index, seed))


def _seed(part: Part) -> int:
    return int(part.sha256()[:8], 16)


def _digest(part: Part, count: int) -> str:
    """Return the name of a kept result: a digest of the digits and of the code that makes it."""
    code = canonical_form_sha256(sys.modules[__name__], blanks, drawing, forms, paper, scenes)
    versions = f"{np.__version__} {PIL.__version__}"
    return sha256(f"refusals {part.sha256()} {count} {code} {versions}".encode())[:16]
