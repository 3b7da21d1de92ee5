"""Labelled pictures beyond MNIST: how they are found, what is left out, what is recorded."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from training.dataset import Dataset, Part, load_subset
from training.distortions import thick_pen
from training.extra import add_extra

# A digit as nobody has it yet: drawn with another pen.
GENERATOR = np.random.default_rng(1)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Few digits that judge, as each is compared with every picture."""
    subset = load_subset()
    return replace(subset, holdout=subset.holdout.sample(60), test=subset.test.sample(60))


def new_picture(dataset: Dataset, index: int) -> np.ndarray:
    return thick_pen(dataset.training.images[index], GENERATOR)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def add(dataset: Dataset, path: Path) -> tuple[Dataset, list[str]]:
    said: list[str] = []
    return add_extra(dataset, path, said.append), said


def test_folders_and_names_tell_the_label(dataset: Dataset, tmp_path: Path) -> None:
    for index, name in enumerate(["7/scan.png", "batch/3/1_first.png", "5_a.png", "0.png", "2-b.gif"]):
        save(tmp_path / name, new_picture(dataset, index))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "README.md").write_text("where these are from")
    merged, _ = add(dataset, tmp_path)
    assert sorted(merged.training.labels[len(dataset.training) :].tolist()) == [0, 2, 3, 5, 7]
    assert merged.extra is not None
    assert (merged.extra.count, merged.extra.duplicates, merged.extra.refused) == (5, 0, 0)
    assert merged.extra.source == tmp_path.name
    np.testing.assert_array_equal(merged.training.images[: len(dataset.training)], dataset.training.images)
    assert merged.sha256() != dataset.sha256()
    assert merged.test is dataset.test
    assert merged.holdout is dataset.holdout


def test_added_digits_are_in_canonical_form(dataset: Dataset, tmp_path: Path) -> None:
    save(tmp_path / "4.png", new_picture(dataset, 0))
    image = add(dataset, tmp_path)[0].training.images[-1]
    rows, columns = (np.flatnonzero((image >= 64).any(axis=axis)) for axis in (1, 0))
    assert image[0, 0] == 0
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 22


@pytest.mark.parametrize("part", ["training", "holdout", "test"])
def test_known_digits_are_left_out_in_whatever_polarity(dataset: Dataset, tmp_path: Path, part: str) -> None:
    known: Part = getattr(dataset, part)
    save(tmp_path / "1/plain.png", known.images[3])
    save(tmp_path / "1/inverted.png", 255 - known.images[4])
    save(tmp_path / "1/new.png", new_picture(dataset, 0))
    merged, said = add(dataset, tmp_path)
    assert merged.extra is not None
    assert (merged.extra.count, merged.extra.duplicates) == (1, 2)
    assert said == [f"extra: 1 new digits of {tmp_path.name}; 2 known already, 0 refused"]


@pytest.mark.parametrize("part", ["holdout", "test"])
def test_digits_that_judge_a_model_are_left_out_wherever_they_stand(
    dataset: Dataset, tmp_path: Path, part: str
) -> None:
    known: Part = getattr(dataset, part)
    for index in range(20):
        placed = np.zeros((60, 60), np.uint8)
        placed[3 + index : 31 + index, 7:35] = known.images[index]
        save(tmp_path / f"1/{index}.png", placed)
    with pytest.raises(DataError, match="adds nothing"):
        add(dataset, tmp_path)


def test_one_picture_under_two_labels_stops_everything(dataset: Dataset, tmp_path: Path) -> None:
    for name in ("6/a.png", "8/b.png"):
        save(tmp_path / name, new_picture(dataset, 0))
    with pytest.raises(DataError, match=r"8/b.png shows what 6/a.png shows"):
        add(dataset, tmp_path)


def test_the_folder_that_is_given_names_no_label(dataset: Dataset, tmp_path: Path) -> None:
    save(tmp_path / "3/5_a.png", new_picture(dataset, 0))
    merged, _ = add(dataset, tmp_path / "3")
    assert merged.training.labels[-1] == 5


def test_a_picture_that_comes_twice_counts_once(dataset: Dataset, tmp_path: Path) -> None:
    for name in ("6/a.png", "6/b.png"):
        save(tmp_path / name, new_picture(dataset, 0))
    assert len(add(dataset, tmp_path)[0].training) == len(dataset.training) + 1


def test_unreadable_pictures_are_named_and_left_out(dataset: Dataset, tmp_path: Path) -> None:
    save(tmp_path / "6/good.png", new_picture(dataset, 0))
    save(tmp_path / "6/blank.png", np.zeros((50, 50), np.uint8))
    (tmp_path / "6/broken.png").write_bytes(b"no image")
    merged, said = add(dataset, tmp_path)
    assert merged.extra is not None
    assert (merged.extra.count, merged.extra.refused) == (1, 2)
    assert [line.split(" is left out")[0] for line in said[:2]] == ["extra: 6/blank.png", "extra: 6/broken.png"]


@pytest.mark.parametrize("names", [("images", "labels"), ("x_train", "y_train"), ("x", "y")])
def test_an_archive_may_hold_pictures_of_any_size(dataset: Dataset, tmp_path: Path, names: tuple[str, str]) -> None:
    pictures = np.stack([new_picture(dataset, index) for index in range(3)])
    np.savez(
        tmp_path / "more.npz", allow_pickle=False, **dict(zip(names, (pictures, np.array([1, 2, 3])), strict=True))
    )
    merged, _ = add(dataset, tmp_path / "more.npz")
    assert merged.training.labels[-3:].tolist() == [1, 2, 3]


def test_a_picture_without_a_label_stops_everything(dataset: Dataset, tmp_path: Path) -> None:
    save(tmp_path / "scan.png", new_picture(dataset, 0))
    with pytest.raises(DataError, match=r"scan.png names no digit: name it like 7/scan.png or 7_scan.png"):
        add(dataset, tmp_path)


@pytest.mark.parametrize("name", ["12.png", "2024-11-22.png", "3d_scan.png", "8x8.png", "1.5_scan.png", "2nd.png"])
def test_numbers_are_no_digits(dataset: Dataset, tmp_path: Path, name: str) -> None:
    save(tmp_path / name, new_picture(dataset, 0))
    with pytest.raises(DataError, match="names no digit"):
        add(dataset, tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 28, 28), np.float32), "labels": np.zeros(2, int)}, "not uint8"),
        ({"images": np.zeros((2, 784), np.uint8), "labels": np.zeros(2, int)}, "not uint8"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(3, int)}, "are not 2 integers"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array([1, 10])}, "are not 2 integers"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array([1.0, 2.0])}, "are not 2 integers"),
        ({"images": np.zeros((2, 28, 28), np.uint8)}, "has no arrays"),
        ({"images": np.zeros((2, 0, 28), np.uint8), "labels": np.zeros(2, int)}, "not uint8"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(2, int)}, "adds nothing"),
    ],
)
def test_a_wrong_archive_is_told(dataset: Dataset, tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "more.npz", allow_pickle=False, **arrays)
    with pytest.raises(DataError, match=message):
        add(dataset, tmp_path / "more.npz")


def test_what_is_missing_or_damaged_is_told(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        add(dataset, tmp_path / "nothing.npz")
    with zipfile.ZipFile(tmp_path / "texts.npz", "w") as archive:
        archive.writestr("images", "no array")
        archive.writestr("labels", "neither")
    with pytest.raises(DataError, match="holds more than arrays"):
        add(dataset, tmp_path / "texts.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="no readable npz"):
        add(dataset, tmp_path / "bad.npz")
