"""Outliers: what is no digit, in canonical form, so that the network learns to be unsure of it.

Some families take part in training; others only judge whether a network that never saw them is unsure of them as
well (Hendrycks et al., "Deep Anomaly Detection with Outlier Exposure", 2019).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.model.identity import sha256
from digits.pictures.canonical import from_ink
from training import doodles, glyphs, kept, pen, remnants
from training.dataset import Part
from training.processes import mapped
from training.provenance import canonical_form_sha256

type Floats = NDArray[np.float32]
type Drawing = Callable[[Generator, Part], Floats]

# What only judges.
JUDGING_LETTERS = ("E", "K", "R", "W", "h", "k")
JUDGING_SIGNS = ("ampersand", "hash", "brace", "euro")
# In print; what hands have no glyph for comes in the built-in font.
_LETTERS = "ACDFGHJLMNPQTUVXYacdefmnprtuvwx"  # pragma: allowlist secret  # what letters there are
_CAPITALS = "ACDEFGHJKLMNPQRTUVWXY"
_SIGNS = "+-=*%@?<>[]$!:;~"
_JUDGING_FONTS = ("DejaVuSerif", "DejaVuSans-Bold", "STIXGeneral", "STIXGeneralItalic", "DejaVuSansMono")


@dataclass(frozen=True)
class Family:
    """One kind of outliers.

    Attributes:
        draw: returns ink, float32 (height, width), 0 to 1; may make use of digits.
        weight: its share in training, of the sum of all weights.
        judge: whether it takes no part in training.
    """

    draw: Drawing
    weight: int = 0
    judge: bool = False


@dataclass(frozen=True)
class Outliers:
    """What is no digit.

    Attributes:
        images: uint8 (n, 28, 28) in canonical form.
        family: the name of each one's family: str (n,).
    """

    images: NDArray[np.uint8]
    family: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.images)


def _one(draw: Callable[[Generator, str], Floats], names: Collection[str]) -> Drawing:
    ordered = sorted(names)
    return lambda generator, _: draw(generator, str(generator.choice(ordered)))


def _by_hand(
    table: Mapping[str, tuple[str, ...]],
    names: Collection[str],
    write: Callable[[Generator, str], Floats] = doodles.written,
) -> Drawing:
    """Return the drawing of one of these glyphs, in one of the ways that people have."""
    return _one(lambda generator, name: write(generator, str(generator.choice(table[name]))), names)


def _alone(draw: Callable[[Generator], Floats]) -> Drawing:
    return lambda generator, _: draw(generator)


def _in_print(signs: str, *files: str, longest: int = 1) -> Drawing:
    return lambda generator, _: doodles.printed(generator, signs, files or (doodles.BUILT_IN,), longest)


# It shows a digit among the lines, which may well be read: trained on and measured, but no part of the mixture.
FRAMED = "framed"
# Beside digits it is a 1.
_LONG_THING = "long thing"
# What a reader of numbers may well read.
NUMBERS = ("pair", "triple", FRAMED, _LONG_THING)


def _families() -> dict[str, Family]:
    fonts = doodles.fonts_of_matplotlib(*_JUDGING_FONTS)
    return {
        "pair": Family(remnants.pair, 16),
        "triple": Family(remnants.triple, 4),
        "fragment": Family(remnants.fragment, 9),
        "turned": Family(remnants.turned, 9),
        FRAMED: Family(remnants.framed, 10),
        "letter": Family(_by_hand(glyphs.LETTERS, glyphs.LETTERS.keys() - JUDGING_LETTERS), 18),
        "print": Family(_in_print(_LETTERS + _SIGNS, longest=4), 10),
        "sign": Family(_by_hand(glyphs.SIGNS, glyphs.SIGNS.keys() - JUDGING_SIGNS), 7),
        "tick": Family(_by_hand(glyphs.TICKS, glyphs.TICKS), 2),
        "shape": Family(_one(doodles.shape, glyphs.SHAPES), 6),
        "disc": Family(_alone(doodles.disc), 2),
        "scribble": Family(_alone(doodles.scribble), 8),
        "texture": Family(_alone(doodles.texture), 4),
        "shadow": Family(_alone(doodles.shadow), 5),
        "thing": Family(_alone(doodles.thing), 6),
        _LONG_THING: Family(_alone(doodles.long_thing), 3),
        "other letters": Family(_by_hand(glyphs.LETTERS, JUDGING_LETTERS, doodles.written_otherwise), judge=True),
        "other signs": Family(_by_hand(glyphs.SIGNS, JUDGING_SIGNS), judge=True),
        "capitals of other fonts": Family(_in_print(_CAPITALS, *fonts), judge=True),
        "signs of other fonts": Family(_in_print(_SIGNS + "#&{}€", *fonts), judge=True),
        "stars and polygons": Family(_alone(doodles.star), judge=True),
    }


FAMILIES = _families()


def outlier_digits(
    part: Part,
    count: int,
    seed: int,
    kept_in: Path,
    say: Callable[[str], None] = lambda _: None,
    *,
    judging: bool = False,
) -> Outliers:
    """Return outliers, some of them made out of a part's digits; the same arguments always give the same.

    Args:
        count: how many in all; of the families that take part in training, by their weights.
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
        judging: whether to return as many of each family, with those that only judge.
    """
    names = _names(count, seed, judging)
    path = kept_in / f"{_digest(part, count, seed, judging)}.npz"
    arrays = kept.read(path)
    if arrays is not None and "images" in arrays:
        return Outliers(arrays["images"], names)
    say(f"outliers: drawing {count:,} that are no digits, once for this data set")
    images = np.stack(mapped(partial(_drawn, names, part, seed), count))
    kept.write(path, {"images": images}, lambda reason: say(f"outliers: not kept for the next time: {reason}"))
    return Outliers(images, names)


def _names(count: int, seed: int, judging: bool) -> NDArray[np.str_]:
    if judging:
        return np.array([list(FAMILIES)[index % len(FAMILIES)] for index in range(count)])
    trained = {name: family.weight for name, family in FAMILIES.items() if not family.judge}
    shares = np.array(list(trained.values()), np.float64)
    return np.array(list(trained))[np.random.default_rng(seed).choice(len(trained), count, p=shares / shares.sum())]


def _drawn(names: NDArray[np.str_], part: Part, seed: int, index: int) -> NDArray[np.uint8]:
    generator, family = np.random.default_rng((seed, index)), FAMILIES[names[index]]
    while True:
        try:
            return from_ink(family.draw(generator, part))
        except UnreadableDigitError:  # nothing, or dots: another one
            continue


def _digest(part: Part, count: int, seed: int, judging: bool) -> str:
    """Return the name of a kept result: a digest of the digits, of the request and of the code that makes it."""
    code = canonical_form_sha256(sys.modules[__name__], doodles, glyphs, pen, remnants)
    versions = " ".join(version(package) for package in ("numpy", "pillow", "matplotlib"))
    return sha256(f"outliers {part.sha256()} {count} {seed} {judging} {code} {versions}".encode())[:16]
