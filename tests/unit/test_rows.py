"""Rows of digits: found in pictures, drawn as lines, their places known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digits.errors import TooMuchError, UnreadableDigitError
from digits.pictures import strokes
from digits.pictures.rows import INK_HEIGHT, LINE_HEIGHT, MARGIN, MOST_ROWS, find_rows
from tests.numbers import Pixels, written


def test_rows_come_from_top_to_bottom() -> None:
    found = find_rows(written(["2026", "47", "135790"]))
    assert len(found.rows) == 3
    tops = [row.box[1] for row in found.rows]
    assert tops == sorted(tops)
    widths = [row.box[2] for row in found.rows]
    assert widths[1] < widths[0] < widths[2]
    assert "found 3 rows" in found.steps


def test_a_line_is_as_the_reader_takes_it() -> None:
    (row,) = find_rows(written(["2026"])).rows
    assert row.pixels.dtype == np.uint8
    assert len(row.pixels) == LINE_HEIGHT
    ink = row.pixels >= 100
    assert not ink[:, : MARGIN - 1].any()
    assert not ink[:, -MARGIN:].any()
    lines = np.flatnonzero(ink.any(axis=1))
    assert abs(len(lines) - INK_HEIGHT) <= 2


def test_a_place_in_a_line_is_known_in_the_picture() -> None:
    page = written(["1350"])
    (row,) = find_rows(page).rows
    ink = (row.pixels >= 100).any(axis=0)
    first = int(np.flatnonzero(ink)[0])
    end = first + int(np.flatnonzero(~ink[first:])[0])
    left, top, width, height = row.box_of(first, end)
    dark = page < 128
    columns = np.flatnonzero(dark.any(axis=0))
    stop = columns[0] + int(np.flatnonzero(~dark.any(axis=0)[columns[0] :])[0])
    lines = np.flatnonzero(dark[:, columns[0] : stop].any(axis=1))
    np.testing.assert_allclose(
        [left, top, width, height], [columns[0], lines[0], stop - columns[0], len(lines)], atol=4
    )


@pytest.mark.parametrize("ink", [0, 120])
def test_cells_and_their_lines_are_no_digits(ink: int) -> None:
    page = written(["20481"], gap=30)
    image = Image.fromarray(page)
    drawing = ImageDraw.Draw(image)
    drawing.rectangle((2, 2, page.shape[1] - 3, page.shape[0] - 14), outline=ink, width=2)
    dark = (page < 128).any(axis=0)
    edges = np.flatnonzero(np.diff(dark.astype(np.int8)))
    for end, start in zip(edges[1:-1:2], edges[2::2], strict=True):
        drawing.line(((end + start) // 2, 2, (end + start) // 2, page.shape[0] - 14), ink, 2)
    plain, framed = find_rows(page).rows[0].pixels, find_rows(np.asarray(image)).rows[0].pixels
    assert abs(plain.shape[1] - framed.shape[1]) <= 6
    wide = min(plain.shape[1], framed.shape[1])
    assert np.corrcoef(plain[:, :wide].ravel(), framed[:, :wide].ravel())[0, 1] > 0.8


def test_a_slanting_row_is_levelled() -> None:
    page = Image.fromarray(written(["20262026"])).rotate(7, expand=True, fillcolor=235)
    (row,) = find_rows(np.asarray(page)).rows
    assert row.rise == pytest.approx(-np.tan(np.radians(7)), abs=0.03)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_nothing_is_blank(tone: int) -> None:
    with pytest.raises(UnreadableDigitError) as caught:
        find_rows(np.full((60, 200), tone, np.uint8))
    assert caught.value.verdict == "blank"


def test_more_rows_than_are_read_are_refused() -> None:
    page = written(["17"] * (MOST_ROWS + 6), pitch=26, scale=1)
    with pytest.raises(TooMuchError, match=f"up to {MOST_ROWS}"):
        find_rows(page)


def test_a_row_with_few_digits_far_apart_is_told_to_be_too_long() -> None:
    with pytest.raises(TooMuchError, match="too long to be read as one; its parts can be read as the fields of a form"):
        find_rows(written(["17" * 10], gap=90, scale=1))


def speckled(side: int, share: float = 0.02) -> np.ndarray:
    return (np.random.default_rng(1).random((side, side)) < share).astype(np.uint8) * np.uint8(200)


def test_specks_are_no_row() -> None:
    with pytest.raises(UnreadableDigitError, match="only specks"):
        find_rows(speckled(50))


@pytest.mark.parametrize(("side", "what"), [(100, "parts of rows"), (400, "parts of rows"), (800, "things")])
def test_more_specks_than_can_be_put_together_are_too_much(side: int, what: str) -> None:
    with pytest.raises(TooMuchError, match=what):
        find_rows(speckled(side))


def test_a_row_that_goes_on_beyond_the_picture_is_known() -> None:
    page = written(["2026"])
    columns = np.flatnonzero((page < 128).any(axis=0))
    (whole,) = find_rows(page).rows
    (cut,) = find_rows(page[:, columns[0] + 6 :]).rows
    assert (whole.cut, cut.cut) == (False, True)


def test_strokes_between_rulings_are_no_cell_lines() -> None:
    page = written(["1411714"], gap=18)
    image = Image.fromarray(page)
    drawing = ImageDraw.Draw(image)
    lines = np.flatnonzero((page < 128).any(axis=1))
    for y in (lines[0] + 2, lines[-1] - 2):
        drawing.line((0, y, page.shape[1], y), 60, 3)
    ruled, plain = find_rows(np.asarray(image)).rows, find_rows(page).rows
    assert len(ruled) == len(plain) == 1
    ink = [float((row.pixels >= 100).sum()) for row in (*ruled, *plain)]
    assert ink[0] > 0.8 * ink[1]


def alike(one: Pixels, other: Pixels) -> bool:
    """Return whether two lines show the same digits."""
    wide = min(one.shape[1], other.shape[1])
    same = np.corrcoef(one[:, :wide].ravel(), other[:, :wide].ravel())[0, 1]
    return abs(one.shape[1] - other.shape[1]) <= 8 and float(same) > 0.8


def lined(page: Pixels, lines: Sequence[tuple[float, float, float, float]], width: int, tone: int) -> Pixels:
    image = Image.fromarray(page)
    for line in lines:
        ImageDraw.Draw(image).line(line, tone, width)
    return np.asarray(image)


@pytest.mark.parametrize("text", ["2", "20481"])
@pytest.mark.parametrize("thick", [2, 5])
def test_a_comb_is_no_digit(text: str, thick: int) -> None:
    page = np.pad(written([text], gap=30), ((0, 10), (30, 30)), constant_values=235)
    height, width = page.shape
    foot, teeth = height - 12, np.linspace(15, width - 15, len(text) + 1)
    comb = [(15, foot, width - 15, foot), *((x, foot - 25, x, foot) for x in teeth)]
    (row,) = find_rows(lined(page, comb, thick, 90)).rows
    assert alike(row.pixels, find_rows(page).rows[0].pixels)


@pytest.mark.parametrize("slope", [-0.07, 0.07])
def test_sloping_rulings_are_no_digits(slope: float) -> None:
    page = np.pad(written(["20264813"]), ((40, 40), (40, 40)), constant_values=235)
    height, width = page.shape
    rulings = [(0, y - slope * width / 2, width, y + slope * width / 2) for y in (height / 2 - 10, height - 20)]
    (row,) = find_rows(lined(page, rulings, 1, 120)).rows
    assert alike(row.pixels, find_rows(page).rows[0].pixels)


@pytest.mark.parametrize("gap", [2, 4])
def test_strokes_that_stand_free_in_their_cells_are_no_sides(gap: int) -> None:
    page = np.full((86, 290), 235, np.uint8)
    sides = [(x, 20, x, 66) for x in range(20, 271, 50)]
    ones = [(x + 26, 22 + gap, x + 24, 66 - gap) for x in (20, 70, 170, 220)]
    seven = [(132, 28, 160, 28), (160, 28, 138, 58)]
    cells = lined(page, [(20, 20, 270, 20), (20, 66, 270, 66), *sides], 2, 110)
    (row,) = find_rows(lined(lined(cells, ones, 3, 90), seven, 4, 60)).rows
    assert row.box[0] < 60
    assert row.box[0] + row.box[2] > 230


def test_bars_of_digits_that_touch_are_no_line() -> None:
    page = np.full((120, 230), 235, np.uint8)
    bars, stems = [], []
    for number in range(5):
        x, up = 30 + 34 * number, number % 2
        bars.append((x, 34 + 8 * up, x + 34, 42 - 8 * up))
        stems.append((x + 32, 42 - 8 * up, x + 8, 90))
    (row,) = (found := find_rows(lined(page, [*bars, *stems], 6, 40))).rows
    assert not any("left out" in step for step in found.steps)
    (without,) = find_rows(lined(page, stems, 6, 40)).rows
    assert (row.pixels >= 100).sum() > 1.3 * (without.pixels >= 100).sum()


def test_lines_across_the_whole_picture_are_no_digits_whatever_their_thickness() -> None:
    page = np.pad(written(["2048"], gap=40), ((30, 30), (30, 30)), constant_values=235)
    height, width = page.shape
    dark = (page < 128).any(axis=0)
    edges = np.flatnonzero(np.diff(dark.astype(np.int8)))
    between = [(end + start) // 2 for end, start in zip(edges[1:-1:2], edges[2::2], strict=True)]
    ruled = lined(page, [(0, height - 12, width, height - 12)], 1, 110)
    (row,) = find_rows(lined(ruled, [(x, 0, x, height) for x in between], 6, 90)).rows
    assert alike(row.pixels, find_rows(page).rows[0].pixels)


def test_a_strip_of_framed_cells_in_uneven_light_is_dark_on_bright() -> None:
    page = np.pad(written(["7017473"], gap=30), 6, constant_values=235).astype(np.float32)
    _height, width = page.shape
    page[:5] = page[-4:] = page[:, :4] = page[:, -4:] = 60
    light = np.linspace(0.45, 1, width)
    (row,) = find_rows((page * light).astype(np.uint8)).rows
    assert alike(row.pixels, find_rows(written(["7017473"], gap=30)).rows[0].pixels)


def test_what_fills_its_box_is_thinned_no_further_than_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[int] = []

    def noted(sharp: np.ndarray, by: int) -> np.ndarray:
        changes.append(by)
        return sharp

    monkeypatch.setattr(strokes, "_with_pen", noted)
    strokes.redraw_line(np.ones((40, 260), np.float32), 4 * INK_HEIGHT)
    assert changes == [-2 * INK_HEIGHT]
