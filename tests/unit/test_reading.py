"""From a picture to an answer, without a web server and without a command."""

from __future__ import annotations

import hashlib
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits import reading
from digits.errors import ImageError, UnreadableDigitError
from digits.model.manifest import Manifest
from digits.model.proof import LoadedModel, prove
from digits.pictures.canonical import CanonicalImage, PartImage
from digits.pictures.images import DecodedImage
from digits.reading import Picture, Prepared, Reading
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
    assert read.accepted == (read.conf >= (model.manifest.acceptance_threshold or 2) and not read.prepared.warnings)
    assert read.prepared.sha256 == hashlib.sha256(data).hexdigest()
    assert read.prepared.pixels.shape == (28, 28)


def test_pixels_become_the_answer_of_the_file_that_holds_them(model: LoadedModel) -> None:
    pixels = drawn(4, 100)
    of_pixels = reading.read(Picture.of_pixels(pixels), model)
    of_file = reading.read(Picture.of_file(png(pixels)), model)
    np.testing.assert_array_equal(of_pixels.probabilities, of_file.probabilities)
    assert of_pixels.prepared.steps == of_file.prepared.steps
    assert "scaled and centred" in of_file.prepared.steps


def test_many_are_answered_as_each_alone_and_none_by_nothing(model: LoadedModel) -> None:
    prepared = [reading.prepare(Picture.of_file(events.digit_file(digit))) for digit in (7, 1, 4)]
    together = reading.answer(prepared, model)
    for each, read, digit in zip(prepared, together, (7, 1, 4), strict=True):
        (alone,) = reading.answer([each], model)
        assert isinstance(read, Reading)
        assert isinstance(alone, Reading)
        assert read.pred == digit
        np.testing.assert_allclose(alone.probabilities, read.probabilities, atol=1e-6)
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


# What the model makes of it, with a model that says what it is told


def image(digit: int, confidence: int) -> np.ndarray:
    """An image that `sure_model` answers so, the confidence in per cent."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[0, :2] = digit, confidence
    return pixels


def picture(digit: int, confidence: int, *parts: PartImage, warnings: tuple[str, ...] = ()) -> Prepared:
    return Prepared(CanonicalImage(image(digit, confidence), ("step",), warnings, parts), "0" * 64)


def part(confidence: int, left: int = 0) -> PartImage:
    return PartImage(image(1, confidence), (left, 0, 10, 20))


@pytest.fixture
def sure_model() -> Any:
    """A model with thresholds of 50 and 90 %; it counts its inferences."""

    def predict(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        confidence = images[:, 0, 1] / np.float32(100)
        answers = np.repeat(((1 - confidence) / 9)[:, None], 10, axis=1)
        answers[np.arange(len(images)), images[:, 0, 0]] = confidence
        return answers

    asked: list[int] = []
    manifest = SimpleNamespace(acceptance_threshold=0.9, rejection_threshold=0.5)
    return SimpleNamespace(classifier=SimpleNamespace(predict=predict), manifest=manifest, asked=asked)


def outcome(prepared: Prepared, model: Any) -> Any:
    (only,) = reading.answer([prepared], model)
    return only


def test_between_the_thresholds_an_answer_is_given_and_not_accepted(sure_model: Any) -> None:
    sure, unsure = outcome(picture(3, 95), sure_model), outcome(picture(3, 60), sure_model)
    assert (sure.pred, sure.accepted) == (3, True)
    assert (unsure.pred, unsure.accepted) == (3, False)


def test_below_the_lower_threshold_it_is_no_digit_and_shows_what_was_seen(sure_model: Any) -> None:
    asked = picture(3, 40)
    error = outcome(asked, sure_model)
    assert isinstance(error, UnreadableDigitError)
    assert (error.verdict, error.boxes, error.seen) == ("not_a_digit", (), asked.seen)
    sure_model.manifest.rejection_threshold = None
    assert outcome(asked, sure_model).pred == 3


def test_a_warned_answer_is_given_and_not_accepted(sure_model: Any) -> None:
    answered = outcome(picture(3, 95, warnings=("touches_edge",)), sure_model)
    assert (answered.pred, answered.accepted) == (3, False)


def test_parts_surer_than_the_whole_are_several_digits_with_their_boxes(sure_model: Any) -> None:
    error = outcome(picture(3, 70, part(95), part(80, 30)), sure_model)
    assert (error.verdict, error.boxes) == ("several_digits", ((0, 0, 10, 20), (30, 0, 10, 20)))
    assert "2 digits" in str(error)
    assert outcome(picture(3, 70, part(95), part(60, 30)), sure_model).pred == 3


def test_pictures_and_their_parts_take_one_inference_and_do_not_mix(sure_model: Any) -> None:
    several = picture(4, 30, part(90), part(90, 30), part(90, 60))
    answers = reading.answer([several, picture(5, 99), picture(6, 97, part(80), part(99)), picture(7, 20)], sure_model)
    assert sure_model.asked == [9]
    assert [getattr(each, "verdict", None) for each in answers] == ["several_digits", None, None, "not_a_digit"]
    assert [each.pred for each in answers if isinstance(each, Reading)] == [5, 6]


def test_parts_and_boxes_come_in_pixels_of_the_picture_as_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = CanonicalImage(image(1, 90), ("centred",), (), (part(90, 3),))
    sent = Picture(DecodedImage(np.zeros((50, 50), np.uint8), ("reduced",), (100, 100)), "0" * 64)
    monkeypatch.setattr(reading, "canonicalize", lambda _: seen)
    prepared = reading.prepare(sent)
    assert prepared.parts[0].box == (6, 0, 20, 40)
    assert prepared.steps == ("reduced", "centred")

    def refuse(_: np.ndarray) -> CanonicalImage:
        raise UnreadableDigitError("two", "several_digits", ((1, 2, 3, 4),))

    monkeypatch.setattr(reading, "canonicalize", refuse)
    with pytest.raises(UnreadableDigitError) as refused:
        reading.prepare(sent)
    assert refused.value.boxes == ((2, 4, 6, 8),)


def test_read_raises_the_verdict(sure_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "canonicalize", lambda _: CanonicalImage(image(1, 10), ()))
    with pytest.raises(UnreadableDigitError) as refused:
        reading.read(Picture.of_pixels(np.zeros((28, 28), np.uint8)), sure_model)
    assert refused.value.verdict == "not_a_digit"
