"""Tars as inputs of a batch."""

from __future__ import annotations

import gzip
import tarfile
import tracemalloc

import pytest

from functions.batch import archives
from functions.batch.errors import SourceError
from tests import batches
from tests.batches import DIGITS, MEGABYTE

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_usual_tar_is_read(name: str, kind: str) -> None:
    path = "/".join(["folder"] * (30 if kind != "ustar" else 5)) + "/7/ä.png"
    data = batches.packed_tar(name, batches.tarred({path: DIGITS[7], "7": DIGITS[1]}, kind=FORMATS[kind]))
    first, second = batches.source(name, data).items()
    assert (first.name, first.label) == (path, "7")
    assert batches.problem(first) is batches.problem(second) is None


@pytest.mark.parametrize("padding", [512, 10_240, 3 * MEGABYTE])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_tar_may_be_padded(name: str, padding: int) -> None:
    data = batches.tarred({"a": DIGITS[7]}).rstrip(b"\0")
    data += bytes(-len(data) % 512 + padding)
    assert len(list(batches.source(name, batches.packed_tar(name, data)).items())) == 1


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("kind", LINKS)
def test_a_link_or_device_is_a_line_and_not_followed(name: str, kind: bytes) -> None:
    info = tarfile.TarInfo("link.png")
    info.type, info.linkname = kind, "/etc/passwd"
    first, second = batches.source(name, batches.packed_tar(name, batches.tarred({"a.png": DIGITS[1]}, info))).items()
    assert batches.problem(first) is None
    assert batches.problem(second) == "this is no file, but a link, a device, or one with holes"


def test_a_file_with_holes_is_not_filled() -> None:
    info = tarfile.TarInfo("holes.png")
    info.pax_headers = {"GNU.sparse.map": "0,0,1000000,0", "GNU.sparse.size": "1000000", "GNU.sparse.numblocks": "2"}
    (item,) = batches.source("a.tar", batches.tarred({}, info)).items()
    assert batches.problem(item) == "this is no file, but a link, a device, or one with holes"


@pytest.mark.parametrize("large", ["a member", "what follows the end"])
def test_what_is_skipped_in_a_tar_counts_as_well(large: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_COUNTS_FROM", 10 * MEGABYTE)
    members = {"large.png": bytes(40 * MEGABYTE)} if large == "a member" else {"a.png": DIGITS[1]}
    tar = batches.tarred(members) + bytes(0 if large == "a member" else 40 * MEGABYTE)
    assert "times its size" in batches.refused("a.tar.gz", batches.gzipped(tar))


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_the_files_of_a_tar_are_counted_from_its_beginning(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches.limit(monkeypatch, "MOST_MEMBERS", 3)
    data = batches.packed(name, dict.fromkeys("abcd", DIGITS[1]))
    first = next(batches.source(name, data).items())
    assert first.after is not None
    with pytest.raises(SourceError, match="more than 3 members"):
        list(batches.source(name, data).items(first.after))


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_table_may_stand_anywhere_in_a_tar(name: str) -> None:
    table = b"\xef\xbb\xbfname,label\na.png,7\nb.png,3\n"
    given = batches.source(
        name, batches.packed(name, {"in/a.png": DIGITS[7], "in/labels.csv": table, "in/b.png": DIGITS[3]})
    )
    items = given.items()
    assert next(items).name == "in/a.png"
    assert next(items).name == "in/b.png"
    assert given.labels == {"in/a.png": "7", "in/b.png": "3"}


# Of ill will


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """A header of a tar alone."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_would_fill_the_memory_is_refused(kind: bytes) -> None:
    tar = header(kind, 60 * MEGABYTE) + bytes(60 * MEGABYTE) + header(tarfile.REGTYPE, 0) + bytes(1_024)
    assert "header" in batches.refused("a.tar.gz", gzip.compress(tar, 1))


def test_global_headers_do_not_pile_up() -> None:
    parts = []
    for number in range(600):
        text = b" k%d=" % number + b"v" * 100_000 + b"\n"
        record = b"%d" % (len(text) + 6) + text
        parts.append(header(tarfile.XGLTYPE, len(record)) + record + bytes(-len(record) % 512))
        parts.append(header(tarfile.REGTYPE, 0))
    tar = b"".join(parts) + bytes(1_024)
    given = batches.source("a.tar", tar)
    tracemalloc.start()
    try:
        assert sum(1 for _ in given.items()) == 600
        assert tracemalloc.get_traced_memory()[1] < 10 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_chain_of_headers_without_an_end_is_damage() -> None:
    record = b"11 path=ab\n"
    one = header(tarfile.XHDTYPE, len(record)) + record + bytes(512 - len(record))
    for count in (50, 5_000):
        data = one * count + header(tarfile.REGTYPE, 0) + bytes(1_024)
        try:
            assert len(list(batches.source("a.tar", data).items())) == 1
        except SourceError:
            assert count > 50


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("damage", ["header", "zeros", "cut"])
def test_a_tar_that_stops_making_sense_is_no_shorter_tar(name: str, damage: str) -> None:
    tar = batches.tarred(dict.fromkeys(("a", "b", "c"), DIGITS[7]), kind=tarfile.GNU_FORMAT)
    second = 512 + -(-len(DIGITS[7]) // 512) * 512
    changed = {
        "header": tar[:second] + b"!" + tar[second + 1 :],
        "zeros": tar[:second] + bytes(512) + tar[second + 512 :],
        "cut": tar[:second],
    }[damage]
    assert "the archive" in batches.refused(name, batches.packed_tar(name, changed))


def test_negative_sizes_are_damage() -> None:
    for size in (-1, -512, -1_024, -(2**40)):
        tar = _negative(size) + DIGITS[1] + bytes(2_048)
        assert "the archive" in batches.refused("a.tar", tar)
        assert "the archive" in batches.refused("a.tar.gz", batches.gzipped(tar))


def _negative(size: int) -> bytes:
    plain = header(tarfile.REGTYPE, 0)
    return batches.summed(plain[:124] + b"\xff" + (size % 2**88).to_bytes(11, "big") + plain[136:])


def test_a_damaged_checksum_of_gzip_is_damage() -> None:
    data = bytearray(batches.gzipped(batches.tarred({"a": DIGITS[1]})))
    data[-6] ^= 1
    assert batches.refused("a.tar.gz", bytes(data)) == "the archive is damaged or truncated"
