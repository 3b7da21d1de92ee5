"""Arrays of pictures as sources: IDX files as MNIST has them, and numpy's npz; read a picture at a time."""

from __future__ import annotations

import gzip
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from math import prod
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digits.errors import ImageError
from digits.pictures.canonical import SIDE
from digits.pictures.images import MAX_PIXELS
from functions.batch.archives import DAMAGED, check_size, open_entry, open_zip
from functions.batch.contents import Content, Grey, Item, Unusable
from functions.batch.errors import SourceError

IDX_START = b"\x00\x00\x08"  # bytes; the number of dimensions follows
MOST_LABELS = 2_000_000
_DIMENSIONS = 3
_HEADER_BYTES = 2**14  # of an array, of which numpy takes 10,000 characters
_CHUNK_BYTES = 2**20
_TRUNCATED = "the file is damaged or truncated"
_HALF_LABELS = {"x": "y", "images": "labels", "image": "label", "data": "target"}


class _Array(NamedTuple):
    """An array of an npz.

    Attributes:
        start: where in its file the numbers begin.
    """

    name: str
    entry: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


def idx_items(file: BinaryIO, size: int, start: int, *, compressed: bool) -> Iterator[Item]:
    """Return the pictures of an IDX file; its places are their numbers.

    Raises:
        SourceError: it holds no pictures, is damaged, or unpacks to too much.
    """
    file.seek(0)
    unpacked: Any = gzip.GzipFile(fileobj=file, mode="rb") if compressed else file
    try:
        head = unpacked.read(4 + 4 * _DIMENSIONS)
        if head[:4] != IDX_START + bytes([_DIMENSIONS]):
            raise SourceError("an IDX file of pictures holds bytes, in three dimensions")
        if len(head) < 4 + 4 * _DIMENSIONS:
            raise SourceError(_TRUNCATED)
        count, height, width = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8, 12))
        _check_shape(height, width)
        if compressed:
            check_size(count * height * width, size)
        unpacked.seek(len(head) + start * height * width)
        for number in range(start, count):
            data = unpacked.read(height * width)
            if len(data) < height * width:
                raise SourceError(f"the file ends after {number:,} of its {count:,} pictures")
            pixels = np.frombuffer(data, np.uint8).reshape(height, width)
            yield Item(f"[{number}]", Grey(pixels), number + 1)
        if unpacked.read(1):  # which checks the checksum, too
            raise SourceError(f"the file goes on after its {count:,} pictures")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(_TRUNCATED) from error


def npz_items(file: BinaryIO, size: int, start: int) -> Iterator[Item]:
    """Return the pictures of all arrays of an npz, in the order of the file; its places are their numbers.

    Arrays of integers in one dimension are labels: `y_test` of `x_test`, `labels` of `images`, or the only ones there.

    Raises:
        SourceError: it is damaged, holds no pictures, or unpacks to too much.
    """
    archive = open_zip(file, size)
    try:
        arrays = [_array(archive, entry) for entry in archive.infolist() if entry.filename.endswith(".npy")]
        pictures = [(each, _sides(each)) for each in arrays if len(each.shape) > 1]
        labels = [each for each in arrays if len(each.shape) == 1 and each.dtype.kind in "iu"]
        if not pictures:
            raise SourceError("the file holds no array of pictures: uint8, as (count, height, width)")
        before = 0
        for each, sides in pictures:
            if before + each.shape[0] > start:
                told = _labels_of(archive, each, labels, alone=len(pictures) == len(labels) == 1)
                for row, values in _rows(archive, each, max(0, start - before)):
                    label = None if told is None else str(told[row])
                    yield Item(f"{each.name}[{row}]", _content(values.reshape(sides)), before + row + 1, label=label)
            before += each.shape[0]
    except DAMAGED as error:
        raise SourceError(_TRUNCATED) from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Array:
    with open_entry(archive, entry) as file:
        head = BytesIO(file.read(_HEADER_BYTES))
    shape, fortran, dtype = _read_header(head)
    name = entry.filename.removesuffix(".npy")
    if min(shape, default=0) < 0:
        raise SourceError(_TRUNCATED)
    if fortran and len(shape) > 1:
        raise SourceError(f"the array {name!r} is in Fortran's order, which is not read")
    return _Array(name, entry, shape, dtype, head.tell())


def _read_header(head: BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arrays that Python 2 has saved
            version = np.lib.format.read_magic(head)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(head)
    except Exception as error:
        # It is a literal of Python, whose parser lets all kinds of errors through: MemoryError, TokenError, …
        raise SourceError(_TRUNCATED) from error
    return shape, fortran, dtype


def _sides(array: _Array) -> tuple[int, int]:
    """Return height and width of an array's pictures."""
    name, shape, dtype = array.name, array.shape, array.dtype
    sides = shape[1:-1] if len(shape) == _DIMENSIONS + 1 and shape[-1] == 1 else shape[1:]
    if sides == (SIDE * SIDE,):
        sides = (SIDE, SIDE)
    if len(sides) != _DIMENSIONS - 1 or dtype.kind not in "buif":
        raise SourceError(f"the array {name!r} is {dtype} {shape}, where pictures are numbers (count, height, width)")
    _check_shape(*sides)
    height, width = sides
    return height, width


def _check_shape(height: int, width: int) -> None:
    if not 0 < height * width <= MAX_PIXELS:
        raise SourceError(f"its pictures have {width}x{height} pixels, where 1 to {MAX_PIXELS:,} are read")


def _rows(archive: zipfile.ZipFile, array: _Array, start: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Return the number and the values of each picture of an array, from `start` on."""
    size_bytes = prod(array.shape[1:]) * array.dtype.itemsize
    with open_entry(archive, array.entry) as file:
        _skip(file, array.start + start * size_bytes)
        for row in range(start, array.shape[0]):
            data = file.read(size_bytes)
            if len(data) < size_bytes:
                raise SourceError(f"the array {array.name!r} ends after {row:,} of {array.shape[0]:,} pictures")
            yield row, np.frombuffer(data, array.dtype)


def _skip(file: IO[bytes], size: int) -> None:
    """Read over bytes: zipfile would seek, and not check the checksum any more."""
    while size > 0 and (data := file.read(min(size, _CHUNK_BYTES))):
        size -= len(data)


def _labels_of(archive: zipfile.ZipFile, array: _Array, labels: list[_Array], *, alone: bool) -> NDArray[Any] | None:
    """Return the labels of an array of pictures; whatever they are called where both are `alone`."""
    name = array.name.lower()
    named = {re.sub(rf"(?<![a-z]){ours}(?![a-z])", theirs, name) for ours, theirs in _HALF_LABELS.items()} - {name}
    found = next((each for each in labels if alone or each.name.lower() in named), None)
    if found is None:
        return None
    (count,) = found.shape
    if count != array.shape[0] or count > MOST_LABELS:
        raise SourceError(f"{found.name!r} has {count:,} labels, not one for each picture")
    with open_entry(archive, found.entry) as file:
        _skip(file, found.start)
        data = file.read(count * found.dtype.itemsize)
    if len(data) < count * found.dtype.itemsize:
        raise SourceError(f"the array {found.name!r} ends before its {count:,} labels do")
    return np.frombuffer(data, found.dtype)


def _content(values: NDArray[Any]) -> Content:
    """Return a picture of numbers from 0 to 255, or where none is more than 1, from 0 to 1."""
    if values.dtype == np.uint8 and values.max() > 1:
        return Grey(values)
    numbers = values.astype(np.float64)
    if not (numbers.min() >= 0 and numbers.max() <= 255):  # which NaN does not pass either
        return Unusable(ImageError("the numbers of a picture must lie in 0..255, or in 0..1"))
    if numbers.max() <= 1:
        numbers = numbers * 255
    return Grey(np.rint(numbers).astype(np.uint8))
