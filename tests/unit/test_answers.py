"""A model's answers to pictures, as figures are made from them: what the service would tell of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits import reading
from digits.errors import UnreadableDigitError
from digits.model.proof import LoadedModel
from digits.pictures.canonical import CanonicalImage, PartImage, canonicalize
from digits.reading import Picture
from training import forms
from training.answers import answers_to
from training.dataset import load_subset
from training.forms import bring

PART = load_subset().holdout.sample(40)


class Unsure:
    """A classifier whose confidence depends on the image, from 0.4 to 1."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        sums = images.sum(axis=(1, 2), dtype=np.int64)
        sure = 0.4 + 0.6 * (sums % 97) / 97
        answers = np.repeat(((1 - sure) / 9)[:, None], 10, axis=1)
        answers[np.arange(len(images)), sums % 10] = sure
        return answers.astype(np.float32)


CLASSIFIER: Any = Unsure()


def picture(index: int) -> NDArray[np.uint8]:
    """A digit as it is, moved, or a grey sheet, in turn."""
    image: NDArray[np.uint8] = PART.images[index]
    return (image, np.pad(255 - image, 9, constant_values=255), np.full((60, 60), 200, np.uint8))[index % 3]


def split(pixels: NDArray[np.uint8]) -> CanonicalImage:
    """The canonical form, with two parts where the picture was moved."""
    whole = canonicalize(pixels)
    parts = tuple(PartImage(whole.pixels // shade, (0, 0, 1, 1)) for shade in (2, 3)) if whole.steps else ()
    return CanonicalImage(whole.pixels, whole.steps, ("touches_edge",) if whole.pixels.sum() % 2 else (), parts)


def test_each_picture_is_told_what_the_service_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (forms, reading):
        monkeypatch.setattr(module, "canonicalize", split)
    manifest: Any = SimpleNamespace(acceptance_threshold=0.8, rejection_threshold=0.5)
    model = LoadedModel(manifest, CLASSIFIER, "0" * 64)
    expected = []
    for index in range(len(PART)):
        try:
            outcome = reading.read(Picture.of_pixels(picture(index)), model)
            expected.append("accepted" if outcome.accepted else "answered")
        except UnreadableDigitError as error:
            expected.append(error.verdict)
    told = answers_to(CLASSIFIER, bring(picture, len(PART))).judged(0.8, 0.5)
    assert told.tolist() == expected
    assert {"accepted", "answered", "blank", "not_a_digit", "several_digits"} <= set(expected)
