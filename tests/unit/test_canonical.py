"""The canonical form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.canonical import canonicalize, is_canonical
from digits.errors import BlankImageError
from digits.images import decode
from digits.manifest import Manifest
from digits.registry import prove
from tests import events
from training.dataset import load_subset

type Pixels = NDArray[np.uint8]


def digit(label: int) -> Pixels:
    return decode(events.digit_file(label))


def on_paper(pixels: Pixels) -> Pixels:
    """Black ink on a large white page, far from its middle, three times the size."""
    page = np.full((200, 260), 255, np.uint8)
    large = np.asarray(Image.fromarray(pixels).resize((84, 84), Image.Resampling.BICUBIC))
    page[20:104, 150:234] -= large
    return page


@pytest.mark.parametrize("label", range(10))
def test_mnist_passes_through_bit_for_bit(label: int) -> None:
    canonical = canonicalize(digit(label))
    assert np.array_equal(canonical.pixels, digit(label))
    assert canonical.steps == ()


@pytest.mark.parametrize("label", range(10))
def test_inverted_mnist_is_only_inverted_back(label: int) -> None:
    canonical = canonicalize(255 - digit(label))
    assert np.array_equal(canonical.pixels, digit(label))
    assert canonical.steps == ("inverted",)


def test_all_embedded_mnist_digits_are_canonical() -> None:
    subset = load_subset()
    assert all(is_canonical(image) for part in (subset.training, subset.holdout, subset.test) for image in part.images)


@pytest.mark.parametrize("label", range(10))
def test_a_digit_on_a_page_comes_out_in_the_form_of_mnist(label: int) -> None:
    canonical = canonicalize(on_paper(digit(label)))
    assert is_canonical(canonical.pixels)
    assert canonical.pixels.max() > 200
    assert canonical.pixels[0].max() == 0
    assert canonical.steps[0] == "inverted"


def test_canonical_form_saves_accuracy_on_shifted_small_and_inverted_digits(
    version: tuple[Manifest, dict[str, bytes]],
) -> None:
    manifest, files = version
    classifier = prove(manifest, files["model.tflite"]).classifier
    part = load_subset().test

    def accuracy(images: list[Pixels]) -> float:
        return float((classifier.predict(np.stack(images)).argmax(axis=1) == part.labels).mean())

    def half_size(image: Pixels) -> Pixels:
        small = np.asarray(Image.fromarray(image).resize((14, 14), Image.Resampling.BOX))
        return np.pad(small, ((10, 4), (3, 11)))

    clean = accuracy(list(part.images))
    for change in (lambda image: 255 - image, lambda image: np.roll(image, (3, -3), (0, 1)), half_size):
        changed = [change(image) for image in part.images]
        restored = accuracy([canonicalize(image).pixels for image in changed])
        assert restored >= clean - 0.06
        assert restored > accuracy(changed)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_picture_is_refused_as_blank(value: int) -> None:
    with pytest.raises(BlankImageError):
        canonicalize(np.full((50, 40), value, np.uint8))


def test_faint_noise_is_refused_as_blank() -> None:
    noise = np.random.default_rng(1).integers(118, 130, (60, 60)).astype(np.uint8)
    with pytest.raises(BlankImageError):
        canonicalize(noise)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 2)])
def test_odd_shapes_give_an_image_or_a_clear_error(shape: tuple[int, int]) -> None:
    page = np.full(shape, 255, np.uint8)
    page[0, 0] = 0
    try:
        canonical = canonicalize(page)
    except BlankImageError:
        return
    assert canonical.pixels.shape == (28, 28)
