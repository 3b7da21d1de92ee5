"""Digits that MNIST has too few of, made out of it for training: other hands, few pixels, stretched, thick pens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digits.errors import UnreadableDigitError
from digits.model.identity import sha256
from digits.pictures.canonical import canonicalize, from_ink
from training import hands, kept, pen, remnants
from training.dataset import Part
from training.hands import HANDS
from training.processes import mapped
from training.provenance import canonical_form_sha256

type Pixels = NDArray[np.uint8]
type Drawing = Callable[[Pixels, Generator], Pixels]

# Stretched, a 1 may fill the whole square, and is no longer a digit.
_FULL = 0.7


def few_pixels(image: Pixels, generator: Generator) -> Pixels:
    """Reduce the 28x28 pixels to 6 to 11, of which the digit has fewer."""
    side, before = int(generator.integers(6, 12)), generator.integers(0, 4, 2)
    moved = np.pad(image, [(int(before[0]), 4 - int(before[0])), (int(before[1]), 4 - int(before[1]))])
    small = Image.fromarray(moved).resize((side + 1, side + 1), Image.Resampling.BOX)
    return canonicalize(np.pad(np.asarray(small), 6)).pixels


def stretched(image: Pixels, generator: Generator) -> Pixels:
    """Stretch the digit's box to about a square."""
    digit = remnants.enlarged(image)
    width, height = (round(side) for side in 80 * generator.uniform(0.8, 1, 2))
    ink = np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC))
    return image if (ink > 0.5).mean() > _FULL else from_ink(ink)


def thick(image: Pixels, generator: Generator) -> Pixels:
    """Write with a felt pen: one to three MNIST pixels wider."""
    digit = np.pad((remnants.enlarged(image) >= 0.5) * np.uint8(255), 16)
    pen_width = 2 * int(generator.integers(2, 7)) + 1
    wider = np.asarray(Image.fromarray(digit).filter(ImageFilter.MaxFilter(pen_width)), np.float32)
    return from_ink(wider / np.float32(255))


# What is made, of which digits, and of one in how many of them.
_EVERY_DIGIT = tuple(range(10))
_MADE: tuple[tuple[Drawing, Sequence[int], int], ...] = (
    *((hand.draw, (hand.digit,), 10) for hand in HANDS.values()),
    (few_pixels, _EVERY_DIGIT, 15),
    (stretched, _EVERY_DIGIT, 25),
    (thick, _EVERY_DIGIT, 25),
)


def unusual_digits(part: Part, seed: int, kept_in: Path, say: Callable[[str], None] = lambda _: None) -> Part:
    """Return digits made out of some of a part's, about a fifth as many; the same part and seed give the same.

    Args:
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
    """
    path = kept_in / f"{_digest(part, seed)}.npz"
    arrays = kept.read(path)
    if arrays is not None and {"images", "labels"} <= arrays.keys():
        return Part(arrays["images"], arrays["labels"])
    wanted = _wanted(part, seed)
    say(f"training: drawing {len(wanted):,} digits as other hands write them, once for this data set")
    made = mapped(partial(_drawn, part, seed, wanted), len(wanted))
    drawn = [(image, part.labels[index]) for image, (_, index) in zip(made, wanted, strict=True) if image is not None]
    images, labels = zip(*drawn, strict=True) if drawn else ((), ())
    result = Part(np.array(images, np.uint8).reshape(-1, *part.images.shape[1:]), np.array(labels, np.uint8))
    arrays = {"images": result.images, "labels": result.labels}
    kept.write(path, arrays, lambda reason: say(f"training: not kept for the next time: {reason}"))
    return result


def _wanted(part: Part, seed: int) -> list[tuple[int, int]]:
    """Return which digits are drawn how: indices into `_MADE` and into the part."""
    generator, wanted = np.random.default_rng(seed), []
    for way, (_, labels, one_in) in enumerate(_MADE):
        suited = np.flatnonzero(np.isin(part.labels, labels))
        wanted += [(way, int(index)) for index in np.sort(generator.permutation(suited)[: len(suited) // one_in])]
    return wanted


def _drawn(part: Part, seed: int, wanted: Sequence[tuple[int, int]], number: int) -> Pixels | None:
    way, index = wanted[number]
    try:
        return _MADE[way][0](part.images[index], np.random.default_rng((seed, way, index)))
    except UnreadableDigitError:
        return None


def _digest(part: Part, seed: int) -> str:
    """Return the name of a kept result: a digest of the digits and of the code that makes it."""
    code = canonical_form_sha256(sys.modules[__name__], hands, pen, remnants)
    versions = " ".join(version(package) for package in ("numpy", "pillow", "scipy"))
    return sha256(f"unusual {part.sha256()} {seed} {code} {versions}".encode())[:16]
