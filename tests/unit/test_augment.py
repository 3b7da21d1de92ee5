"""Augmentation: what it may do to a digit, and that a seed says all."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from training.augment import Augmentation, augment
from training.dataset import load_subset

ALL = Augmentation(
    shift_pixels=2, turn_degrees=15, scale_share=0.15, shear_share=0.15, elastic_pixels=1, stroke_share=0.5
)


@pytest.fixture(scope="module")
def digits() -> NDArray[np.float32]:
    return load_subset().training.images[::40].astype(np.float32)


def augmented(digits: NDArray[np.float32], amounts: Augmentation, seed: int = 1) -> NDArray[np.float32]:
    return np.asarray(augment(tf.constant(digits), amounts, tf.constant([seed, 7])))


def centre(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The centre of mass of each image, row and column."""
    places = np.indices((28, 28)).reshape(2, -1)
    weights = images.reshape(len(images), -1)
    return (weights @ places.T) / weights.sum(axis=1, keepdims=True)


def test_no_amounts_change_nothing(digits: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(augmented(digits, Augmentation()), digits, atol=1e-2)


def test_a_seed_says_all(digits: NDArray[np.float32]) -> None:
    first, again, other = augmented(digits, ALL), augmented(digits, ALL), augmented(digits, ALL, seed=2)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 5


def test_every_digit_is_changed_in_its_own_way(digits: NDArray[np.float32]) -> None:
    same = augmented(np.repeat(digits[:1], 8, axis=0), ALL)
    assert len({image.tobytes() for image in same}) == 8


def test_pixels_stay_in_range(digits: NDArray[np.float32]) -> None:
    changed = augmented(digits, ALL)
    assert changed.shape == digits.shape
    assert changed.min() >= 0
    assert changed.max() <= 255.01


def test_shifts_reach_as_far_as_they_may_and_no_farther(digits: NDArray[np.float32]) -> None:
    moved = centre(augmented(digits, Augmentation(shift_pixels=2))) - centre(digits)
    assert np.abs(moved).max() <= 2.05
    assert moved.min() < -1.5
    assert moved.max() > 1.5


def test_digits_turn_around_the_middle_both_ways(digits: NDArray[np.float32]) -> None:
    bar = np.zeros((64, 28, 28), np.float32)
    bar[:, 4:24, 13:15] = 255
    turned = augmented(bar, Augmentation(turn_degrees=20))
    rows, columns = np.indices((28, 28)) - 13.5
    angles = [np.degrees((image * rows * columns).sum() / (image * rows * rows).sum()) for image in turned]
    assert 15 < max(angles) < 22
    assert -22 < min(angles) < -15
    np.testing.assert_allclose(centre(turned), 13.5, atol=0.05)


def test_strokes_become_thicker_and_thinner(digits: NDArray[np.float32]) -> None:
    ink = augmented(digits, Augmentation(stroke_share=0.8)).sum(axis=(1, 2)) / digits.sum(axis=(1, 2))
    assert ink.min() < 0.8
    assert ink.max() > 1.2
    assert abs(np.median(ink) - 1) < 0.15
