"""Hands that MNIST hardly knows, and other digits that it has too few of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label

from digits.pictures.canonical import is_canonical
from training import hands, unusual
from training.dataset import Part, load_subset
from training.hands import HANDS
from training.unusual import unusual_digits

DIGITS = load_subset().training


def of(digit: int, count: int = 20) -> Part:
    suited = DIGITS.labels == digit
    return Part(DIGITS.images[suited], DIGITS.labels[suited]).sample(count)


def holes(image: np.ndarray) -> int:
    return int(label(image < 100)[1]) - 1


@pytest.mark.parametrize("name", HANDS)
def test_a_hand_writes_in_mnists_form_and_always_the_same(name: str) -> None:
    hand = HANDS[name]
    before = of(hand.digit).images
    drawn = [hand.draw(image, np.random.default_rng(index)) for index, image in enumerate(before)]
    assert np.mean([is_canonical(each) for each in drawn]) >= 0.9
    np.testing.assert_array_equal(hand.draw(before[3], np.random.default_rng(3)), drawn[3])
    others = [hand.draw(image, np.random.default_rng(99)) for image in before]
    assert np.mean([(one != other).any() for one, other in zip(drawn, others, strict=True)]) >= 0.3
    assert np.mean([np.abs(new.astype(int) - old).mean() > 4 for new, old in zip(drawn, before, strict=True)]) >= 0.3


def test_a_closed_4_has_a_hole_and_an_open_one_none() -> None:
    drawn = {
        draw: [holes(draw(image, np.random.default_rng(index))) for index, image in enumerate(of(4).images)]
        for draw in (hands.closed, hands.opened)
    }
    assert np.mean(np.array(drawn[hands.closed]) >= 1) >= 0.8
    assert np.mean(np.array(drawn[hands.opened]) == 0) >= 0.8


def test_a_slashed_0_has_more_holes_than_a_plain_one_and_a_looped_2_has_one() -> None:
    slashed = [hands.slashed(image, np.random.default_rng(1)) for image in of(0).images]
    assert np.mean([holes(each) for each in slashed]) > 1.2
    looped = [hands.looped(image, np.random.default_rng(1)) for image in of(2).images]
    assert np.mean([holes(each) >= 1 for each in looped]) > np.mean([holes(each) >= 1 for each in of(2).images]) + 0.2


def test_a_1_with_an_upstroke_does_not_lean_like_a_7() -> None:
    for index, image in enumerate(of(1).images):
        drawn = hands.long_upstroke(image, np.random.default_rng(index))
        top = drawn[: len(drawn) // 4].sum(axis=1)
        assert np.flatnonzero(drawn.any(axis=1))[0] <= 6
        assert top.max() < 255 * 9  # no bar at the top


def test_unusual_digits_are_about_a_fifth_of_all_kept_and_of_every_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, said = DIGITS.sample(500), list[str]()
    made = unusual_digits(part, 1, tmp_path, said.append)
    assert 0.12 < len(made) / len(part) < 0.25
    assert set(made.labels) == set(range(10))
    assert made.images.shape == (len(made), 28, 28)
    monkeypatch.setattr(unusual, "_drawn", None)
    again = unusual_digits(part, 1, tmp_path, said.append)
    np.testing.assert_array_equal(again.images, made.images)
    np.testing.assert_array_equal(again.labels, made.labels)
    assert len(said) == 1


def test_what_is_too_full_to_be_a_digit_is_not_stretched() -> None:
    upright = np.zeros((28, 28), np.uint8)
    upright[4:24, 12:16] = 255
    np.testing.assert_array_equal(unusual.stretched(upright, np.random.default_rng(1)), upright)
