"""Connected components, against a flood fill that is slow and plain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.pictures.components import Component, find_components, grouped


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
