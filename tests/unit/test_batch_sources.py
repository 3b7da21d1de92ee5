"""Inputs of a batch, whatever they are: what they are taken for, where they go on, and how they end."""

from __future__ import annotations

import struct
import tarfile
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digits.errors import ConflictError, DigitsError, InputError, StoreError
from functions.batch import contents
from functions.batch.errors import SourceError
from functions.batch.sources import ObjectFile
from tests import batches, events
from tests.batches import DIGITS

KINDS = dict(batches.every_kind())
OBJECTS = {"a.png": DIGITS[7], "b.png": DIGITS[3]}
# Whose truncation shows, as they tell their length or have an end.
BOUNDED = ("a.zip", "a.tar", "a.tar.gz", "stored.npz", "a.npz", "digits-idx3-ubyte", "digits-idx3-ubyte.gz")
CUTS = 200


@pytest.mark.parametrize("name", KINDS)
def test_it_goes_on_with_exactly_the_rest_after_any_picture(name: str) -> None:
    whole = batches.told(batches.source(name, KINDS[name], OBJECTS).items())
    assert whole
    given = batches.source(name, KINDS[name], OBJECTS)
    for number, item in enumerate(given.items(), 1):
        if item.after is not None:
            rest = batches.source(name, KINDS[name], OBJECTS)
            rest.labels.update(given.labels)  # which are kept with the place
            assert batches.told(rest.items(item.after)) == whole[number:]


@pytest.mark.parametrize("name", KINDS)
def test_only_within_a_file_of_several_pictures_it_must_not_stop(name: str) -> None:
    items = list(batches.source(name, KINDS[name], OBJECTS).items())
    for item, following in zip(items, [*items[1:], None], strict=True):
        more = following is not None and (following.name, item.page) == (item.name, (following.page or 0) - 1)
        assert (item.after is None) == (more and name not in ("a.tiff", "a.pdf"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_archives_give_files_and_pages_with_their_labels(name: str) -> None:
    given = batches.source(name, KINDS[name])
    items = list(given.items())
    assert [(each.name, each.page, each.label) for each in items] == [
        ("7/a.png", None, "7"),
        ("plain.png", None, None),
        ("folder/b.png", None, None),
        ("broken.png", None, None),
        ("scans.tiff", 1, None),
        ("scans.tiff", 2, None),
        ("scans.tiff", 3, None),
        ("form.pdf", 1, None),
        ("form.pdf", 2, None),
    ]
    assert given.labels == {"plain.png": "4", "folder/b.png": "1"}
    assert [each.name for each in items if batches.problem(each)] == ["broken.png"]
    assert items[0].content.sha256 == items[0].content.picture().sha256


@pytest.mark.parametrize("name", BOUNDED)
def test_what_is_truncated_says_so_or_has_as_many_lines(name: str) -> None:
    data = KINDS[name]
    count = len(list(batches.source(name, data).items()))
    for length in range(0, len(data), max(1, len(data) // CUTS)):
        try:
            found = batches.told(batches.source(name, data[:length]).items())
        except SourceError:
            continue
        assert len(found) == count, length


@pytest.mark.parametrize("name", BOUNDED)
def test_the_last_bytes_count_as_well(name: str) -> None:
    data = KINDS[name] if name != "a.tar" else KINDS[name].rstrip(b"\0")
    for missing in range(1, 40):
        with pytest.raises(SourceError):
            list(batches.source(name, data[:-missing]).items())


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_input_raises_nothing_that_is_not_meant(name: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(KINDS[name])
    for place, value in flips:
        data[int(place * len(data))] = value
    _read(name, bytes(data))


@pytest.mark.parametrize(
    ("name", "mark"), [("a.zip", b"PK"), ("a.npz", b"PK"), ("stored.npz", b"NUMPY"), ("a.tiff", b"II*")]
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_headers_raise_nothing_that_is_not_meant(name: str, mark: bytes, data: Any) -> None:
    whole = bytearray(KINDS[name])
    place = data.draw(st.sampled_from(_places(whole, mark))) + data.draw(st.integers(0, 90))
    whole[min(place, len(whole) - 1)] = data.draw(st.integers(0, 255))
    _read(name, bytes(whole))


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wrong_headers_of_a_tar_raise_nothing_that_is_not_meant(kind: int, data: Any) -> None:
    files = {"ä" * 70 + "/a.png": DIGITS[7], "b.png": DIGITS[1], "labels.csv": b"name,label\nb.png,1\n"}
    whole = bytearray(batches.tarred(files, kind=kind))
    start = data.draw(st.sampled_from(_places(whole, b"ustar"))) - 257
    for _ in range(data.draw(st.integers(1, 12))):
        # Most of all in the size and the type.
        place = data.draw(st.one_of(st.integers(124, 135), st.just(156), st.integers(0, 511)))
        whole[start + place] = data.draw(st.one_of(st.sampled_from(b"01234567LKxgSXV\xff\x80"), st.integers(0, 255)))
    whole[start : start + 512] = batches.summed(bytes(whole[start : start + 512]))
    for name in ("a.tar", "a.tar.gz"):
        _read(name, bytes(whole) if name == "a.tar" else batches.gzipped(bytes(whole)))


def _places(data: bytearray, mark: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(mark, at)]


def _read(name: str, data: bytes) -> None:
    try:
        for item in batches.source(name, data, OBJECTS).items():
            batches.problem(item)
            assert item.content.sha256 is None or len(item.content.sha256) == 64
    except SourceError:
        pass


@pytest.mark.parametrize("error", [StoreError("gone"), ConflictError("overwritten")])
@pytest.mark.parametrize("name", KINDS)
def test_what_the_store_says_is_not_taken_for_damage(name: str, error: DigitsError) -> None:
    data = KINDS[name]
    for place in range(0, len(data), max(1, len(data) // 25)):
        with pytest.raises(type(error)) as raised:
            list(batches.failing(name, data, place, error, OBJECTS).items())
        assert raised.value is error


@pytest.mark.parametrize("error", [StoreError("gone"), ConflictError("overwritten")])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_what_the_store_says_of_a_named_object_is_not_taken_for_damage(name: str, error: DigitsError) -> None:
    def fetch(key: str) -> bytes:
        raise error

    given = batches.source(name, KINDS[name])
    given.fetch = fetch
    with pytest.raises(type(error)) as raised:
        list(given.items())
    assert raised.value is error


# Pictures and documents alone


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a", "a.jpg", "a.zip", "a.tar.gz"])
def test_a_picture_is_one_whatever_its_name(name: str) -> None:
    (item,) = batches.source(name, DIGITS[8]).items()
    assert (item.name, item.page, item.after) == (name, None, 1)
    assert np.array_equal(batches.pixels(item), batches.digit_pixels(8)[0])


@pytest.mark.parametrize("name", ["a.tiff", "a", "a.pdf", "a.png"])
def test_the_pages_of_a_tiff_are_pictures_whatever_its_name(name: str) -> None:
    items = list(batches.source(name, batches.document("TIFF", 3, 1, 4)).items())
    assert [(each.name, each.page, each.after) for each in items] == [(name, 1, 1), (name, 2, 2), (name, 3, 3)]
    for item, expected in zip(items, batches.digit_pixels(3, 1, 4), strict=True):
        assert np.array_equal(batches.pixels(item), expected)


def test_a_page_after_the_first_is_sent_as_a_picture_of_its_own() -> None:
    first, second = batches.source("a.tiff", batches.document("TIFF", 3, 1)).items()
    assert first.content.request() == contents.File(batches.document("TIFF", 3, 1), "").request()
    sent = batches.jsonl(second.content.request())
    (item,) = batches.source("a.jsonl", sent).items()
    assert np.array_equal(batches.pixels(item), batches.digit_pixels(1)[0])


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.png"])
def test_the_pages_of_a_pdf_are_drawn_whatever_its_name(name: str) -> None:
    first, second = batches.source(name, batches.document("PDF", 5, 6)).items()
    assert (first.page, second.page) == (1, 2)
    for item, digit in ((first, 5), (second, 6)):
        drawn = batches.pixels(item).astype(int)
        ink = np.asarray(batches.digit_pixels(digit)[0] > 127)
        assert drawn.shape == (59, 59)  # 28 points at 150 dots an inch
        assert abs((drawn > 127).mean() - ink.mean()) < 0.05


@pytest.mark.parametrize("sides", [(14_400, 1), (1, 14_400)])
def test_a_page_that_is_a_line_is_a_picture_with_two_sides(sides: tuple[int, int]) -> None:
    box = "/MediaBox [0 0 {:05} {:05}]".format(*sides).encode()
    (item,) = batches.source("a.pdf", _with_box(box)).items()
    height, width = batches.pixels(item).shape
    assert (width > height) == (sides[0] > sides[1])
    assert min(height, width) == 1


@pytest.mark.parametrize("box", [b"/MediaBox [0 0 0 0]", b"/MediaBox [nan nan 1 1]", b"/MediaBox [0 0 1e38 1]"])
def test_a_page_of_no_size_is_a_problem_or_a_picture(box: bytes) -> None:
    for item in batches.source("a.pdf", _with_box(box)).items():
        assert batches.problem(item) or batches.pixels(item).size


def _with_box(box: bytes) -> bytes:
    data = batches.document("PDF", 5)
    start = data.index(b"/MediaBox")
    return data[:start] + box + data[data.index(b"]", start) + 1 :]


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing", b"%PDF-"])
def test_a_pdf_that_cannot_be_read_is_a_line(data: bytes) -> None:
    (item,) = batches.source("a.pdf", data).items()
    assert batches.problem(item) == "the PDF is damaged, or needs a password"
    assert item.content.sha256 is not None
    with pytest.raises(InputError):
        item.content.request()


@pytest.mark.parametrize("kind", ["TIFF", "PDF"])
def test_a_document_with_too_many_pages_is_one_line(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_PAGES", 2)
    data = batches.document(kind, 1, 2, 3)
    (item,) = batches.source(f"a.{kind}", data).items()
    assert batches.problem(item) == "the file has more than the 2 pages that are read"
    (item,) = batches.source("a.zip", batches.zipped({"a": data})).items()
    assert item.after == 1
    assert len(list(batches.source("a", batches.document(kind, 1, 2)).items())) == 2


def test_a_tiff_with_a_hundred_thousand_directories_is_refused_soon() -> None:
    (item,) = batches.source("a.tiff", _directories(100_000)).items()
    assert batches.problem(item) == "the file has more than the 2,000 pages that are read"


def test_a_tiff_whose_directories_go_round_has_an_end() -> None:
    assert len(list(batches.source("a.tiff", _directories(3, last=8)).items())) == 3


def _directories(count: int, last: int = 0) -> bytes:
    """A TIFF of tiny directories, one after another, and where the last one leads."""
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    size = 2 + len(entries) + 4
    each = (8 + size * number for number in range(1, count))
    head = struct.pack("<H", len(tags)) + entries
    return b"II*\0\x08\0\0\0" + b"".join(head + struct.pack("<I", place) for place in (*each, last))


# What is none


@pytest.mark.parametrize("name", ["a.zip", "a.png", "a.csv", "a.jsonl", "a.npz", "a"])
def test_an_empty_file_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="the file is empty"):
        list(batches.source(name, b"").items())


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.npz", "a.txt", "a", "a.7z", "labels"])
@pytest.mark.parametrize("data", [b"nothing that is known", b"\x1f\x8b\x08", b"\0" * 10_240, b"7z\xbc\xaf\x27\x1c"])
def test_an_unknown_format_is_refused_and_told_what_is_read(name: str, data: bytes) -> None:
    with pytest.raises(SourceError, match=r"it is no zip, tar, tar\.gz, jsonl, csv, npz, IDX, PDF, or a picture"):
        list(batches.source(name, data).items())


@pytest.mark.parametrize(("name", "data"), [("a.zip", batches.zipped({})), ("a.zip", batches.zipped({"a/": b""}))])
def test_an_empty_archive_holds_no_picture(name: str, data: bytes) -> None:
    assert list(batches.source(name, data).items()) == []


def test_gzip_of_something_else_is_refused() -> None:
    with pytest.raises(SourceError, match="it is no"):
        list(batches.source("a.csv.gz", batches.gzipped(b"key\na.png\n")).items())


@pytest.mark.parametrize("name", ["a.tar", "a.png", "a", "a.gz"])
@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz", "digits-idx3-ubyte", "digits-idx3-ubyte.gz"])
def test_what_shows_in_the_bytes_is_believed_before_the_name(name: str, kind: str) -> None:
    expected = batches.told(batches.source(kind, KINDS[kind]).items())
    assert batches.told(batches.source(name, KINDS[kind]).items()) == expected


def test_requests_are_known_without_a_suffix() -> None:
    assert len(list(batches.source("a", batches.jsonl(events.image_json(1), events.image_json(2))).items())) == 2


def test_a_document_that_is_too_large_to_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.batch.sources.MOST_DOCUMENT_BYTES", 100)
    with pytest.raises(SourceError, match="as one picture, up to 100 are read"):
        list(batches.source("a.png", DIGITS[8]).items())


# An object of the bucket as a file


class Ranges:
    """A bucket that keeps which ranges it was asked for."""

    def __init__(self, data: bytes) -> None:
        self._data, self.asked = data, 0

    def get_range(self, key: str, start: int, stop: int, etag: str) -> bytes:
        if etag != "tag":
            raise ConflictError(key)
        self.asked += 1
        return self._data[start:stop]


@pytest.mark.parametrize("name", KINDS)
def test_an_object_is_read_as_a_file_is(name: str) -> None:
    given = batches.source(name, KINDS[name], OBJECTS)
    expected = batches.told(given.items())
    bucket: Any = Ranges(KINDS[name])
    given.file = ObjectFile.opened(bucket, "key", given.size, "tag")
    assert batches.told(given.items()) == expected
    assert 1 <= bucket.asked <= 20


def test_an_object_that_was_overwritten_says_so() -> None:
    bucket: Any = Ranges(b"data")
    with pytest.raises(ConflictError, match=r"in/a\.zip was overwritten while it was read"):
        ObjectFile.opened(bucket, "in/a.zip", 4, "another").read()
