"""Connected components, against a flood fill that is slow and plain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.components import Component, Group, find_components, find_runs, grouped


def flood_fill(mask: NDArray[np.bool_]) -> list[frozenset[tuple[int, int]]]:
    open_pixels = set(zip(*(places.tolist() for places in np.nonzero(mask)), strict=True))
    found = []
    while open_pixels:
        reached, fringe = set(), [open_pixels.pop()]
        while fringe:
            row, column = fringe.pop()
            reached.add((row, column))
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & open_pixels
            open_pixels -= around
            fringe.extend(around)
        found.append(frozenset(reached))
    return found


@pytest.mark.parametrize("density", [0.05, 0.3, 0.45, 0.6, 0.9])
def test_components_are_those_of_a_flood_fill(density: float) -> None:
    generator = np.random.default_rng(3)
    for _ in range(30):
        mask = generator.random(generator.integers(1, 25, 2)) < density
        labels, components = find_components(mask)
        pixels = [frozenset(map(tuple, np.argwhere(labels == part.label).tolist())) for part in components]
        assert set(pixels) == set(flood_fill(mask))
        for part, places in zip(components, pixels, strict=True):
            rows, columns = zip(*places, strict=True)
            box = (min(columns), min(rows), max(columns) + 1, max(rows) + 1)
            assert (part.left, part.top, part.right, part.bottom) == box
            assert part.area == len(places)


def test_the_largest_component_comes_first() -> None:
    mask = np.zeros((9, 9), bool)
    mask[0, 0] = mask[4:8, 4:8] = mask[2, :3] = True
    assert [part.area for part in find_components(mask)[1]] == [16, 3, 1]


def test_an_empty_mask_has_none() -> None:
    labels, components = find_components(np.zeros((5, 7), bool))
    assert labels.shape == (5, 7)
    assert components == []


def test_what_is_close_is_one_group_even_through_a_third_and_specks_are_in_none() -> None:
    body = Component(1, 100, 0, 0, 10, 20)
    bar = Component(2, 20, 12, 0, 20, 2)
    far = Component(3, 90, 60, 0, 70, 20)
    bridge = Component(4, 10, 22, 0, 30, 3)
    speck = Component(5, 1, 14, 5, 15, 6)
    first, second = grouped([body, far, bar, bridge, speck], apart=0.25, speck=0.03)
    assert set(first.components) == {body, bar, bridge}
    assert (first.area, first.box, first.height) == (130, (0, 0, 30, 20), 20)
    assert second.components == (far,)


def test_columns_are_the_parts_that_stand_beside_each_other() -> None:
    seven, one = Component(1, 100, 0, 0, 30, 50), Component(2, 80, 34, 0, 40, 50)
    dot = Component(3, 4, 36, 54, 38, 56)
    columns = Group((seven, one, dot)).columns(0.25)
    assert {frozenset(column.components) for column in columns} == {frozenset({seven}), frozenset({one, dot})}


def test_parts_above_each_other_are_one_column_even_through_a_third() -> None:
    left, right = Component(1, 100, 0, 20, 20, 50), Component(2, 90, 22, 20, 40, 50)
    bar = Component(3, 20, 10, 0, 34, 5)
    (column,) = Group((left, right, bar)).columns(0.25)
    assert set(column.components) == {left, right, bar}


@pytest.mark.parametrize(("overlap", "count"), [(0.25, 2), (0.1, 1)])
def test_columns_may_share_less_than_a_share_of_the_narrower_one(overlap: float, count: int) -> None:
    one, other = Component(1, 100, 0, 0, 20, 50), Component(2, 90, 18, 0, 38, 50)  # two columns of twenty
    assert len(Group((one, other)).columns(overlap)) == count


def test_runs_come_in_reading_order() -> None:
    mask = np.array([[0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    rows, starts, ends = find_runs(mask)
    assert (rows.tolist(), starts.tolist(), ends.tolist()) == ([0, 0, 2], [1, 4, 0], [3, 5, 5])
