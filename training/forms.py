"""What the canonical form makes of many pictures."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.pictures.canonical import SIDE, CanonicalImage, canonicalize
from training.processes import mapped

type Drawing = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Forms:
    """Pictures in canonical form, in arrays, so that they can be kept.

    Attributes:
        images: uint8 (n, 28, 28) in canonical form; zeros for refused pictures.
        verdicts: n strings: why a picture was refused, or empty.
        warned: whether something may spoil the answer: bool (n,).
        parts: what might be digits of their own, the first picture's first: uint8 (m, 28, 28) in canonical form.
        part_counts: how many of them each picture has: int (n,), m in all.
    """

    images: NDArray[np.uint8]
    verdicts: NDArray[np.str_]
    warned: NDArray[np.bool_]
    parts: NDArray[np.uint8]
    part_counts: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def plain(cls, images: NDArray[np.uint8]) -> Self:
        """Return canonical images of one part, uint8 (n, 28, 28), without warnings."""
        count = len(images)
        parts, part_counts = np.zeros((0, SIDE, SIDE), np.uint8), np.zeros(count, np.intp)
        return cls(images, np.full(count, ""), np.zeros(count, np.bool_), parts, part_counts)

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with this one, to be kept."""
        return {f"{name}/{field}": array for field, array in vars(self).items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> Self:
        """Return the forms whose arrays were kept under this name.

        Raises:
            KeyError: they were not.
        """
        return cls(**{field.name: arrays[f"{name}/{field.name}"] for field in fields(cls)})

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which pictures have a canonical form: bool (n,)."""
        return self.verdicts == ""


def bring(picture: Drawing, count: int) -> Forms:
    """Bring pictures into canonical form; arguments as a value of `bring_all`."""
    return bring_all({"": (picture, count)})[""]


def bring_all(pictures: Mapping[str, tuple[Drawing, int]]) -> dict[str, Forms]:
    """Bring pictures of several kinds into canonical form, on all cores.

    Args:
        pictures: by kind, what returns one of them, uint8 (height, width), given its index, and how many there are;
            it can be pickled if there are many.
    """
    drawings, counts = zip(*pictures.values(), strict=True)
    starts = [0, *accumulate(counts)]
    forms = mapped(partial(_form, drawings, starts), starts[-1])
    return {name: _together(forms[start:stop]) for name, (start, stop) in zip(pictures, pairwise(starts), strict=True)}


_NOTHING = np.zeros((SIDE, SIDE), np.uint8)


def _form(drawings: Sequence[Drawing], starts: Sequence[int], number: int) -> CanonicalImage | str:
    """Return a picture's canonical form, or the verdict where it has none."""
    kind = bisect_right(starts, number) - 1
    try:
        return canonicalize(drawings[kind](number - starts[kind]))
    except UnreadableDigitError as error:
        return error.verdict


def _together(forms: Sequence[CanonicalImage | str]) -> Forms:
    seen = [form if isinstance(form, CanonicalImage) else CanonicalImage(_NOTHING, ()) for form in forms]
    parts = [part.pixels for form in seen for part in form.parts]
    return Forms(
        images=np.stack([form.pixels for form in seen]),
        verdicts=np.array(["" if isinstance(form, CanonicalImage) else form for form in forms]),
        warned=np.array([bool(form.warnings) for form in seen]),
        parts=np.stack(parts) if parts else np.zeros((0, SIDE, SIDE), np.uint8),
        part_counts=np.array([len(form.parts) for form in seen], np.intp),
    )
