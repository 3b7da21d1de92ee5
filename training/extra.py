"""Labelled pictures beyond MNIST, brought into the form that MNIST has and kept apart from what judges a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.canonical import canonicalize
from digits.errors import DataError, ImageError
from digits.images import decode
from digits.manifest import ExtraRecord
from training.dataset import Dataset, Part, read_arrays

_NAMES = (("images", "labels"), ("x_train", "y_train"), ("x", "y"))
_LABELLED_FILE = re.compile(r"([0-9])(?![0-9])")

type Pixels = NDArray[np.uint8]
# What it is called, its label, and how its pixels are had.
type Example = tuple[str, int, Callable[[], Pixels]]


def add_extra(dataset: Dataset, path: Path, say: Callable[[str], None]) -> Dataset:
    """Return the data set with more training digits.

    A picture that cannot be read, or shows no single digit, is named and left out; one that is among
    the digits already, in whatever polarity or place, is left out too.

    Args:
        path: a folder of pictures named by label, `7/anything.png` or `7_anything.png`; or an npz file
            of `images`, uint8 (n, height, width), and `labels`, 0 to 9 (also as `x_train`, `y_train`).

    Raises:
        DataError: nothing is there, a label is missing, or no picture can be taken.
    """
    examples = _pictures(path) if path.is_dir() else _archive(path)
    known = {_digest(image) for part in (dataset.training, dataset.holdout, dataset.test) for image in part.images}
    images, labels, duplicates, refused = [], [], 0, 0
    for name, label, read in examples:
        try:
            pixels = canonicalize(read()).pixels
        except ImageError as error:
            say(f"extra: {name} is left out: {error}")
            refused += 1
            continue
        digest = _digest(pixels)
        duplicates += digest in known
        if digest not in known:
            known.add(digest)
            images.append(pixels)
            labels.append(label)
    if not images:
        raise DataError(f"{path} adds nothing: {duplicates:,} pictures are known already, {refused:,} cannot be read")
    extra = Part(np.stack(images), np.array(labels, np.uint8))
    say(f"extra: {len(extra):,} digits of {path.name}; {duplicates:,} known already, {refused:,} refused")
    training = Part(*(np.concatenate(pair) for pair in zip(_arrays(dataset.training), _arrays(extra), strict=True)))
    record = ExtraRecord(
        source=path.name, sha256=extra.sha256(), count=len(extra), duplicates=duplicates, refused=refused
    )
    return replace(dataset, training=training, extra=record)


def _pictures(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            name = str(path.relative_to(folder))
            yield name, _label(path, name), partial(_read_picture, path)


def _label(path: Path, name: str) -> int:
    if re.fullmatch("[0-9]", path.parent.name):
        return int(path.parent.name)
    labelled = _LABELLED_FILE.match(path.name)
    if labelled is None:
        raise DataError(f"{name} names no digit: name it like 7/{path.name} or 7_{path.name}")
    return int(labelled[1])


def _read_picture(path: Path) -> Pixels:
    try:
        return decode(path.read_bytes()).pixels
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def _archive(path: Path) -> Iterator[Example]:
    try:
        arrays = read_arrays(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    names = next((pair for pair in _NAMES if set(pair) <= arrays.keys()), None)
    if names is None:
        raise DataError(f"{path} has no arrays 'images' and 'labels'")
    images, labels = (arrays[name] for name in names)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(f"{path}: {names[0]} is {images.dtype} {images.shape}, not uint8 (n, height, width)")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels <= 9)).all():
        raise DataError(f"{path}: {names[1]} are not {len(images)} integers from 0 to 9")
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield f"{path.name}[{index}]", int(label), partial(np.asarray, image)


def _digest(pixels: Pixels) -> bytes:
    return hashlib.sha256(pixels.tobytes()).digest()


def _arrays(part: Part) -> tuple[Pixels, Pixels]:
    return part.images, part.labels
