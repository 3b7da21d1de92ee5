"""Zips as inputs of a batch."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from tests import batches
from tests.batches import DIGITS, MEGABYTE


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_files_are_read(compression: int) -> None:
    (item,) = batches.source("a.zip", batches.zipped({"7/a.png": DIGITS[7]}, compression)).items()
    assert (item.name, item.label, item.after) == ("7/a.png", "7", 1)
    assert np.array_equal(batches.pixels(item), batches.digit_pixels(7)[0])


def test_a_zip_with_a_comment_and_one_for_many_files_are_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"c" * 65_535
        with archive.open("a.png", "w", force_zip64=True) as member:
            member.write(DIGITS[7])
    (item,) = batches.source("a.zip", file.getvalue()).items()
    assert batches.problem(item) is None


def test_a_zip_of_more_files_than_its_end_can_count_is_read() -> None:
    count = 65_600
    data = batches.zipped(dict.fromkeys(map(str, range(count)), b""), zipfile.ZIP_STORED)
    assert next(batches.source("a.zip", data).items(count - 1)).name == "65599"


def test_a_zip_name_that_says_it_is_unicode_and_is_not_is_damage() -> None:
    data = batches.zipped({"ä.png": DIGITS[7]}).replace("ä".encode(), b"\xff\xff")
    assert batches.refused("a.zip", data) == "the archive is damaged or truncated"


def test_a_name_ends_at_a_nul() -> None:
    data = batches.zipped({"7/a.png-.exe": DIGITS[7]}).replace(b"a.png-.exe", b"a.png\0.exe")
    (item,) = batches.source("a.zip", data).items()
    assert (item.name, batches.problem(item)) == ("7/a.png", None)


def flagged(data: bytes, flag: int) -> bytes:
    """A zip of one file whose two headers have a flag."""
    changed, end = bytearray(data), data.rindex(b"PK\x01\x02")
    changed[6] |= flag
    changed[end + 8] |= flag
    return bytes(changed)


def compressed_as(data: bytes, kind: int) -> bytes:
    """A zip of one file that says to be compressed in that way."""
    changed, end = bytearray(data), data.rindex(b"PK\x01\x02")
    changed[8:10] = changed[end + 10 : end + 12] = struct.pack("<H", kind)
    return bytes(changed)


ONE = batches.zipped({"a.png": DIGITS[7]})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (flagged(ONE, 1), "the file is encrypted"),
        (flagged(ONE, 1 | 64), "the file is encrypted"),
        (flagged(ONE, 64), "the file is compressed in a way that is not read"),
        (flagged(ONE, 32), "the file is compressed in a way that is not read"),
        *(
            (compressed_as(ONE, kind), "the file is compressed in a way that is not read")
            for kind in (1, 9, 12, 14, 93)
        ),
        (compressed_as(ONE, 0), "the file is damaged"),
        (ONE[:60] + bytes([ONE[60] ^ 255]) + ONE[61:], "the file is damaged"),
        (b"PK\x03\x03" + ONE[4:], "the file is damaged"),
        (ONE.replace(b"a.png", b"b.png", 1), "the file is damaged"),
    ],
)
def test_a_member_of_a_zip_that_cannot_be_read_is_a_line(data: bytes, told: str) -> None:
    (item,) = batches.source("a.zip", data).items()
    assert batches.problem(item) == told
    assert (item.name, item.after, item.content.sha256) == ("a.png", 1, None)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_whose_memory_has_no_bounds_is_not_read(kind: int) -> None:
    (item,) = batches.source("a.zip", batches.zipped({"a.png": bytes(MEGABYTE)}, kind)).items()
    assert batches.problem(item) == "the file is compressed in a way that is not read"


def test_sizes_that_lie_do_not_get_a_zip_past_the_limits() -> None:
    data = bytearray(batches.zipped({"a.png": bytes(MEGABYTE)}))
    end = data.rindex(b"PK\x01\x02")
    data[22:26] = data[end + 24 : end + 28] = struct.pack("<L", 100)
    (item,) = batches.source("a.zip", bytes(data)).items()
    assert batches.problem(item) == "the file is damaged"


def with_directory(count: int, entries: int, *, is_64: bool = False, hidden: bool = False) -> bytes:
    """A zip of nothing but a directory of empty entries, which says how many they are."""
    directory = batches.directory_entry() * entries
    more = batches.zip64_end(count, len(directory), 4) if is_64 or hidden else b""
    told = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if is_64 else (1, 46, 4) if hidden else (count, len(directory), 4)
    return b"PK\x03\x04" + directory + more + batches.zip_end(*told)


@pytest.mark.parametrize("place", ["directory", "zip64", "hidden zip64"])
@pytest.mark.parametrize(
    ("count", "entries", "told"),
    [
        (1_000_000, 1_000_000, "the archive's directory has 46,000,000 bytes"),
        (850_000, 850_000, "the archive has 850,000 entries, where up to 200,000 are read"),
        (1, 850_000, "the archive has 850,000 entries, where up to 200,000 are read"),
    ],
)
def test_a_million_empty_entries_are_refused_before_they_are_read(
    count: int, entries: int, told: str, place: str
) -> None:
    data = with_directory(count, entries, is_64=place == "zip64", hidden=place == "hidden zip64")
    assert batches.refused("a.zip", data).startswith(told)


@pytest.mark.parametrize("count", [200_001, 2**63])
def test_so_many_entries_are_believed_where_they_are_only_claimed(count: int) -> None:
    assert batches.refused("a.zip", with_directory(count, 1, is_64=True)).startswith(f"the archive has {count:,} ")


@pytest.mark.parametrize("count", [0, 1, 3, 200])
def test_a_zip_that_counts_its_files_wrongly_is_damaged(count: int) -> None:
    data = bytearray(batches.zipped({"a": DIGITS[1], "b": DIGITS[2]}))
    assert data[-12:-10] == b"\2\0"
    data[-12] = count
    assert batches.refused("a.zip", bytes(data)) == "the archive is damaged or truncated"


def test_zip64_records_that_are_not_where_they_are_said_to_be_are_damage() -> None:
    data = with_directory(5, 5, is_64=True)
    place = data.rindex(b"PK\x06\x07") + 8
    moved = data[:place] + struct.pack("<Q", 4) + data[place + 8 :]
    assert batches.refused("a.zip", moved) == "the archive is damaged or truncated"
    assert batches.refused("a.zip", b"PK" + data[-96:]) == "the archive is damaged or truncated"


def test_entries_in_one_place_are_a_bomb() -> None:
    one = batches.zipped({"a.png": DIGITS[7]})
    place = one.rindex(b"PK\x01\x02")
    directory = one[place:-22] * 1_000
    data = one[:place] + directory + batches.zip_end(1_000, len(directory), place)
    assert batches.refused("a.zip", data) == "the archive is damaged or truncated"


def test_an_entry_that_reaches_into_the_next_is_a_line() -> None:
    data = bytearray(batches.zipped({"a.png": DIGITS[7], "b.png": DIGITS[1]}, zipfile.ZIP_STORED))
    first = data.index(b"PK\x01\x02")
    longer = struct.pack("<LL", len(DIGITS[7]) + 100, len(DIGITS[7]) + 100)
    data[18:26] = data[first + 20 : first + 28] = longer
    problems = [batches.problem(item) for item in batches.source("a.zip", bytes(data)).items()]
    assert problems == ["the file is damaged", None]


@pytest.mark.parametrize("place", [2**31, 2**32 - 1])
def test_an_entry_that_lies_outside_of_the_file_is_damage(place: int) -> None:
    entry = batches.directory_entry(b"a", place=place)
    data = b"PK\x03\x04" + entry + batches.zip_end(1, len(entry), 4)
    assert batches.refused("a.zip", data) == "the archive is damaged or truncated"


def test_an_encrypted_table_of_labels_is_no_small_matter() -> None:
    data = flagged(batches.zipped({"labels.csv": b"name,label\na,1\n"}), 1)
    assert batches.refused("a.zip", data) == "labels.csv: the file is encrypted"
