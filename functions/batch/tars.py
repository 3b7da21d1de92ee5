"""Tars as sources, plain or compressed; see `functions.batch.archives`."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from math import inf
from typing import BinaryIO, Self

from functions.batch.archives import (
    MOST_MEMBERS,
    TRUNCATED,
    add_labels,
    check_size,
    is_passed_over,
    is_table,
    too_large,
)
from functions.batch.contents import MOST_FILE_BYTES, Item, items_of_file, unusable
from functions.batch.errors import SourceError
from functions.batch.labels import Labels, folder_label

MOST_HEADER_BYTES = 2**18  # of one member, with its long names and attributes
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError, RecursionError)
# The place of a member that is not compressed holds its number as well.
_NUMBERS = 10**6


def tar_items(file: BinaryIO, size: int, labels: Labels, start: int, *, compressed: bool) -> Iterator[Item]:
    """Return the pictures of a tar; its places are bytes with numbers, or the numbers alone where it is compressed.

    Args:
        compressed: with gzip; what comes before a place is then unpacked again.

    Raises:
        SourceError: it is damaged, or over the limits.
    """
    before, passed = (0, start) if compressed else divmod(start, _NUMBERS)
    file.seek(before)
    reader = _Reader(gzip.GzipFile(fileobj=file, mode="rb") if compressed else file, before)  # type: ignore[arg-type]
    try:
        with tarfile.open(  # type: ignore[call-overload]  # the stubs lack `stream`: what was read is not remembered
            fileobj=reader, mode="r|", tarinfo=_Member, stream=True, encoding="utf-8", errors="replace"
        ) as archive:
            for number, member in enumerate(archive, 1 if compressed else passed + 1):
                unpacked = before + archive.offset
                if number > MOST_MEMBERS:
                    raise SourceError(f"the archive has more than {MOST_MEMBERS:,} members")
                check_size(unpacked, size)
                reader.most = unpacked + MOST_HEADER_BYTES
                if number > passed:
                    after = number if compressed else unpacked * _NUMBERS + number
                    yield from _items(archive, member, labels, after)
                elif is_table(member.name):
                    _note_labels(archive, member, labels)
                archive.pax_headers.clear()  # would pile up, and are not known to who goes on here
            _check_end(archive, reader, size)
    except _DAMAGED as error:
        raise SourceError(TRUNCATED) from error


class _Reader:
    """The bytes of a tar, of which no more are read than a header may have: all of a header is held in memory."""

    def __init__(self, file: BinaryIO, place: int) -> None:
        self._file, self.place = file, place
        self.most: float = place + MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if self.place > self.most:
            raise SourceError(f"a header of the archive has more than the {MOST_HEADER_BYTES:,} bytes that are read")
        data = self._file.read(size)
        self.place += len(data)
        return data


class _Member(tarfile.TarInfo):
    """A member whose header is read or is an error: tarfile takes a damaged one for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """See `tarfile.TarInfo`."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # as an archive should end
            raise
        except tarfile.HeaderError as error:
            raise SourceError(TRUNCATED) from error


def _items(archive: tarfile.TarFile, member: tarfile.TarInfo, labels: Labels, after: int) -> Iterator[Item]:
    name = member.name
    if is_table(name):
        _note_labels(archive, member, labels)
    if member.isdir() or is_passed_over(name):
        return
    if not member.isfile() or member.issparse():
        yield unusable(name, "this is no file, but a link, a device, or one with holes", after)
    elif member.size > MOST_FILE_BYTES:
        yield unusable(name, too_large(member.size), after)
    else:
        yield from items_of_file(name, _whole(archive, member), after, folder_label(name))


def _note_labels(archive: tarfile.TarFile, member: tarfile.TarInfo, labels: Labels) -> None:
    if member.size > MOST_FILE_BYTES:
        raise SourceError(f"{member.name}: {too_large(member.size)}")
    if member.isfile() and not member.issparse():
        add_labels(labels, _whole(archive, member), member.name)


def _whole(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    data = file.read() if file else b""
    if len(data) != member.size:
        raise SourceError(TRUNCATED)
    return data


def _check_end(archive: tarfile.TarFile, reader: _Reader, size: int) -> None:
    """Make sure that nothing but padding follows, up to the checksum of gzip."""
    reader.most = inf
    while rest := archive.fileobj.read(2**20):
        check_size(reader.place, size)
        if rest.strip(tarfile.NUL):
            raise SourceError("the archive goes on after its end: it is damaged, or several in one")
