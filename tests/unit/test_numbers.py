"""Pictures of numbers that judge a reader: always the same, as told, others for another part, and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.components import find_components
from digits.pictures.rows import LINE_HEIGHT, find_rows
from training import numbers
from training.dataset import Part, load_subset
from training.numbers import KINDS, MOST_DIGITS, NO_NUMBER, Numbers, number_pictures, picture, pictures_sha256

SUBSET = load_subset()
PART, TEST_PART = SUBSET.holdout.sample(60), SUBSET.test.sample(60)
ROWS = tuple(kind for kind in KINDS if kind not in ("page", NO_NUMBER))


def test_there_is_a_kind_for_each_way_that_numbers_are_written() -> None:
    assert list(KINDS) == ["separated", "touching", "in cells", "ruled", "photographed", "page", NO_NUMBER]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_always_the_same_and_another_one_for_another_index_or_part(kind: str) -> None:
    pixels, text = picture(PART, kind, 3)
    assert pixels.dtype == np.uint8
    same, same_text = picture(PART, kind, 3)
    np.testing.assert_array_equal(pixels, same)
    assert text == same_text
    assert not np.array_equal(pixels, picture(PART, kind, 4)[0])
    if kind != NO_NUMBER:
        assert not np.array_equal(pixels, picture(TEST_PART, kind, 3)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_texts_have_as_many_rows_and_digits_as_their_kind(kind: str) -> None:
    for index in range(12):
        _, text = picture(PART, kind, index)
        rows = text.split("\n")
        if kind == NO_NUMBER:
            assert text == ""
            continue
        assert (2 <= len(rows) <= 5) if kind == "page" else len(rows) == 1
        assert all(row.isdecimal() and 1 <= len(row) <= MOST_DIGITS for row in rows)


def sevens() -> Part:
    return Part(PART.images[PART.labels == 7], PART.labels[PART.labels == 7])


def test_texts_are_the_labels_of_the_digits_on_the_picture() -> None:
    """Of sevens, which are a stroke each, there are as many as the text says."""
    part, right = sevens(), 0
    for index in range(10):
        pixels, text = picture(part, "separated", index)
        assert set(text) == {"7"}
        found = find_rows(pixels).rows
        _, parts = find_components(found[0].pixels >= 100)
        right += len(found) == 1 and len([each for each in parts if each.height > LINE_HEIGHT / 3]) == len(text)
    assert right >= 8


@pytest.mark.parametrize("kind", [*ROWS, "page"])
def test_most_pictures_show_as_many_rows_as_their_text_has(kind: str) -> None:
    right = 0
    for index in range(12):
        pixels, text = picture(PART, kind, index)
        right += len(find_rows(pixels).rows) == len(text.split("\n"))
    assert right >= (8 if kind == "page" else 10)


def test_touching_digits_hang_together_more_often_than_separated_ones() -> None:
    def pieces(kind: str) -> float:
        counts = []
        for index in range(12):
            pixels, text = picture(PART, kind, index)
            for row in find_rows(pixels).rows[:1]:
                counts.append(len(find_components(row.pixels >= 100)[1]) / len(text))
        return float(np.mean(counts))

    assert pieces("touching") < 0.8 < pieces("separated")


# Kept


@pytest.fixture
def two_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "PICTURES_PER_KIND", 2)


@pytest.mark.usefixtures("two_of_each")
def test_the_same_part_has_the_same_digest_and_another_one_another(tmp_path: Path) -> None:
    ours, again, theirs = (
        number_pictures(part, tmp_path / name) for name, part in (("a", PART), ("b", PART), ("c", TEST_PART))
    )
    assert {kind: len(each) for kind, each in ours.items()} == dict.fromkeys(KINDS, 2)
    assert pictures_sha256(ours) == pictures_sha256(again) != pictures_sha256(theirs)
    for kind in ROWS:
        assert [text for text, _ in ours[kind].pictures()] == [picture(PART, kind, index)[1] for index in range(2)]


@pytest.mark.usefixtures("two_of_each")
def test_pictures_of_numbers_are_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = number_pictures(PART, tmp_path, said.append)
    assert said == ["numbers: drawing 14 pictures of them, once for this data set"]

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(numbers, "find_rows", refuse)
    kept = number_pictures(PART, tmp_path, said.append)
    assert len(said) == 1
    assert pictures_sha256(kept) == pictures_sha256(made)
    assert [len(lines) for each in kept.values() for _, lines in each.pictures()] == [
        len(lines) for each in made.values() for _, lines in each.pictures()
    ]
    with pytest.raises(AssertionError, match="made again"):
        number_pictures(TEST_PART, tmp_path)
    monkeypatch.setattr(numbers, "PICTURES_PER_KIND", 3)
    with pytest.raises(AssertionError, match="made again"):
        number_pictures(PART, tmp_path)


def line(level: int, width: int) -> NDArray[np.uint8]:
    return np.full((LINE_HEIGHT, width), level, np.uint8)


@pytest.mark.parametrize(
    "read",
    [
        [("1", [line(1, 20)]), ("2\n3", [line(2, 30), line(3, 10)]), ("", []), ("4", [line(4, 5)])],
        [("", []), ("7", [line(7, 9)]), ("", [])],
        [("12", []), ("", [])],
        [("5", [line(5, 1)])],
    ],
)
def test_pictures_are_found_again_in_their_arrays(read: list[tuple[str, list[NDArray[np.uint8]]]]) -> None:
    again = Numbers.of(read).pictures()
    assert [text for text, _ in again] == [text for text, _ in read]
    for (_, lines), (_, expected) in zip(again, read, strict=True):
        assert len(lines) == len(expected)
        for one, other in zip(lines, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_digest_tells_texts_and_lines_apart() -> None:
    one = Numbers.of([("12", [line(1, 20)])])
    digests = {
        pictures_sha256({"separated": each})
        for each in (one, Numbers.of([("13", [line(1, 20)])]), Numbers.of([("12", [line(2, 20)])]))
    }
    assert len(digests) == 3
    assert pictures_sha256({"separated": Numbers.of([("12", [line(1, 20)])])}) in digests
