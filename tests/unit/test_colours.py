"""Digits that only colours or transparency show."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from digits.pictures import images
from digits.pictures.canonical import canonicalize
from digits.pictures.images import decode
from tests import events

type Colour = tuple[int, int, int]

DIGITS = (0, 2, 5, 7, 8)
SIDE = 240
APART = "told colours of one brightness apart"
TO_GREY = "colour to grey"
OWN = "laid onto the paper's own colour"
RED, GREEN = (255, 0, 0), (0, 130, 0)
# ink and paper, whose greys differ by less than 24 of 255
ONE_BRIGHTNESS = {
    "red on green": (RED, GREEN),
    "green on red": (GREEN, RED),
    "pink on cyan": ((255, 150, 200), (120, 200, 220)),
    "pale yellow on white": ((255, 255, 190), (255, 255, 255)),
    "deep blue on black": ((0, 0, 160), (0, 0, 0)),
    "dull": ((180, 140, 150), (140, 160, 150)),
}


@cache
def alpha_of(label: int, side: int = SIDE) -> Image.Image:
    """A real digit as soft-edged ink of mode L, with a wide margin."""
    digit = Image.open(BytesIO(events.digit_file(label))).convert("L")
    page = Image.new("L", (side, side))
    page.paste(digit.resize((side * 6 // 10, side * 6 // 10), Image.Resampling.BICUBIC), (side // 5, side // 6))
    return page


def on_sheet(label: int, ink: Colour, paper: Colour, side: int = SIDE) -> Image.Image:
    return Image.composite(
        Image.new("RGB", (side, side), ink), Image.new("RGB", (side, side), paper), alpha_of(label, side)
    )


def file_of(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    return events.image_file(np.asarray(image), kind, **options)


@cache
def original(label: int, side: int = SIDE) -> NDArray[np.uint8]:
    return canonicalize(255 - np.asarray(alpha_of(label, side))).pixels


def likeness(file: bytes, label: int, side: int = SIDE) -> float:
    """Return how the canonical form of a file correlates with that of the same digit in black on white."""
    pixels = canonicalize(decode(file).pixels).pixels
    return float(np.corrcoef(pixels.ravel(), original(label, side).ravel())[0, 1])


def clear(label: int, ink: Colour, strength: float = 1.0) -> Image.Image:
    image = Image.new("RGBA", (SIDE, SIDE), ink)
    image.putalpha(alpha_of(label).point(lambda value: round(strength * value)))
    return image


@pytest.mark.parametrize("strength", [1, 0.5])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ((255, 255, 255), "black"),
        ((255, 255, 0), "black"),
        ((140, 140, 140), "black"),
        ((0, 0, 0), "white"),
        ((200, 30, 30), "white"),
        ((20, 40, 160), "white"),
    ],
)
def test_ink_on_transparency_is_laid_onto_what_it_stands_out_from(ink: Colour, ground: str, strength: float) -> None:
    for label in DIGITS:
        file = file_of(clear(label, ink, strength))
        assert decode(file).steps == (f"laid onto {ground}", TO_GREY)
        assert likeness(file, label) > 0.95


def test_a_transparent_canvas_without_a_margin_is_read() -> None:
    for label in DIGITS:
        image = clear(label, (255, 255, 255))
        file = file_of(image.crop(image.getbbox()))
        assert decode(file).steps == ("laid onto black", TO_GREY)
        assert likeness(file, label) > 0.7


def test_white_ink_of_grey_with_alpha_and_of_a_palette_is_read() -> None:
    image = clear(7, (255, 255, 255))
    assert likeness(file_of(image.convert("LA")), 7) > 0.95
    palette = Image.fromarray((np.asarray(alpha_of(7)) > 128).astype(np.uint8)).convert("P")
    palette.putpalette([255, 255, 255] * 2)
    file = BytesIO()
    palette.save(file, "GIF", transparency=0)
    assert "laid onto black" in decode(file.getvalue()).steps
    assert likeness(file.getvalue(), 7) > 0.8  # its edges are hard


@pytest.mark.parametrize("margin", [10, 200])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((20, 20, 60), (250, 248, 240)),
        ((80, 80, 90), (200, 190, 180)),
        ((240, 240, 230), (20, 40, 20)),
        (RED, GREEN),
    ],
)
def test_a_sheet_with_a_transparent_margin_is_read(ink: Colour, paper: Colour, margin: int) -> None:
    for label in DIGITS:
        image = Image.new("RGBA", (SIDE + 2 * margin, SIDE + 2 * margin), (0, 0, 0, 0))
        image.paste(on_sheet(label, ink, paper), (margin, margin))
        assert decode(file_of(image)).steps[0] == OWN
        assert likeness(file_of(image), label) > 0.7


def test_a_blank_sheet_with_transparent_corners_is_even() -> None:
    image = Image.new("RGBA", (SIDE, SIDE), (240, 240, 240, 255))
    image.paste((0, 0, 0, 0), (0, 0, 30, 30))
    decoded = decode(file_of(image))
    assert decoded.steps[0] == OWN
    assert np.ptp(decoded.pixels) == 0


@pytest.mark.parametrize(("ink", "paper"), ONE_BRIGHTNESS.values(), ids=ONE_BRIGHTNESS)
def test_colours_of_one_brightness_are_told_apart(ink: Colour, paper: Colour) -> None:
    for label in DIGITS:
        file = file_of(on_sheet(label, ink, paper))
        decoded = decode(file)
        assert decoded.steps == (APART,)
        assert np.median(decoded.pixels) > 200
        assert likeness(file, label) > 0.9


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP", "TIFF"])
def test_they_are_told_apart_in_every_kind_of_file(kind: str) -> None:
    for label in DIGITS:
        file = file_of(on_sheet(label, RED, GREEN), kind)
        assert APART in decode(file).steps
        assert likeness(file, label) > 0.7


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_they_are_told_apart_in_large_pictures(kind: str) -> None:
    side = 1600
    file = file_of(on_sheet(4, RED, GREEN, side), kind)
    decoded = decode(file)
    assert decoded.steps == ("reduced to 800x800", APART)
    assert decoded.scale == 2
    assert likeness(file, 4, side) > 0.9


def test_grain_does_not_hide_them() -> None:
    grain = np.random.default_rng(1).normal(0, 6, (SIDE, SIDE, 3))
    page = np.clip(np.asarray(on_sheet(3, (200, 60, 60), (60, 125, 60))) + grain, 0, 255).astype(np.uint8)
    assert APART in decode(events.image_file(page, "PNG")).steps
    assert likeness(events.image_file(page, "PNG"), 3) > 0.9


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((200, 0, 0), (255, 255, 255)), ((40, 40, 120), (230, 220, 200)), ((226, 226, 226), (240, 240, 240)), (RED, RED)],
    ids=["red on white", "blue on cream", "faint grey", "blank"],
)
@pytest.mark.parametrize("side", [SIDE, 1600])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_where_brightness_shows_the_ink_it_alone_makes_the_grey(
    ink: Colour, paper: Colour, side: int, kind: str
) -> None:
    file = file_of(on_sheet(5, ink, paper, side), kind)
    with Image.open(BytesIO(file)) as image:
        image.draft("L", (side // 2, side // 2)) if side > 1000 else None
        expected = image.reduce(2) if max(image.size) > 1000 else image
        grey = np.asarray(expected.convert("L"))
    decoded = decode(file)
    assert APART not in decoded.steps
    assert np.array_equal(decoded.pixels, grey)


def test_large_pictures_are_decoded_in_colour_only_where_grey_shows_hardly_any_contrast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modes: list[str] = []
    load = images._load

    def noted(image: ImageFile.ImageFile, mode: str, long_side: int) -> None:
        modes.append(mode)
        load(image, mode, long_side)

    monkeypatch.setattr(images, "_load", noted)
    decode(file_of(on_sheet(5, (0, 0, 90), (220, 220, 200), 1600), "JPEG"))
    assert modes == ["L"]
    decode(file_of(on_sheet(5, RED, GREEN, 1600), "JPEG"))
    assert modes == ["L", "L", "RGB"]
