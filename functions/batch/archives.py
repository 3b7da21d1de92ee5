"""Archives as sources: their members one after another, never on a disk, within limits; here those that are zips.

The names of members only name lines of the result, so that no path in them can do harm. A member that cannot be read is
a picture that cannot be read. What is wrong with the archive itself is a SourceError.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from digits.errors import InputError
from functions.batch.contents import MOST_FILE_BYTES, Item, items_of_file, unusable
from functions.batch.errors import SourceError
from functions.batch.labels import LABELS_FILE, MOST_LABELS, Labels, folder_label, read_labels

MOST_MEMBERS = 200_000
MOST_UNPACKED_BYTES = 20 * 2**30
# Of the directory of a zip, whose entries have some 100 bytes each.
MOST_DIRECTORY_BYTES = 40 * 2**20
# An archive that unpacks to more than the bytes below may not hold more than so many times its own.
MOST_RATIO = 200
RATIO_COUNTS_FROM = 2**30

TRUNCATED = "the archive is damaged or truncated"
# What zipfile says of a damaged archive, and of one that is encrypted, or made in a way that it does not read.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OverflowError, RuntimeError)
# The others unpack a few bytes to as many as there are, whatever size they are said to have.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# A part of a path that begins with a dot, and is not "." or "..".
_HIDDEN = re.compile(r"(^|/)(\.(?!\.?(/|$))|__MACOSX/)")
_ENTRY_START = b"PK\x01\x02"
_END_OF_ZIP = struct.Struct("<4s4H2LH")  # of the end record: signature, …, entries, bytes of the directory, …
_END_OF_ZIP64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")  # signature, disk, place of the end record, disks
_LONGEST_COMMENT = 2**16


def zip_items(file: BinaryIO, size: int, labels: Labels, start: int) -> Iterator[Item]:
    """Return the pictures of a zip; its places are the numbers of its entries.

    Raises:
        SourceError: it is damaged, or over the limits.
    """
    archive = open_zip(file, size)
    entries = archive.infolist()
    for entry in entries:
        if is_table(entry.filename):
            _note_labels(archive, entry, labels)
    for number, entry in enumerate(entries[start:], start + 1):
        if entry.is_dir() or is_passed_over(entry.filename):
            continue
        try:
            data = _member(archive, entry)
        except InputError as error:
            yield unusable(entry.filename, str(error), number)
            continue
        yield from items_of_file(entry.filename, data, number, folder_label(entry.filename))


def open_zip(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """Open a zip whose directory, and all that it unpacks to, is within the limits.

    Raises:
        SourceError: it is damaged, or over them.
    """
    try:
        count = _count(file, size)
        archive = zipfile.ZipFile(file)
    except DAMAGED as error:
        raise SourceError(TRUNCATED) from error
    entries = archive.infolist()
    places = {entry.header_offset for entry in entries}  # two in one place are a bomb
    if (len(entries) - count) % 2**16 or len(places) < len(entries) or any(not 0 <= place < size for place in places):
        raise SourceError(TRUNCATED)
    check_size(sum(entry.file_size for entry in entries), size)
    return archive


def _count(file: BinaryIO, size: int) -> int:
    """Return how many entries a zip says it has; the end record alone has their number modulo 2**16.

    They are counted before the directory is read, as each takes half a kilobyte of memory then, whatever is said.
    """
    count, place, directory_bytes = _end(file, size)
    if directory_bytes > MOST_DIRECTORY_BYTES:
        raise SourceError(
            f"the archive's directory has {directory_bytes:,} bytes, where up to {MOST_DIRECTORY_BYTES:,} are read"
        )
    if place < directory_bytes:
        raise SourceError(TRUNCATED)
    file.seek(place - directory_bytes)
    most = max(count, file.read(directory_bytes).count(_ENTRY_START))
    if most > MOST_MEMBERS:
        raise SourceError(f"the archive has {most:,} entries, where up to {MOST_MEMBERS:,} are read")
    return count


def _end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Return how many entries a zip says it has, where its directory ends, and the bytes of that.

    It has to be found as `zipfile` finds it, which takes the records of zip64 wherever they are.
    """
    start = max(0, size - _END_OF_ZIP.size - _LONGEST_COMMENT - _LOCATOR.size - _END_OF_ZIP64.size)
    file.seek(start)
    tail = file.read(size - start)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0:
        raise SourceError(TRUNCATED)
    *_, count, directory_bytes, _, _ = _END_OF_ZIP.unpack_from(tail, place)
    if tail[:place][-_LOCATOR.size :].startswith(b"PK\x06\x07"):
        _, _, told, _ = _LOCATOR.unpack_from(tail, place - _LOCATOR.size)
        place -= _LOCATOR.size + _END_OF_ZIP64.size
        if told != start + place or not tail.startswith(b"PK\x06\x06", place):
            raise SourceError(TRUNCATED)
        *_, count, directory_bytes, _ = _END_OF_ZIP64.unpack_from(tail, place)
    return count, start + place, directory_bytes


def _note_labels(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, labels: Labels) -> None:
    try:
        data = _member(archive, entry)
    except InputError as error:
        raise SourceError(f"{entry.filename}: {error}") from error
    add_labels(labels, data, entry.filename)


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return a member; raises InputError."""
    if entry.flag_bits & 1:
        raise InputError("the file is encrypted")
    if entry.file_size > MOST_FILE_BYTES:
        raise InputError(too_large(entry.file_size))
    try:
        with open_entry(archive, entry) as file:
            return file.read()
    except NotImplementedError as error:
        raise InputError("the file is compressed in a way that is not read") from error
    except DAMAGED as error:
        raise InputError("the file is damaged") from error


def open_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """Open a file of a zip; raises NotImplementedError where it is compressed in a way that is not read."""
    if entry.compress_type not in _COMPRESSIONS:
        raise NotImplementedError
    return archive.open(entry)


def check_size(unpacked: int, size: int) -> None:
    """Let an archive of so many bytes pass that has not unpacked to too many; raises SourceError."""
    if unpacked > MOST_UNPACKED_BYTES or unpacked > max(RATIO_COUNTS_FROM, MOST_RATIO * size):
        raise SourceError(
            f"the archive unpacks to {unpacked:,} bytes or more, {unpacked / max(1, size):,.0f} times its size: "
            f"up to {MOST_UNPACKED_BYTES:,} are read, and from {RATIO_COUNTS_FROM:,} on up to {MOST_RATIO} times"
        )


def add_labels(labels: Labels, data: bytes, path: str) -> None:
    """Add what a table of an archive tells; raises SourceError."""
    labels.update(read_labels(data, path))
    if len(labels) > MOST_LABELS:
        raise SourceError(f"the archive's tables tell more than {MOST_LABELS:,} labels")


def is_table(name: str) -> bool:
    """Tell whether a member holds labels."""
    return name.rpartition("/")[2].lower() == LABELS_FILE


def is_passed_over(name: str) -> bool:
    """Tell whether a member is none of the user's: what systems put beside files, and labels."""
    return bool(_HIDDEN.search(name)) or name.rpartition("/")[2].lower() == "thumbs.db" or is_table(name)


def too_large(size: int) -> str:
    """Return what is said of a file of so many bytes."""
    return f"the file has {size:,} bytes, where up to {MOST_FILE_BYTES:,} are read"
