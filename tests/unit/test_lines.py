"""Lines that a reader learns from: always the same, what they show, and kept."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.pictures.rows import LINE_HEIGHT, MARGIN
from training import line_drawing, lines
from training.dataset import load_subset
from training.line_drawing import LONGEST, Line, Source, _Hand, _Sheet, draw_line, pen_widths
from training.lines import Lines, training_lines

SUBSET = load_subset()
SOURCE = Source(SUBSET.training.sample(400), SUBSET.holdout.sample(30), SUBSET.test.images[:20])
INK = 25
APART = 6  # columns without ink between digits, and not within one


def drawn(seed: int) -> Line:
    return draw_line(SOURCE, np.random.default_rng(seed))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing but digits, wide apart, each of them whole."""
    monkeypatch.setattr(line_drawing, "CLEAN", 1.0)
    monkeypatch.setattr(line_drawing, "NO_DIGITS", 0.0)
    monkeypatch.setattr(line_drawing, "UNUSUAL", (0.0,) * 10)
    monkeypatch.setattr(line_drawing, "_STYLE_SHARES", (0, 0, 0, 1))
    monkeypatch.setitem(line_drawing._GAPS, "wide", (30.0, 50.0))


def test_a_line_is_as_the_reader_takes_it_with_a_middle_for_each_digit() -> None:
    lengths = set()
    for seed in range(60):
        line = drawn(seed)
        assert line.pixels.dtype == np.uint8
        assert len(line.pixels) == LINE_HEIGHT
        assert len(line.labels) == len(line.middles)
        assert set(line.labels) <= set(range(10))
        assert line.middles == sorted(line.middles)
        assert all(MARGIN <= middle <= line.pixels.shape[1] - MARGIN for middle in line.middles)
        lengths.add(len(line.labels))
    assert lengths >= {1, 2, 3, 4, 5, 6, 7, 8}
    assert max(lengths) <= LONGEST


@pytest.mark.usefixtures("plain")
def test_labels_and_middles_are_where_the_ink_is() -> None:
    told = 0
    for seed in range(40):
        line = drawn(seed)
        inked = np.flatnonzero((line.pixels >= INK).any(axis=0))
        runs = np.split(inked, np.flatnonzero(np.diff(inked) > APART) + 1)
        middles = [(run[0] + run[-1]) / 2 for run in runs]
        if len(middles) == len(line.labels):  # a fine pen may fade out, or fall apart
            np.testing.assert_allclose(middles, line.middles, atol=3)
            told += 1
    assert told >= 37


@pytest.mark.usefixtures("plain")
def test_the_digits_of_a_line_look_like_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is turned or slanted, most have the label of the digit that they are nearest to."""
    monkeypatch.setattr(_Hand, "_turned", lambda _, image: line_drawing._cropped(image, line_drawing.INK))
    known = SUBSET.training.sample(1_000)
    small = np.stack([_small(image) for image in known.images])
    right = count = 0
    for seed in range(30):
        line = drawn(seed)
        cuts = [0, *(round((one + next_) / 2) for one, next_ in pairwise(line.middles)), line.pixels.shape[1]]
        for label, (start, stop) in zip(line.labels, pairwise(cuts), strict=True):
            cut = line.pixels[:, start:stop]
            unknown = _small(cut) if (cut >= INK).any() else np.zeros((20, 20), np.float32)
            nearest = np.abs(small - unknown).sum(axis=(1, 2)).argmin()
            right += int(known.labels[nearest] == label)
            count += 1
    assert right / count > 0.75


def _small(image: np.ndarray) -> np.ndarray:
    """Return a digit without its margin, 20 pixels high and wide, 0 to 1."""
    rows, columns = (np.flatnonzero((image >= INK).any(axis=axis)) for axis in (1, 0))
    cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(cut.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = ((side - length) // 2 for length in cut.shape)
    square[top : top + len(cut), left : left + cut.shape[1]] = cut
    return np.asarray(Image.fromarray(square).resize((20, 20), Image.Resampling.BOX), np.float32) / 255


def test_a_line_without_digits_has_ink_and_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_drawing, "NO_DIGITS", 1.0)
    for seed in range(10):
        line = drawn(seed)
        assert (line.labels, line.middles) == ([], [])
        assert (line.pixels >= INK).any()


def signed(seed: int) -> tuple[Any, Any, list[float], list[float]] | None:
    """A sheet before and after signs were added, with its digits' middles; None where none was added at an end."""
    sheet = _Sheet(SOURCE, np.random.default_rng(seed))
    sheet.write()
    sheet.between = []
    before, middles = np.asarray(sheet.image), sheet.middles
    sheet.add_signs()
    after = np.asarray(sheet.image)
    return None if after.shape == before.shape else (before, after, middles, sheet.middles)


def test_a_sign_beside_the_digits_is_no_label_and_moves_their_middles_along() -> None:
    moved = []
    for seed in range(250):
        made = signed(seed)
        if made is None:
            continue
        before, after, middles, new_middles = made
        (offset,) = {round(new - old) for new, old in zip(new_middles, middles, strict=True)}
        digits = after[:, offset : offset + before.shape[1]]
        assert (digits >= before).all()
        assert after.sum(dtype=int) > before.sum(dtype=int)  # the sign
        if offset:
            np.testing.assert_array_equal(digits, before)
        moved.append(offset > 0)
    assert set(moved) == {True, False}  # before the digits, and behind them


def test_signs_between_digits_leave_labels_and_middles_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    added = 0
    for seed in range(120):
        sheet = _Sheet(SOURCE, np.random.default_rng(seed))
        sheet.write()
        if not sheet.between:
            continue
        labels, middles, before = list(sheet.labels), list(sheet.middles), np.asarray(sheet.image).copy()
        monkeypatch.setattr(sheet, "labels", [])  # no sign beside them
        sheet.add_signs()
        after = np.asarray(sheet.image)
        assert sheet.middles == middles
        assert (after >= before).all()
        assert (after > before).any()
        assert len(labels) == len(middles)
        added += 1
    assert added > 3


def test_pens_are_told_by_their_width() -> None:
    image = np.zeros((3, 28, 28), np.uint8)
    for index, width in enumerate((2, 4, 6)):
        image[index, 4:24, 10 : 10 + width] = 255
    widths = pen_widths(image)
    assert widths[0] < widths[1] < widths[2]
    # Of an upright bar, whose perimeter is counted as that of a slanting one.
    np.testing.assert_allclose(widths, [2 * 20 * width / ((2 * 20 + 2 * width) * np.pi / 4) for width in (2, 4, 6)])


# Kept


def test_the_same_digits_give_the_same_lines_byte_for_byte(tmp_path: Path) -> None:
    ours, again = (training_lines(SOURCE, 25, tmp_path / name) for name in ("a", "b"))
    for field in fields(Lines):
        assert getattr(ours, field.name).tobytes() == getattr(again, field.name).tobytes()
    other = training_lines(replace(SOURCE, digits=SUBSET.training.sample(300)), 25, tmp_path / "a")
    assert other.columns.tobytes() != ours.columns.tobytes()
    assert len(ours) == 25


def test_lines_are_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = training_lines(SOURCE, 10, tmp_path, said.append)
    assert said == ["reader: drawing 10 lines of digits, once for this data set"]

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(lines, "draw_line", refuse)
    kept = training_lines(SOURCE, 10, tmp_path, said.append)
    assert len(said) == 1
    for field in fields(Lines):
        np.testing.assert_array_equal(getattr(kept, field.name), getattr(made, field.name))
    for other in (11, replace(SOURCE, outliers=SOURCE.outliers[1:]), replace(SOURCE, unusual=SOURCE.digits)):
        source, count = (other, 10) if isinstance(other, Source) else (SOURCE, other)
        with pytest.raises(AssertionError, match="made again"):
            training_lines(source, count, tmp_path)


def test_a_kept_file_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    made = training_lines(SOURCE, 5, tmp_path)
    (path,) = tmp_path.glob("*.npz")
    for damage in (b"no archive", b""):
        path.write_bytes(damage)
        again = training_lines(SOURCE, 5, tmp_path)
        np.testing.assert_array_equal(again.columns, made.columns)
    np.savez(path, columns=made.columns)  # without the other arrays
    np.testing.assert_array_equal(training_lines(SOURCE, 5, tmp_path).middles, made.middles)


def test_lines_are_found_again_in_their_arrays() -> None:
    made = [drawn(seed) for seed in range(30)]
    together = Lines.of(made)
    for index, line in enumerate(made):
        np.testing.assert_array_equal(together.image(index), line.pixels)
        assert together.text(index).tolist() == line.labels
        np.testing.assert_allclose(together.middles_of(index), line.middles, rtol=1e-6)
    assert {len(line.labels) for line in made} >= {0, 1, 4}


def test_of_texts_only_the_digits_are_known() -> None:
    line = np.zeros((LINE_HEIGHT, 40), np.uint8)
    known = Lines.of_texts([(line, "047"), (line, ""), (line, "7")])
    assert [known.text(index).tolist() for index in range(3)] == [[0, 4, 7], [], [7]]
    assert np.isnan(known.middles).all()
