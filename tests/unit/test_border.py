"""What lies at the border, and what has no edges, is no part of a digit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.border import at_border, shadows, sides
from digits.pictures.components import Component, find_components

type Mask = NDArray[np.bool_]
type Bar = tuple[int, int, int, int]  # left, top, right, bottom

DIGIT = (40, 25, 60, 75)


def painted(*bars: Bar, height: int = 100, width: int = 100) -> Mask:
    mask = np.zeros((height, width), bool)
    for left, top, right, bottom in bars:
        mask[top:bottom, left:right] = True
    return mask


def foreign(*bars: Bar) -> list[Bar]:
    """Return the boxes of what is left out of a picture with such bars."""
    return sorted(
        (each.left, each.top, each.right, each.bottom) for each in at_border(*find_components(painted(*bars)))
    )


@pytest.mark.parametrize(
    "bar",
    [
        (0, 30, 8, 60),  # a neighbour's end at each side
        (92, 30, 100, 60),
        (30, 0, 50, 8),
        (30, 92, 50, 100),
        (0, 0, 100, 12),  # a desk
        (70, 0, 100, 100),
        (0, 90, 45, 92),  # a piece of a line
        (98, 98, 100, 100),  # a corner
    ],
)
def test_what_lies_at_the_border_beside_a_digit_is_foreign(bar: Bar) -> None:
    assert foreign(DIGIT, bar) == [bar]


def test_several_things_are_left_out_together() -> None:
    assert foreign(DIGIT, (0, 30, 8, 60), (92, 30, 100, 60)) == [(0, 30, 8, 60), (92, 30, 100, 60)]


@pytest.mark.parametrize(
    "bars",
    [
        ((40, 0, 60, 75),),  # a digit that is cut off, alone
        ((0, 0, 100, 100),),
        ((40, 0, 60, 70), (65, 40, 70, 45)),  # and with a speck inside
        (DIGIT,),
        (DIGIT, (62, 40, 66, 44)),  # nothing at the border
        ((45, 40, 65, 60), (30, 0, 68, 35)),  # a cut off body, larger than what is inside
    ],
)
def test_a_digit_is_not(bars: tuple[Bar, ...]) -> None:
    assert foreign(*bars) == []


def test_an_empty_picture_has_nothing_at_its_border() -> None:
    assert at_border(*find_components(painted())) == []


def test_sides_are_counted() -> None:
    shape = (100, 200)
    assert sides(Component(1, 9, 5, 5, 9, 9), shape) == 0
    assert sides(Component(1, 9, 0, 5, 9, 9), shape) == 1
    assert sides(Component(1, 9, 0, 0, 9, 9), shape) == 2
    assert sides(Component(1, 9, 0, 0, 200, 100), shape) == 4


def blob(row: float, column: float, width: float) -> NDArray[np.float32]:
    rows, columns = np.indices((100, 100))
    soft = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
    return soft.astype(np.float32)


def test_what_has_no_edges_is_a_shadow_and_a_stroke_is_none() -> None:
    stroke = painted((20, 20, 28, 80)).astype(np.float32)
    ink = np.maximum(stroke, blob(60, 70, 14))
    labels, components = find_components(ink > 0.4)
    (found,) = shadows(labels, components, ink)
    assert found.left > 40


def test_a_shadow_at_the_border_has_no_edge_where_the_picture_ends() -> None:
    ink = np.maximum(painted((40, 20, 48, 80)).astype(np.float32), blob(0, 100, 22))
    labels, components = find_components(ink > 0.4)
    (found,) = shadows(labels, components, ink)
    assert (found.top, found.right) == (0, 100)


def test_strokes_that_are_cut_off_are_no_shadows() -> None:
    ink = painted((40, 0, 48, 80), (0, 50, 60, 57)).astype(np.float32)
    labels, components = find_components(ink > 0.4)
    assert shadows(labels, components, ink) == []
