"""A digit comes out of what surrounds it as if it stood there alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digits.errors import UnreadableDigitError
from digits.pictures.canonical import canonicalize
from digits.pictures.sheet import counted
from tests import sheets
from tests.sheets import PAPER, likeness, page
from training.blanks import BLANKS

type Pixels = NDArray[np.uint8]
type Points = tuple[tuple[float, float], ...]

# What surrounds the digit, and what the steps say of it.
SURROUNDINGS: dict[str, tuple[Callable[[Pixels], Pixels], str]] = {
    "cell": (sheets.cell, "left out 4 lines"),
    "cell along the border": (sheets.cut_cell, "left out 4 lines"),
    "cell far from the border": (sheets.free_cell, "left out 4 lines"),
    "comb": (sheets.comb, "left out 3 lines"),
    "table": (sheets.table, "left out 4 lines"),
    "rulings": (sheets.ruled, "left out 4 lines"),
    "squares": (sheets.squared, "left out 12 lines"),
    "squares as dark as the pencil": (partial(sheets.squared, dark=sheets.INK), "left out 12 lines"),
    "underline": (sheets.underlined, "left out 1 "),
    "double underline": (partial(sheets.underlined, count=2), "left out 2 "),
    "close double underline": (partial(sheets.underlined, count=2, apart=4), "left out "),
    "underline that touches": (partial(sheets.underlined, gap=-2), "left out 1 line"),
    "double underline that touches": (partial(sheets.underlined, count=2, gap=-2), "left out 2 lines"),
    "desk": (sheets.desk, "left out 1 thing at the border"),
    "shadow over half": (sheets.shaded, "evened the light"),
    "dark corners": (partial(sheets.vignetted, levels=100), "inverted"),
    "neighbour": (sheets.with_neighbour, "left out 1 thing at the border"),
    "comma": (sheets.with_comma, "left out 1 "),
    "tail": (sheets.with_tail, "left out 1 thing at the border"),
}
# Strokes of digits, in shares of a square picture.
DRAWN: dict[str, tuple[Points, ...]] = {
    "1": (((0.5, 0.15), (0.5, 0.85)),),
    "leaning 1": (((0.55, 0.15), (0.45, 0.85)),),
    "2, its base wider than its head": (
        ((0.38, 0.3), (0.45, 0.18), (0.58, 0.2), (0.6, 0.35), (0.25, 0.82), (0.85, 0.82)),
    ),
    "4": (((0.45, 0.15), (0.25, 0.6), (0.8, 0.6)), ((0.62, 0.35), (0.62, 0.9))),
    "4 with a long bar": (((0.4, 0.15), (0.2, 0.6), (0.92, 0.6)), ((0.62, 0.3), (0.62, 0.95))),
    "5": (((0.7, 0.2), (0.35, 0.2), (0.33, 0.45), (0.55, 0.42), (0.68, 0.6), (0.55, 0.8), (0.3, 0.78)),),
    "7": (((0.25, 0.2), (0.75, 0.2), (0.45, 0.85)),),
}


def drawn(name: str, side: int, width: int, shift: int = 0) -> Pixels:
    """Return a square picture with a digit of straight strokes, black on white."""
    picture = Image.new("L", (side, side), PAPER)
    pen = ImageDraw.Draw(picture)
    for stroke in DRAWN[name]:
        pen.line([(round(x * side) + shift, round(y * side) + shift) for x, y in stroke], 0, width, joint="curve")
    return np.asarray(picture)


def cropped(picture: Pixels, margin: int) -> Pixels:
    left, top, right, bottom = sheets.box_of(picture)
    return np.pad(picture[top:bottom, left:right], margin, constant_values=PAPER)


def left_out(picture: Pixels) -> list[str]:
    return [step for step in canonicalize(picture).steps if step.startswith("left out")]


def verdict_of(picture: Pixels) -> str | None:
    try:
        canonicalize(picture)
    except UnreadableDigitError as error:
        return error.verdict
    return None


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_digit_looks_as_if_it_stood_there_alone(name: str, label: int) -> None:
    around, said = SURROUNDINGS[name]
    alone, seen = canonicalize(page(label)), canonicalize(around(page(label)))
    assert likeness(seen.pixels, alone.pixels) > 0.9
    assert any(step.startswith(said) for step in seen.steps), seen.steps
    assert not left_out(page(label))
    assert seen.parts == ()


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("name", ["cell", "rulings", "squares", "underline", "comma"])
def test_chalk_on_a_board_as_well(name: str, label: int) -> None:
    around, said = SURROUNDINGS[name]
    alone, seen = canonicalize(255 - page(label)), canonicalize(255 - around(page(label)))
    assert likeness(seen.pixels, alone.pixels) > 0.9
    assert any(step.startswith(said) for step in seen.steps), seen.steps


@pytest.mark.parametrize("width", [3, 6, 12])
@pytest.mark.parametrize("name", DRAWN)
def test_no_stroke_of_a_digit_is_taken_for_a_line(name: str, width: int) -> None:
    picture = drawn(name, 200, width)
    alone = canonicalize(picture)
    assert not left_out(picture)
    for margin in (0, 3, 10):
        tight = cropped(picture, margin)
        if tight.min() == tight.max():  # a bare 1 without a margin is nothing but black
            continue
        assert not left_out(tight), margin
        assert likeness(canonicalize(tight).pixels, alone.pixels) > 0.9


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("side", [28, 100, 300, 301, 400, 1000])
@pytest.mark.parametrize("name", DRAWN)
def test_a_hairline_of_one_pixel_survives(name: str, side: int, shift: int) -> None:
    seen = canonicalize(drawn(name, side, 1, shift))
    assert likeness(seen.pixels, canonicalize(drawn(name, 200, 10)).pixels) > 0.8
    assert not any(step.startswith("left out") for step in seen.steps)


@pytest.mark.parametrize("side", [160, 400])
@pytest.mark.parametrize("levels", [60, 80, 100, 120])
def test_a_blank_sheet_with_dark_corners_is_blank_or_too_faint(levels: int, side: int) -> None:
    assert verdict_of(sheets.vignetted(page(side=side), levels)) in {"blank", "no_contrast"}


@pytest.mark.parametrize("name", ["vignette", "gradient"])
def test_photographs_of_blank_sheets_in_smooth_light_are_refused(name: str) -> None:
    """A slope that rises to the border is light, not a stroke along it."""
    verdicts = [verdict_of(BLANKS[name](np.random.default_rng(seed))) for seed in range(15)]
    assert None not in verdicts


@pytest.mark.parametrize("around", [sheets.cell, sheets.table, sheets.ruled, sheets.squared])
def test_a_printed_sheet_that_nobody_wrote_on_is_blank(around: Callable[[Pixels], Pixels]) -> None:
    assert verdict_of(around(page())) == "blank"


@pytest.mark.parametrize("name", ["ruled", "squared"])
def test_photographs_of_printed_sheets_are_mostly_blank(name: str) -> None:
    verdicts = [verdict_of(BLANKS[name](np.random.default_rng(seed))) for seed in range(15)]
    assert verdicts.count("blank") >= 12
    assert verdicts.count(None) <= 1


@pytest.mark.parametrize("name", ["texture", "JPEG"])
def test_photographs_of_blank_sheets_in_even_light_are_mostly_refused(name: str) -> None:
    """The network refuses the others, and those in a shadow, whose edges may look like a pen's."""
    verdicts = [verdict_of(BLANKS[name](np.random.default_rng(seed))) for seed in range(15)]
    assert verdicts.count(None) <= 3


def test_a_smaller_digit_in_the_cell_of_another_page_keeps_its_box_in_the_steps() -> None:
    width, height = (side[1] - side[0] for side in (sheets.box_of(page(3))[::2], sheets.box_of(page(3))[1::2]))
    assert f"cropped to {width}x{height}" in canonicalize(sheets.cell(page(3))).steps


@pytest.mark.parametrize(
    ("count", "what", "words"),
    [(1, "line", "1 line"), (2, "line", "2 lines"), (3, "thing at the border", "3 things at the border")],
)
def test_steps_count_in_words(count: int, what: str, words: str) -> None:
    assert counted(count, what) == words
