"""Digits on real paper, and blank sheets: always the same pictures, with the whole digit or with none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from training import paper, scenes
from training.blanks import BLANKS
from training.dataset import load_subset
from training.distortions import ROWS
from training.paper import LEAST, MOST, Paper

type Pixels = NDArray[np.uint8]

SCENES = [name for name, row in ROWS.items() if row.least_accuracy is not None]
SEEDS = range(6)


class Watched(Paper):
    """Paper that remembers what was written on it first, the digit."""

    last: Watched
    digit: NDArray[np.float32]

    def write(self, *arguments: object, **named: object) -> None:
        super().write(*arguments, **named)  # type: ignore[arg-type]
        self.digit = self.ink.copy()
        Watched.last = self


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "Paper", Watched)


def digit(number: int) -> Pixels:
    image: Pixels = load_subset().holdout.images[37 * number]
    return image


def scene(name: str, seed: int) -> Pixels:
    return ROWS[name].distort(digit(seed), np.random.default_rng(seed))


def is_picture(pixels: Pixels) -> bool:
    return pixels.dtype == np.uint8 and pixels.ndim == 2 and LEAST <= min(pixels.shape) <= max(pixels.shape) <= MOST


def test_real_paper_has_ten_rows() -> None:
    assert SCENES == [
        "cell",
        "cut cell",
        "ruled",
        "squared",
        "edge line",
        "neighbour",
        "underline",
        "shadow",
        "vignette",
        "desk",
    ]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_a_picture_and_always_the_same(name: str) -> None:
    first = scene(name, 1)
    assert is_picture(first)
    np.testing.assert_array_equal(first, scene(name, 1))
    assert first.shape != scene(name, 2).shape


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("name", SCENES)
def test_the_digit_is_whole_and_dark_on_bright(name: str) -> None:
    for seed in SEEDS:
        pixels = scene(name, seed).astype(np.float64)
        sheet = Watched.last
        left, top, right, bottom = (round(side) for side in sheet.box)
        assert 0 < left < right < pixels.shape[1]
        assert 0 < top < bottom < pixels.shape[0]
        assert bottom - top >= 14
        # Nothing else was written over it.
        np.testing.assert_array_equal(sheet.ink[top:bottom, left:right], sheet.digit[top:bottom, left:right])
        ink, around = sheet.digit > 0.9, np.zeros(pixels.shape, np.bool_)
        around[top:bottom, left:right] = sheet.digit[top:bottom, left:right] < 0.05
        assert pixels[ink].mean() < 0.85 * pixels[around].mean()


@pytest.mark.usefixtures("watched")
def test_a_neighbour_stays_at_the_border() -> None:
    seen = 0
    for seed in range(12):
        scene("neighbour", seed)
        sheet = Watched.last
        other = (sheet.ink > 0.5) & (sheet.digit < 0.5)
        seen += bool(other.any())
        columns = np.flatnonzero(other.any(axis=0))
        assert not ((columns >= sheet.box[0]) & (columns < sheet.box[2])).any()
    assert seen == 12


@pytest.mark.parametrize("count", [2, 3])
def test_several_digits_stand_apart_by_little(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Placed(Paper):
        boxes: list[paper.Box]

        def put(self, *arguments: object) -> paper.Box:
            Placed.boxes.append(box := super().put(*arguments))  # type: ignore[arg-type]
            return box

    monkeypatch.setattr(scenes, "Paper", Placed)
    for seed in SEEDS:
        Placed.boxes = []
        images = np.stack([digit(seed + number) for number in range(count)])
        pixels = scenes.several(images, np.random.default_rng(seed))
        assert is_picture(pixels)
        assert len(Placed.boxes) == count
        tallest = max(bottom - top for _, top, _, bottom in Placed.boxes)
        for before, after in zip(Placed.boxes, Placed.boxes[1:], strict=False):
            assert 0.05 * tallest - 1.5 <= after[0] - before[2] <= 0.3 / 0.9 * tallest + 1.5
        assert Placed.boxes[0][0] >= 0
        assert Placed.boxes[-1][2] <= pixels.shape[1]
        assert all(0 <= top < bottom <= pixels.shape[0] for _, top, _, bottom in Placed.boxes)


@pytest.mark.parametrize("draw", BLANKS.values(), ids=BLANKS.keys())
def test_a_blank_sheet_is_a_picture_and_always_the_same(draw: Callable[[Generator], Pixels]) -> None:
    first = draw(np.random.default_rng(1))
    assert is_picture(first)
    np.testing.assert_array_equal(first, draw(np.random.default_rng(1)))
    assert first.shape != draw(np.random.default_rng(2)).shape


def test_a_vignette_takes_60_to_120_levels() -> None:
    for seed in range(20):
        sheet = Paper(np.random.default_rng(seed))
        before = sheet.light.copy()
        sheet.darken_corners()
        taken = 255 * sheet.white * (1 - sheet.light / before)
        assert 60 <= taken.max() <= 120
        assert taken.min() < 5
