"""Labelled pictures beyond MNIST, brought into MNIST's form; digits that models are judged by are left out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError, ImageError, NothingNewError
from digits.model.manifest import ExtraRecord
from digits.pictures.canonical import SIDE, canonicalize
from digits.pictures.images import SUFFIXES, decode
from digits.registry.bucket import Bucket
from digits.registry.layout import EXTRA, extra_digit
from training.dataset import Dataset, Part, read_arrays

_NAMES = (("images", "labels"), ("x_train", "y_train"), ("x", "y"))
_LABELLED_NAME = re.compile(r"([0-9])([_-].*)?")
# Cosine similarity. Different digits of MNIST were measured at 0.982 or less, moved copies of one digit at 0.993
# or more.
_SAME = 0.985

type Pixels = NDArray[np.uint8]
# Its name, its label, and a function that returns its pixels.
type Example = tuple[str, int, Callable[[], Pixels]]


def add_extra(dataset: Dataset, path: Path, say: Callable[[str], None]) -> Dataset:
    """Return the data set with more training digits.

    A picture that cannot be read, or does not show exactly one digit, is reported and left out. So is one that
    is already in the data set, by its digest in canonical form. Copies of holdout and test digits that were
    moved, framed, slightly enlarged or compressed are left out as well, by their similarity.

    Args:
        path: a folder of pictures named by label, `7/anything.png` or `7_anything.png`; or an npz file
            of `images`, uint8 (n, height, width), and `labels`, 0 to 9 (also as `x_train`, `y_train`).

    Raises:
        NothingNewError: no picture could be added.
        DataError: the path cannot be read, or a label is missing or contradicts another.
    """
    return _merged(dataset, path.resolve().name, _pictures(path) if path.is_dir() else _archive(path), say)


def add_stored_extra(dataset: Dataset, bucket: Bucket, say: Callable[[str], None]) -> Dataset:
    """Return the data set with the pictures in the bucket under `datasets/extra/<digit>/`.

    Works like `add_extra`, but if they add nothing, the data set is returned unchanged.

    Raises:
        DataError: one picture has two labels.
        StoreError: the store did not answer.
    """
    examples = list(_stored(bucket, say))
    try:
        return _merged(dataset, EXTRA, examples, say) if examples else dataset
    except NothingNewError:
        return dataset


def _merged(dataset: Dataset, source: str, examples: Iterable[Example], say: Callable[[str], None]) -> Dataset:
    known = _Known(dataset)
    taken: dict[bytes, tuple[Pixels, int, str]] = {}
    duplicates = refused = 0
    for name, label, read in examples:
        try:
            pixels = canonicalize(read()).pixels
        except ImageError as error:
            say(f"extra: {name} is left out: {error}")
            refused += 1
            continue
        digest = _digest(pixels)
        _, first_label, first_name = taken.get(digest, (pixels, label, name))
        if first_label != label:
            raise DataError(f"{name} shows what {first_name} shows, but has another label")
        if digest in taken or known.has(pixels):
            duplicates += 1
        else:
            taken[digest] = (pixels, label, name)
    say(f"extra: {len(taken):,} new digits of {source}; {duplicates:,} known already, {refused:,} refused")
    if not taken:
        raise NothingNewError(f"{source} adds nothing")
    extra = Part(
        np.stack([pixels for pixels, _, _ in taken.values()]),
        np.array([label for _, label, _ in taken.values()], np.uint8),
    )
    training = Part(
        np.concatenate([dataset.training.images, extra.images]), np.concatenate([dataset.training.labels, extra.labels])
    )
    record = ExtraRecord(source=source, sha256=extra.sha256(), count=len(extra), duplicates=duplicates, refused=refused)
    return replace(dataset, training=training, extra=record)


class _Known:
    """The digits of a data set, and anything so similar to a holdout or test digit that it must be a copy."""

    def __init__(self, dataset: Dataset) -> None:
        self._digests = {_digest(image) for part in _parts(dataset) for image in part.images}
        judges = np.concatenate([dataset.holdout.images, dataset.test.images])
        redrawn = np.stack([canonicalize(np.pad(image, SIDE // 4)).pixels for image in judges])
        self._directions = _directions(np.concatenate([judges, redrawn]))

    def has(self, pixels: Pixels) -> bool:
        """Whether a canonical image is one of them."""
        alike = self._directions @ _directions(pixels[None])[0]
        return _digest(pixels) in self._digests or float(alike.max()) >= _SAME


def _parts(dataset: Dataset) -> tuple[Part, Part, Part]:
    return dataset.training, dataset.holdout, dataset.test


def _directions(images: Pixels) -> NDArray[np.float32]:
    """Return images as vectors of length 1, float32 (n, 784): the product of two is their cosine similarity."""
    vectors = images.reshape(len(images), -1).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _pictures(folder: Path) -> Iterator[Example]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    for path in paths:
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield str(name), _label(name), partial(_read_picture, path)


def _label(name: Path) -> int:
    """Return the label in a picture's folder or name; `name` is relative to the folder of all pictures."""
    if re.fullmatch("[0-9]", name.parent.name):
        return int(name.parent.name)
    labelled = _LABELLED_NAME.fullmatch(name.stem)
    if labelled is None:
        raise DataError(f"{name} names no digit: name it like 7/{name.name} or 7_{name.name}")
    return int(labelled[1])


def _read_picture(path: Path) -> Pixels:
    try:
        return decode(path.read_bytes()).pixels
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def _stored(bucket: Bucket, say: Callable[[str], None]) -> Iterator[Example]:
    for key in bucket.keys(EXTRA):
        digit = extra_digit(key)
        if digit is not None and PurePosixPath(key).suffix.lower() in SUFFIXES:
            yield key, digit, partial(_read_stored, bucket, key)
        elif not key.endswith("/"):  # S3's console leaves such a key for a folder
            say(f"extra: {key} is left out: it is not named like {EXTRA}7/anything.png")


def _read_stored(bucket: Bucket, key: str) -> Pixels:
    return decode(bucket.get(key).data).pixels


def _archive(path: Path) -> Iterator[Example]:
    try:
        arrays = read_arrays(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    names = next((pair for pair in _NAMES if set(pair) <= arrays.keys()), None)
    if names is None:
        raise DataError(f"{path} has no arrays 'images' and 'labels'")
    images, labels = (arrays[name] for name in names)
    if images.ndim != 3 or images.dtype != np.uint8 or 0 in images.shape:
        raise DataError(f"{path}: {names[0]} is {images.dtype} {images.shape}, not uint8 (n, height, width)")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels <= 9)).all():
        raise DataError(f"{path}: {names[1]} are not {len(images)} integers from 0 to 9")
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield f"{path.name}[{index}]", int(label), partial(np.asarray, image)


def _digest(pixels: Pixels) -> bytes:
    return hashlib.sha256(pixels.tobytes()).digest()
