"""Printed lines, found in masks of ink and told from strokes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures import rulings, surroundings
from digits.pictures.components import find_components
from digits.pictures.lines import Ruling
from digits.pictures.rulings import erased
from tests import sheets
from tests.sheets import digit, page, put

type Mask = NDArray[np.bool_]


def ink(picture: NDArray[np.uint8]) -> Mask:
    return picture < 128


def empty(height: int = 100, width: int = 100) -> Mask:
    return np.zeros((height, width), bool)


def find_rulings(mask: Mask) -> list[Ruling]:
    """Find them in even ink."""
    return rulings.find_rulings(mask, mask.astype(np.float32))


def find_surroundings(mask: Mask) -> list[Ruling]:
    return surroundings.find_surroundings(mask, mask.astype(np.float32))


def middles(lines: list[Ruling], upright: bool) -> list[int]:
    return sorted(round(line.middle) for line in lines if line.upright == upright)


@pytest.mark.parametrize("label", range(10))
def test_rows_of_cells_in_a_wide_picture_are_found_and_their_digits_kept(label: int) -> None:
    written = np.full((120, 400), sheets.PAPER, np.uint8)
    tops, lefts = (3, 39, 75, 111), tuple(range(5, 400, 39))
    for row in range(3):
        for column in range(10):
            figure = digit((label + 3 * row + column) % 10, 20)
            left = lefts[column] + (39 - figure.shape[1]) // 2 + 1
            written = put(written, figure, left, tops[row] + 9)
    bars = [(0, top, 400, top + 2) for top in tops] + [(left, 3, left + 2, 113) for left in lefts]
    printed = ink(sheets.print_lines(written, *bars))
    found = find_rulings(printed)
    assert np.allclose(middles(found, upright=False), tops, atol=1)
    assert np.allclose(middles(found, upright=True), lefts, atol=1)
    left_over, digits = printed & ~erased(found, printed.shape), ink(written)
    assert not (digits & ~left_over).any()
    assert (left_over & ~digits).sum() < 0.1 * digits.sum()


@pytest.mark.parametrize("label", range(10))
def test_a_digit_that_crosses_a_line_loses_hardly_any_ink(label: int) -> None:
    written, crossed = ink(page(label)), ink(sheets.ruled(page(label)))
    found = find_rulings(crossed)
    assert len(found) == 4
    left_over = crossed & ~erased(found, crossed.shape)
    assert (written & ~left_over).sum() < 0.1 * written.sum()
    assert (left_over & ~written).sum() < 0.05 * written.sum()


def test_a_stroke_that_lies_on_a_line_is_told_by_its_ink() -> None:
    mask = empty()
    mask[20:22] = mask[80:82] = True
    mask[20:23, 30:60] = True
    mask[20:70, 55:59] = True  # a 7 that hangs on the upper line
    ink_of = np.where(mask, np.float32(0.4), np.float32(0))
    assert len(rulings.find_rulings(mask, ink_of)) == 2
    assert erased(rulings.find_rulings(mask, ink_of), mask.shape)[20:22, 32:54].all()
    ink_of[20:23, 30:60] = 1
    kept = ~erased(rulings.find_rulings(mask, ink_of), mask.shape)[20:22]
    assert kept[:, 33:54].all()
    assert not kept[:, :27].any()
    assert not kept[:, 64:].any()


def test_two_underlines_that_touch_a_digit_are_no_base() -> None:
    mask = empty(110, 80)
    mask[10:92, 10:20] = True
    mask[92:95] = mask[102:105] = True
    assert middles(find_surroundings(mask), upright=False) == [93, 103]
    mask[102:105] = False
    assert find_surroundings(mask) == []


@pytest.mark.parametrize(("strength", "piece"), [(0.4, True), (1.0, False)])
def test_what_lies_on_a_line_is_a_piece_of_it_if_it_has_no_more_ink(strength: float, piece: bool) -> None:
    mask = empty()
    mask[:, 40:42] = mask[20:22] = mask[80:82] = True
    lines = find_rulings(mask)
    ink_of = np.zeros(mask.shape, np.float32)
    ink_of[30:50, 40:42] = 2 * strength
    (each,) = find_components(ink_of > 0)[1]
    assert rulings.is_piece(each, ink_of, lines) == piece


def test_a_line_is_measured() -> None:
    mask = empty(100, 200)
    for column in range(200):
        row = round(30 + 0.05 * column)
        mask[row : row + 3, column] = True
    mask[60:90, 90:110] = True
    (line,) = find_rulings(mask)
    assert (line.upright, line.start, line.stop, line.thickness) == (False, 0, 200, 3)
    assert line.rise == pytest.approx(0.05, abs=0.015)
    assert line.middle == pytest.approx(36, abs=1)
    assert not (mask & ~erased([line], mask.shape))[:50].any()
    assert line.length == 200
    (turned,) = find_rulings(mask.T)
    assert turned.upright
    assert turned.middle == pytest.approx(line.middle)


def test_a_line_with_a_small_gap_is_one_and_its_gap_stays_paper() -> None:
    mask = empty()
    mask[20:22] = True
    mask[20:22, 60:62] = False
    mask[50:80, 45:55] = True
    (line,) = find_rulings(mask)
    assert line.length == 100
    assert not {60, 61} & set(line.places.tolist())


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(48, 52), slice(20, 80)),  # ends inside of the picture
        (slice(40, 60), slice(0, 100)),  # thicker than a line
        (slice(10, 90), slice(48, 52)),  # a bare 1
        (slice(0, 100), slice(48, 52)),  # a bare 1, cropped tightly above and below
    ],
)
def test_what_is_no_printed_line_is_not_found(rows: slice, columns: slice) -> None:
    mask = empty()
    mask[rows, columns] = True
    assert find_rulings(mask) == []


def test_a_curve_is_no_line() -> None:
    rows, columns = np.indices((120, 120))
    ring = np.abs(np.hypot(rows - 60, columns - 60) - 57) < 3
    assert find_rulings(ring) == []


def test_an_empty_mask_has_none() -> None:
    assert find_rulings(empty()) == []
    assert find_surroundings(empty()) == []


@pytest.mark.parametrize("teeth", [(20, 70), (40, 70)])
def test_a_comb_has_a_line_and_teeth_of_one_height(teeth: tuple[int, int]) -> None:
    mask = empty()
    mask[90:92] = True
    for left in (10, 85):
        mask[teeth[0] : 92, left : left + 2] = True
    mask[teeth[1] - 20 : teeth[1], 45:55] = True
    found = find_rulings(mask)
    assert middles(found, upright=False) == [90]
    assert middles(found, upright=True) == [10, 86]


def test_the_stems_of_digits_on_a_line_are_no_teeth() -> None:
    mask = empty()
    mask[90:92] = True
    mask[30:92, 30:32] = mask[50:92, 70:72] = mask[60:70, 40:60] = True
    assert middles(find_rulings(mask), upright=True) == []


def test_a_frame_is_found_around_a_digit() -> None:
    mask = ink(sheets.free_cell(page(3)))
    left, top, right, bottom = sheets.box_of(sheets.free_cell(page(3)))
    box = mask[top:bottom, left:right]
    found = find_surroundings(box)
    assert np.allclose(middles(found, upright=False), [0, len(box) - 2], atol=1)
    assert np.allclose(middles(found, upright=True), [0, box.shape[1] - 2], atol=1)


@pytest.mark.parametrize("label", range(10))
def test_nothing_of_a_digit_surrounds_it(label: int) -> None:
    left, top, right, bottom = sheets.box_of(page(label))
    assert find_surroundings(ink(page(label))[top:bottom, left:right]) == []


def test_erased_is_the_ink_of_the_lines_and_a_pixel_on_either_side() -> None:
    mask = empty()
    mask[20:22] = True
    mask[10:40, 50:56] = True
    mask[60:90, 30:40] = True
    (line,) = find_rulings(mask)
    gone = erased([line], mask.shape)
    assert gone[19:23, :49].all()
    assert not gone[:19].any()
    assert not gone[23:].any()
    assert not gone[:, 50:56].any()
    assert not erased([], mask.shape).any()


@pytest.mark.parametrize("gap", [4, 8, 12])
def test_the_base_of_a_2_is_no_line_of_two(gap: int) -> None:
    mask = empty(110, 100)
    mask[10:15, 20:70] = mask[15:45, 65:70] = mask[70:75, 5:95] = True
    for row in range(45, 70):
        column = 65 - round(60 * (row - 45) / 25)
        mask[row, column : column + 6] = True
    mask[75 + gap : 79 + gap] = True
    assert 72 not in middles(find_surroundings(mask), upright=False)
