"""MNIST-C made anew, and letters of other fonts: what the benchmarks of accuracy read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import mnist_c, refusals, robustness
from benchmarks.corruptions import CORRUPTIONS, corrupt, picture
from benchmarks.numbers import __main__ as numbers
from benchmarks.refusals import CAPITALS, FONTS, SIGNS, letters
from training.dataset import load_subset

PART = load_subset().holdout.sample(12)
MOVED = {"shear", "rotate", "translate", "scale"}


def corrupted(name: str, index: int = 3) -> NDArray[np.uint8]:
    return corrupt(PART.images[index], name, np.random.default_rng(index))


def extent(image: NDArray[np.uint8]) -> tuple[int, int]:
    rows, columns = (np.flatnonzero((image >= 64).any(axis=axis)) for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_there_are_fifteen_corruptions() -> None:
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_the_digit_and_is_always_the_same(name: str) -> None:
    image = picture(PART.images, name, 3)
    assert image.dtype == np.uint8
    assert image.shape == (28, 28)
    np.testing.assert_array_equal(image, picture(PART.images, name, 3))
    assert np.abs(image.astype(int) - PART.images[3]).mean() > 2


@pytest.mark.parametrize(
    "name", sorted(CORRUPTIONS.keys() - {"stripe", "shear", "rotate", "translate", "scale", "canny edges"})
)
def test_what_leaves_the_digit_in_its_place_leaves_it_brighter_than_the_rest(name: str) -> None:
    for index in range(len(PART)):
        image, ink = corrupted(name, index), PART.images[index] > 200
        assert image[ink].mean() > image[PART.images[index] == 0].mean() + 15


def test_a_stripe_inverts_the_outer_quarters() -> None:
    image, before = corrupted("stripe"), PART.images[3]
    np.testing.assert_array_equal(image[:, 7:21], before[:, 7:21])
    np.testing.assert_array_equal(image[:, :7], 255 - before[:, :7])
    np.testing.assert_array_equal(image[:, 21:], 255 - before[:, 21:])


def test_geometry_is_that_of_the_description() -> None:
    before = PART.images[3]
    height, width = extent(before)
    assert extent(corrupted("scale")) == pytest.approx((0.7 * height, 0.7 * width), abs=1.5)
    moved = corrupted("translate")
    assert any(np.array_equal(moved, np.roll(before, (down, right), (0, 1))) for down in (-3, 3) for right in (-3, 3))


def test_edges_go_round_the_stroke() -> None:
    stroke = np.zeros((28, 28), np.uint8)
    stroke[4:24, 11:17] = 255
    edges = corrupt(stroke, "canny edges", np.random.default_rng(0))
    assert set(np.unique(edges).tolist()) == {0, 255}
    assert edges[14, 13:15].max() == 0  # hollow
    assert (edges[14] > 0).sum() == 2  # a line on either side


@pytest.mark.parametrize("font", FONTS)
def test_a_font_has_pictures_of_its_letters(font: str) -> None:
    pictures = letters(font)
    assert len(pictures) == len(CAPITALS + SIGNS) * len(refusals._SIZES)
    for pixels in pictures:
        assert pixels.dtype == np.uint8
        assert int(pixels.max()) - int(pixels.min()) > 100
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.min() == border.max()  # nothing is cut off
    assert len({pixels.tobytes() for pixels in pictures}) == len(pictures)


@pytest.mark.parametrize("benchmark", [mnist_c, numbers, refusals, robustness])
def test_without_a_model_the_error_is_a_line(
    benchmark: object, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(["--model", f"{tmp_path}/none"]) == 2  # type: ignore[attr-defined]
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("benchmark", [mnist_c, numbers, refusals, robustness])
def test_no_pictures_at_all_are_too_few(benchmark: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["--count", "0"])  # type: ignore[attr-defined]
    assert "--count: invalid positive value: '0'" in capsys.readouterr().err
