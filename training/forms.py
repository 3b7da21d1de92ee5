"""What the canonical form makes of many pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.pictures.canonical import SIDE, CanonicalImage, canonicalize


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


def bring(picture: Callable[[int], NDArray[np.uint8]], count: int) -> Forms:
    """Bring pictures, uint8 (height, width), into canonical form.

    Args:
        picture: returns one of them, given its index; called from several threads.
    """
    with ThreadPoolExecutor(os.process_cpu_count()) as threads:
        forms = list(threads.map(lambda index: _form(picture(index)), range(count)))
    seen = [form if isinstance(form, CanonicalImage) else CanonicalImage(_NOTHING, ()) for form in forms]
    parts = [part.pixels for form in seen for part in form.parts]
    return Forms(
        images=np.stack([form.pixels for form in seen]),
        verdicts=np.array(["" if isinstance(form, CanonicalImage) else form for form in forms]),
        warned=np.array([bool(form.warnings) for form in seen]),
        parts=np.stack(parts) if parts else np.zeros((0, SIDE, SIDE), np.uint8),
        part_counts=np.array([len(form.parts) for form in seen], np.intp),
    )


_NOTHING = np.zeros((SIDE, SIDE), np.uint8)


def _form(picture: NDArray[np.uint8]) -> CanonicalImage | str:
    """Return a picture's canonical form, or the verdict where it has none."""
    try:
        return canonicalize(picture)
    except UnreadableDigitError as error:
        return error.verdict
