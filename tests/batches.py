"""Inputs of a batch, made by hand: archives, arrays and documents of real digits."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.errors import InputError, ObjectNotFoundError
from functions.batch import archives, tars
from functions.batch import handler as batch
from functions.batch.contents import Item
from functions.batch.errors import SourceError
from functions.batch.sources import Source
from local.store import BUCKET
from tests import events

MEGABYTE = 2**20

type Members = Mapping[str, bytes]

DIGITS = {digit: events.digit_file(digit) for digit in range(10)}
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")


class Told(NamedTuple):
    """What an item tells."""

    name: str
    page: int | None
    label: str | None
    sha256: str | None


def absent(key: str) -> bytes:
    """Fetch from a bucket that is empty."""
    raise ObjectNotFoundError(key)


def source(name: str, data: bytes, objects: Members | None = None) -> Source:
    """Return bytes as an input, beside a bucket with these objects."""

    def fetch(key: str) -> bytes:
        return objects[key] if objects and key in objects else absent(key)

    return Source(name, io.BytesIO(data), len(data), fetch)


def told(items: Iterable[Item]) -> list[Told]:
    """Return what items tell."""
    return [Told(each.name, each.page, each.label, each.content.sha256) for each in items]


def names(items: Iterable[Item]) -> list[str]:
    """Return the names of items."""
    return [each.name for each in items]


def problem(item: Item) -> str | None:
    """Return what is wrong with a picture; None if nothing is."""
    try:
        item.content.picture()
    except InputError as error:
        return str(error)
    return None


def pixels(item: Item) -> NDArray[np.uint8]:
    """Return the pixels of a picture."""
    return item.content.picture().image.pixels


def zipped(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(members: Members, *others: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of files, with others that have no contents after them."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return file.getvalue()


def summed(header: bytes) -> bytes:
    """Return a header of a tar, of 512 bytes, with the checksum that it should have."""
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(blank) + header[156:]


def gzipped(data: bytes) -> bytes:
    """Return bytes in gzip, the same each time."""
    return gzip.compress(data, mtime=0)


def npz(*, compressed: bool = False, **arrays: Any) -> bytes:
    """Return arrays as numpy saves them."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def idx(values: NDArray[np.uint8]) -> bytes:
    """Return an array as an IDX file."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def digit_pixels(*digits: int) -> NDArray[np.uint8]:
    """Return real digits, uint8 (count, 28, 28)."""
    return np.stack([np.asarray(_image(digit)) for digit in digits])


def jsonl(*lines: Any) -> bytes:
    """Return documents, a line each."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def document(kind: str, *digits: int) -> bytes:
    """Return a TIFF or PDF with a digit on each page."""
    file = io.BytesIO()
    first, *others = (_image(digit) for digit in digits)
    first.save(file, kind, save_all=True, append_images=others)
    return file.getvalue()


def directory_entry(name: bytes = b"", **fields: int) -> bytes:
    """Return an entry of a zip's directory; `flags`, `kind`, `size` and `place` may be told."""
    size, place = fields.get("size", 0), fields.get("place", 0)
    numbers = (20, 3, 20, 0, fields.get("flags", 0), fields.get("kind", 0), 0, 33, 0, size, size)
    return _ENTRY.pack(b"PK\x01\x02", *numbers, len(name), 0, 0, 0, 0, 0, place) + name


def zip_end(count: int, directory_bytes: int, place: int) -> bytes:
    """Return the end record of a zip."""
    return _END.pack(b"PK\x05\x06", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), directory_bytes, place, 0)


def zip64_end(count: int, directory_bytes: int, place: int) -> bytes:
    """Return the two records that a large zip has before its end record."""
    end = _END_64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, directory_bytes, place)
    return end + _LOCATOR.pack(b"PK\x06\x07", 0, place + directory_bytes, 1)


def packed(kind: str, members: Members) -> bytes:
    """Return an archive of that kind, as its name tells."""
    return zipped(members) if kind == "a.zip" else packed_tar(kind, tarred(members))


def packed_tar(name: str, tar: bytes) -> bytes:
    """Return a tar, compressed where a name says so."""
    return gzipped(tar) if name.endswith("gz") else tar


def refused(name: str, data: bytes) -> str:
    """Return what is said of an archive that cannot be read, soon and in little memory."""
    given, started = source(name, data), time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(SourceError) as raised:
            for _ in given.items():
                pass
        assert tracemalloc.get_traced_memory()[1] < 50 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < 5
    return str(raised.value)


def limit(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    """Set a limit of all archives."""
    for module in (archives, tars):
        monkeypatch.setattr(module, name, value)


class Context:
    """What Lambda tells of an invocation; some seconds are left of it."""

    def __init__(self, request_id: str, seconds: float) -> None:
        self.aws_request_id, self._end = request_id, time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._end - time.monotonic()))


def dropped(key: str, bucket: str = BUCKET) -> dict[str, Any]:
    """Return the event of an object that was dropped into the bucket."""
    event = events.load("batch_object_created")
    event["detail"]["bucket"]["name"], event["detail"]["object"]["key"] = bucket, key
    return event


def end_batch_container() -> None:
    """Make the next invocation a cold one."""
    if batch._container.cache_info().currsize:
        batch._container()[1].close()
    batch._container.cache_clear()


class _Raw(io.RawIOBase):
    """A file that raises an error where somebody reads from a place on."""

    def __init__(self, data: bytes, place: int, error: Exception) -> None:
        self._file, self._place, self._error = io.BytesIO(data), place, error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        if self._file.tell() + len(buffer) > self._place:
            raise self._error
        return self._file.readinto(buffer)


def failing(name: str, data: bytes, place: int, error: Exception, objects: Members | None = None) -> Source:
    """Return an input of which nothing from a place on can be read, as the store fails."""
    given = source(name, data, objects)
    given.file = io.BufferedReader(_Raw(data, place, error), 256)
    return given


def _image(digit: int) -> Image.Image:
    with Image.open(io.BytesIO(DIGITS[digit])) as image:
        return image.convert("L").resize((28, 28))


def every_kind() -> Iterator[tuple[str, bytes]]:
    """Return an input of each kind; those that name objects name `a.png` and `b.png`."""
    members = {
        "labels.csv": b"name,label\nplain.png,4\n",
        "7/a.png": DIGITS[7],
        "plain.png": DIGITS[4],
        "folder/": b"",
        "folder/labels.csv": b"\xef\xbb\xbffile,digit\nb.png,1\n",
        "folder/b.png": DIGITS[1],
        "broken.png": b"no picture",
        "scans.tiff": document("TIFF", 1, 2, 3),
        "form.pdf": document("PDF", 5, 6),
    }
    files = {name: data for name, data in members.items() if not name.endswith("/")}
    arrays: dict[str, Any] = {"x_test": digit_pixels(3, 1, 4), "y_test": np.array([3, 1, 4])}
    requests = [
        events.image_json(7),
        {"pixels": digit_pixels(2)[0].tolist()},
        {"instances": [events.image_json(1), {"pixels": [0] * 784}]},
        {"key": "a.png", "label": "7"},
        {"nonsense": True},
    ]
    yield "a.zip", zipped(members)
    yield "a.tar", tarred(files)
    yield "a.tar.gz", gzipped(tarred(files))
    yield "a.jsonl", jsonl(*requests)
    yield "a.csv", b"key,label\na.png,7\n\nb.png,\ngone.png,3\n"
    yield "stored.npz", npz(**arrays)
    yield "a.npz", npz(compressed=True, x=digit_pixels(5), **arrays)
    yield "digits-idx3-ubyte", idx(digit_pixels(1, 2, 3))
    yield "digits-idx3-ubyte.gz", gzipped(idx(digit_pixels(1, 2, 3)))
    yield "a.tiff", members["scans.tiff"]
    yield "a.pdf", members["form.pdf"]
    yield "a.png", DIGITS[8]
    yield "broken.png", b"no picture"
