"""Dots, commas and underlines that are apart from the digit."""

from __future__ import annotations

import pytest

from digits.pictures.components import Component
from digits.pictures.marks import find_marks


def box(left: int, top: int, right: int, bottom: int) -> Component:
    return Component(left + 1000 * top, (right - left) * (bottom - top), left, top, right, bottom)


BODY = box(20, 0, 60, 100)


@pytest.mark.parametrize(
    "mark",
    [
        box(66, 92, 74, 100),  # a dot
        box(64, 90, 72, 112),  # a comma
        box(0, 108, 85, 114),  # an underline
        box(5, 104, 80, 130),  # two that touch each other, askew
    ],
)
def test_a_mark_is_found(mark: Component) -> None:
    assert find_marks([BODY, mark]) == [mark]


def test_two_underlines_and_a_dot_are_three_marks() -> None:
    marks = [box(0, 106, 85, 111), box(0, 116, 85, 121), box(66, 92, 74, 100)]
    assert find_marks([BODY, *marks]) == marks


def test_a_1_thinner_than_its_underline_is_the_digit() -> None:
    line = box(0, 105, 80, 112)
    assert find_marks([line, box(36, 0, 41, 100)]) == [line]


@pytest.mark.parametrize(
    "part",
    [
        box(62, 0, 90, 8),  # the bar of a 5
        box(62, 20, 70, 28),  # beside the head, no dot behind the digit
        box(45, 85, 53, 93),  # a piece of a broken stroke
        box(20, 102, 61, 108),  # a base that goes on to neither side
        box(18, 102, 110, 108),  # and to the right only, as that of a 2
        box(66, 30, 80, 100),  # another digit
    ],
)
def test_a_part_of_the_digit_is_none(part: Component) -> None:
    assert find_marks([BODY, part]) == []


def test_a_digit_alone_has_none() -> None:
    assert find_marks([BODY]) == []
    assert find_marks([box(0, 0, 80, 10)]) == []
    assert find_marks([box(0, 0, 80, 10), box(0, 20, 80, 30)]) == []
