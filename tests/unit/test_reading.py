"""From a picture to an answer, without a web server and without a command."""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from digits import reading
from digits.errors import ImageError, UnreadableDigitError
from digits.model.manifest import Manifest
from digits.model.proof import LoadedModel, prove
from digits.reading import Picture
from tests import events


@pytest.fixture(scope="module")
def model(version: tuple[Manifest, dict[str, bytes]]) -> LoadedModel:
    manifest, files = version
    return prove(manifest, files["model.tflite"])


def png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def drawn(digit: int, side: int) -> np.ndarray:
    """A digit in dark ink on a white sheet of that side."""
    with Image.open(BytesIO(events.digit_file(digit))) as image:
        return 255 - np.asarray(image.convert("L").resize((side, side)))


@pytest.mark.parametrize("digit", range(10))
def test_a_file_becomes_an_answer(model: LoadedModel, digit: int) -> None:
    data = events.digit_file(digit)
    read = reading.read(Picture.of_file(data), model)
    assert read.pred == digit
    assert read.conf == pytest.approx(float(read.probabilities[digit]))
    assert read.accepted == (read.conf >= (model.manifest.acceptance_threshold or 2))
    assert read.prepared.sha256 == hashlib.sha256(data).hexdigest()
    assert read.prepared.pixels.shape == (28, 28)


def test_pixels_become_the_answer_of_the_file_that_holds_them(model: LoadedModel) -> None:
    pixels = drawn(4, 100)
    of_pixels = reading.read(Picture.of_pixels(pixels), model)
    of_file = reading.read(Picture.of_file(png(pixels)), model)
    np.testing.assert_array_equal(of_pixels.probabilities, of_file.probabilities)
    assert of_pixels.prepared.steps == of_file.prepared.steps
    assert any(step.startswith("scaled to") for step in of_file.prepared.steps)


def test_many_are_answered_as_each_alone_and_none_by_nothing(model: LoadedModel) -> None:
    prepared = [reading.prepare(Picture.of_file(events.digit_file(digit))) for digit in (7, 1, 4)]
    together = reading.answer(prepared, model)
    assert [read.pred for read in together] == [7, 1, 4]
    for each, read in zip(prepared, together, strict=True):
        np.testing.assert_allclose(reading.answer([each], model)[0].probabilities, read.probabilities, atol=1e-6)
    assert reading.answer([], model) == []


def test_what_shows_no_single_digit_is_a_verdict() -> None:
    with pytest.raises(UnreadableDigitError) as blank:
        reading.prepare(Picture.of_pixels(np.full((100, 100), 255, np.uint8)))
    assert blank.value.verdict == "blank"
    with pytest.raises(ImageError):
        Picture.of_file(b"no image")


@pytest.mark.parametrize("factor", [1, 4])
def test_boxes_are_in_pixels_of_the_picture_as_sent(factor: int) -> None:
    sheet = np.full((500, 500), 255, np.uint8)
    sheet[150:350, 30:230], sheet[150:350, 270:470] = drawn(3, 200), drawn(5, 200)
    picture = Picture.of_file(png(np.kron(sheet, np.ones((factor, factor), np.uint8))))
    with pytest.raises(UnreadableDigitError) as several:
        reading.prepare(picture)
    assert several.value.verdict == "several_digits"
    (left, top, width, height), (second, *_) = several.value.boxes
    assert 30 * factor <= left < left + width <= 230 * factor
    assert 150 * factor <= top < top + height <= 350 * factor
    assert second >= 270 * factor
