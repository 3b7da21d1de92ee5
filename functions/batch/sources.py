"""An input as a source of pictures: what it is shows in its bytes, and where those do not tell, in its name."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from digits.errors import ConflictError, ImageError
from digits.pictures.images import SUFFIXES, page_count
from digits.registry.bucket import Bucket
from functions.batch.archives import zip_items
from functions.batch.arrays import IDX_START, idx_items, npz_items
from functions.batch.contents import Item, is_pdf, pages_of
from functions.batch.errors import SourceError
from functions.batch.labels import Labels
from functions.batch.lists import Fetch, csv_items, jsonl_items, manifest, named_keys
from functions.batch.tars import tar_items

MOST_DOCUMENT_BYTES = 100 * 2**20  # of a picture, TIFF or PDF alone, which is held in memory
KINDS = "zip, tar, tar.gz, jsonl, csv, npz, IDX, PDF, or a picture"
_READ_AHEAD_BYTES = 4 * 2**20
_TAR_PLACE, _TAR_MARK = 257, b"ustar"
_HEAD_BYTES = 512
_LISTS = {".csv": csv_items, ".jsonl": jsonl_items, ".ndjson": jsonl_items}


@dataclass
class Source:
    """An input.

    Attributes:
        name: of its file.
        file: its bytes; can be sought.
        fetch: returns an object that a manifest names, or raises ObjectNotFoundError or InputError.
        labels: what its pictures show, by name, as far as its own tables have told until now.
    """

    name: str
    file: BinaryIO
    size: int
    fetch: Fetch
    labels: Labels = field(default_factory=dict)

    def named(self) -> Iterator[str]:
        """Return the objects that it names, if it is a manifest; raises SourceError."""
        suffix = PurePosixPath(self.name.lower()).suffix
        if suffix == ".csv":
            yield from (key for key, _ in manifest(self.file))
        elif suffix in _LISTS:
            yield from named_keys(self.file)

    def close(self) -> None:
        """Let go of its file."""
        self.file.close()

    def items(self, start: int = 0) -> Iterator[Item]:
        """Return its pictures in order.

        Args:
            start: the place at which to go on, as `Item.after` told it.

        Raises:
            SourceError: it cannot be read as a whole, or not any further.
            ConflictError: it has been overwritten meanwhile.
            StoreError: the store did not answer, or refused.
        """
        head = self._head()
        packed = _unpacked(head) if head.startswith(b"\x1f\x8b") else b""
        suffix = PurePosixPath(self.name.lower()).suffix
        if head.startswith(b"PK"):
            if suffix == ".npz":
                return npz_items(self.file, self.size, start)
            return zip_items(self.file, self.size, self.labels, start)
        if _is_tar(head) or _is_tar(packed):
            return tar_items(self.file, self.size, self.labels, start, compressed=bool(packed))
        if head.startswith(IDX_START) or packed.startswith(IDX_START):
            return idx_items(self.file, self.size, start, compressed=bool(packed))
        read = _LISTS.get(suffix) or (jsonl_items if head.lstrip().startswith(b"{") else None)
        if read:
            return read(self.file, start, self.fetch)
        return self._pages(start, is_picture=suffix in (*SUFFIXES, ".pdf"))

    def _head(self) -> bytes:
        if not self.size:
            raise SourceError("the file is empty")
        self.file.seek(0)
        return self.file.read(_HEAD_BYTES)

    def _pages(self, start: int, *, is_picture: bool) -> Iterator[Item]:
        if self.size > MOST_DOCUMENT_BYTES:
            raise SourceError(f"it has {self.size:,} bytes: as one picture, up to {MOST_DOCUMENT_BYTES:,} are read")
        self.file.seek(0)
        data = self.file.read()
        count, pages = pages_of(data, start)
        if not is_picture and not is_pdf(data):
            _check_picture(data)
        for page, content in enumerate(pages, start + 1):
            yield Item(self.name, content, page, page if count > 1 else None)


class ObjectFile(io.RawIOBase):
    """An object of the bucket as a file, read by range; all ranges are of one state of it."""

    def __init__(self, bucket: Bucket, key: str, size: int, etag: str) -> None:
        self._bucket, self._key, self._size, self._etag = bucket, key, size, etag
        self._place = 0

    @classmethod
    def opened(cls, bucket: Bucket, key: str, size: int, etag: str) -> BinaryIO:
        """Return it with a buffer, which reads ahead."""
        return io.BufferedReader(cls(bucket, key, size, etag), _READ_AHEAD_BYTES)

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """See `io.RawIOBase`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._place

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """See `io.RawIOBase`; raises ConflictError where the object has been overwritten, and StoreError."""
        stop = min(self._size, self._place + len(buffer))
        if stop <= self._place:
            return 0
        try:
            data = self._bucket.get_range(self._key, self._place, stop, self._etag)
        except ConflictError as error:
            raise ConflictError(f"{self._key} was overwritten while it was read") from error
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def _check_picture(data: bytes) -> None:
    try:
        page_count(data, 1)
    except ImageError as error:
        raise SourceError(f"it is no {KINDS}: {error}") from error


def _is_tar(head: bytes) -> bool:
    return head[_TAR_PLACE : _TAR_PLACE + len(_TAR_MARK)] == _TAR_MARK


def _unpacked(head: bytes) -> bytes:
    """Return the beginning of what gzip has packed; empty where it is damaged."""
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return b""
