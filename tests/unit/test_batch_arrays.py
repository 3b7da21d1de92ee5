"""Arrays of pictures as inputs of a batch."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from functions.batch import archives
from functions.batch.errors import SourceError
from tests import batches

DIGITS = batches.digit_pixels(3, 1, 4)
LABELS = np.array([3, 1, 4])


def read(**arrays: Any) -> list[tuple[str, str | None]]:
    """Names and labels of what is read."""
    return [(each.name, each.label) for each in batches.source("a.npz", batches.npz(**arrays)).items()]


def refused(name: str, data: bytes) -> str:
    with pytest.raises(SourceError) as raised:
        list(batches.source(name, data).items())
    return str(raised.value)


# npz


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        DIGITS,
        DIGITS.reshape(3, 784),
        DIGITS[..., None],
        DIGITS.astype(np.int64),
        DIGITS.astype(">u2"),
        DIGITS.astype(np.float32),
        DIGITS / 255,
        (DIGITS / 255).astype(">f4"),
    ],
    ids=["uint8", "rows", "channel", "int64", "big-endian", "float32", "shares", "big-endian shares"],
)
def test_pictures_come_out_as_they_went_in(values: Any, compressed: bool) -> None:
    items = list(batches.source("a.npz", batches.npz(compressed=compressed, images=values)).items())
    assert [(each.name, each.after, each.label) for each in items] == [
        (f"images[{number}]", number + 1, None) for number in range(3)
    ]
    for item, expected in zip(items, DIGITS, strict=True):
        assert np.array_equal(batches.pixels(item), expected)
        assert item.content.sha256 == item.content.picture().sha256


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32, np.float64])
def test_pictures_of_noughts_and_ones_are_black_and_white(kind: Any) -> None:
    items = list(batches.source("a.npz", batches.npz(x=(DIGITS > 127).astype(kind))).items())
    for item, digit in zip(items, DIGITS, strict=True):
        assert np.array_equal(batches.pixels(item), np.where(digit > 127, 255, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 256.0, 1e300])
def test_a_picture_of_other_numbers_is_a_line(value: float) -> None:
    values = DIGITS.astype(np.float64)
    values[1, 5, 5] = value
    problems = [batches.problem(each) for each in batches.source("a.npz", batches.npz(x=values)).items()]
    assert problems == [None, "the numbers of a picture must lie in 0..255, or in 0..1", None]


def test_other_sides_than_28_are_pictures_as_well() -> None:
    (item,) = batches.source("a.npz", batches.npz(x=np.full((1, 50, 30), 9, np.uint8))).items()
    assert batches.pixels(item).shape == (50, 30)
    assert "image" in item.content.request()


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        ("x", "y"),
        ("x_test", "y_test"),
        ("X_test", "y_test"),
        ("test_images", "test_labels"),
        ("images", "labels"),
        ("image", "label"),
        ("data", "target"),
        ("scans", "truth"),
    ],
)
def test_labels_are_found_by_their_name_or_as_the_only_ones(pictures: str, labels: str) -> None:
    names = [f"{pictures}[{number}]" for number in range(3)]
    assert read(**{labels: LABELS, pictures: DIGITS}) == list(zip(names, "314", strict=True))


def test_each_of_several_arrays_has_labels_of_its_own() -> None:
    told = read(
        x_train=DIGITS[:2],
        y_train=LABELS[:2],
        x_test=DIGITS[2:],
        y_test=LABELS[2:].astype(np.uint8),
        extra=DIGITS[:1],
        version=np.array(7),
        note=np.array(["text"]),
        empty=DIGITS[:0],
    )
    assert told == [("x_train[0]", "3"), ("x_train[1]", "1"), ("x_test[0]", "4"), ("extra[0]", None)]


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({}, "the file holds no array of pictures"),
        ({"y": LABELS}, "the file holds no array of pictures"),
        ({"x": DIGITS, "y": LABELS[:2]}, "'y' has 2 labels, not one for each picture"),
        ({"x": DIGITS, "y": np.arange(4)}, "'y' has 4 labels, not one for each picture"),
        ({"x": np.asfortranarray(DIGITS)}, "the array 'x' is in Fortran's order, which is not read"),
        ({"x": DIGITS.astype(object)}, "the array 'x' is object (3, 28, 28), where pictures are numbers"),
        ({"x": DIGITS.astype(complex)}, "the array 'x' is complex128"),
        ({"x": np.array([["a", "b"]])}, "the array 'x' is <U1 (1, 2)"),
        ({"x": np.zeros((2, 10))}, "the array 'x' is float64 (2, 10)"),
        ({"x": np.zeros((2, 28, 28, 3), np.uint8)}, "the array 'x' is uint8 (2, 28, 28, 3)"),
        ({"x": np.zeros((2, 0, 28), np.uint8)}, "its pictures have 28x0 pixels"),
        ({"x": np.zeros((0, 50_000, 50_000), np.uint8)}, "its pictures have 50000x50000 pixels"),
        ({"x": DIGITS, "z": np.zeros((2, 10))}, "the array 'z' is float64 (2, 10)"),
    ],
)
def test_what_holds_something_else_is_refused_before_a_picture_is_read(arrays: dict[str, Any], told: str) -> None:
    given = batches.source("a.npz", batches.npz(**arrays))
    with pytest.raises(SourceError) as raised:
        next(given.items())
    assert told in str(raised.value)


def header(shape: str, descr: str = "'|u1'", more: str = "") -> bytes:
    """An array's header alone."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "member",
    [
        header("(1000000000000, 28, 28)"),
        header("(-5, 28, 28)"),
        header("(1, -28, -28)"),
        header("(True, 28, 28)"),
        header("(1, 28"),
        header("(1, 28L, 28)"),
        header("(1, 28, 28) '''"),
        header("(1, 28,\n 28)\n  x"),
        header("[1, 28, 28]"),
        header("(1.0, 28, 28)"),
        header("(1, 28, 28)", "'nonsense'"),
        header("(1, 28, 28)", "[('a', 'O')]"),
        header("(1, 28, 28)", "'|O'"),
        header("(1, 28, 28)", "'|V0'"),
        header("(1, 28, 28)", more=", 'more': 1"),
        header("(" * 3_000),
        header("-" * 9_000 + "1"),
        header("(1, 28, 28)", "'" + "x" * 60_000 + "'"),
        b"\x93NUMPY\x09\x09" + header("(1, 28, 28)")[8:],
        b"\x93NUMPY",
        b"",
        b"no array",
    ],
)
def test_a_header_of_ill_will_is_damage(member: bytes) -> None:
    assert refused("a.npz", batches.zipped({"x.npy": member}))


def test_labels_that_end_early_are_damage() -> None:
    file = io.BytesIO()
    np.save(file, LABELS)
    arrays = {"y.npy": file.getvalue()[:-8], "x.npy": header("(3, 28, 28)") + DIGITS.tobytes()}
    assert refused("a.npz", batches.zipped(arrays)) == "the array 'y' ends before its 3 labels do"


def test_an_array_that_ends_early_says_where() -> None:
    data = batches.zipped({"x.npy": header("(3, 28, 28)") + DIGITS.tobytes()[:-1]})
    assert refused("a.npz", data) == "the array 'x' ends after 2 of 3 pictures"


@pytest.mark.parametrize("start", [0, 1, 29])
def test_a_wrong_checksum_is_damage_wherever_one_begins(start: int) -> None:
    data = batches.npz(x=np.concatenate([DIGITS] * 10))
    place = data.index(DIGITS[0].tobytes()[100:300]) + 120
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    given = batches.source("a.npz", changed)
    with pytest.raises(SourceError, match="the file is damaged or truncated"):
        list(given.items(start))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_than_those_of_numpy_are_refused(compression: int) -> None:
    member = header("(3, 28, 28)") + DIGITS.tobytes()
    assert refused("a.npz", batches.zipped({"x.npy": member}, compression)) == "the file is damaged or truncated"


def test_arrays_of_nothing_are_no_way_around_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_COUNTS_FROM", 2**20)
    nothing = np.zeros((5_000, 28, 28), np.uint8)
    assert "times its size" in refused("a.npz", batches.npz(compressed=True, x=nothing))
    assert "times its size" in refused("a.gz", batches.gzipped(batches.idx(nothing)))
    assert len(read(x=nothing)) == 5_000


# IDX


@pytest.mark.parametrize("compressed", [False, True])
def test_the_pictures_of_an_idx_file_come_out_as_they_went_in(compressed: bool) -> None:
    data = batches.gzipped(batches.idx(DIGITS)) if compressed else batches.idx(DIGITS)
    items = list(batches.source("t10k-images-idx3-ubyte", data).items())
    assert [(each.name, each.after, each.label) for each in items] == [
        ("[0]", 1, None),
        ("[1]", 2, None),
        ("[2]", 3, None),
    ]
    for item, expected in zip(items, DIGITS, strict=True):
        assert np.array_equal(batches.pixels(item), expected)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (batches.idx(LABELS.astype(np.uint8)), "an IDX file of pictures holds bytes, in three dimensions"),
        (batches.idx(DIGITS[None]), "an IDX file of pictures holds bytes, in three dimensions"),
        (batches.idx(DIGITS)[:9], "the file is damaged or truncated"),
        (batches.idx(DIGITS)[:-1], "the file ends after 2 of its 3 pictures"),
        (batches.idx(DIGITS) + b"\0", "the file goes on after its 3 pictures"),
        (batches.idx(np.zeros((3, 0, 28), np.uint8)), "its pictures have 28x0 pixels"),
        (batches.idx(np.zeros((0, 50_000, 50_000), np.uint8)), "its pictures have 50000x50000 pixels"),
    ],
)
def test_what_is_no_idx_file_of_pictures_is_refused(data: bytes, told: str) -> None:
    assert told in refused("a", data)
    assert told in refused("a.gz", batches.gzipped(data))


def test_the_checksum_of_a_compressed_idx_file_counts() -> None:
    data = bytearray(batches.gzipped(batches.idx(DIGITS)))
    data[-6] ^= 1
    assert refused("a.gz", bytes(data)) == "the file is damaged or truncated"
