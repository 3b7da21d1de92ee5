"""Finding, checking and splitting data."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import DataError
from training import dataset
from training.dataset import Part, load_path, load_subset, split


@pytest.fixture
def fake_mnist() -> dict[str, Any]:
    return {
        "x_train": np.zeros((60_000, 28, 28), np.uint8),
        "y_train": np.zeros(60_000, np.uint8),
        "x_test": np.zeros((10_000, 28, 28), np.uint8),
        "y_test": np.zeros(10_000, np.uint8),
    }


def test_the_subset_splits_evenly_and_without_overlap() -> None:
    subset = load_subset()
    parts = (subset.training, subset.holdout, subset.test)
    assert [len(part) for part in parts] == [4_000, 500, 500]
    assert [np.bincount(part.labels).tolist() for part in parts] == [[400] * 10, [50] * 10, [50] * 10]
    assert len({image.tobytes() for part in parts for image in part.images}) == 5_000


def test_a_split_keeps_the_classes_share_and_is_always_the_same() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), [1200, 600, 240, 120, 120, 120, 120, 120, 120, 240])
    part = Part(np.arange(len(labels) * 784, dtype=np.uint32).astype(np.uint8).reshape(-1, 28, 28), labels)
    (rest, chosen), (_, again) = split(part, 12), split(part, 12)
    assert np.bincount(chosen.labels).tolist() == [100, 50, 20, 10, 10, 10, 10, 10, 10, 20]
    assert len(rest) + len(chosen) == len(part)
    assert chosen.sha256() == again.sha256()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.npz cannot be read: No such file"):
        load_path(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("data", [b"", b"not a zip file", b"PK\x03\x04" + b"\0" * 50])
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mnist.npz").write_bytes(data)
    with pytest.raises(DataError, match="no readable npz"):
        load_path(tmp_path / "mnist.npz")


def test_a_truncated_file_is_refused(tmp_path: Path, fake_mnist: dict[str, Any]) -> None:
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **fake_mnist)
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(DataError, match="no readable npz"):
        load_path(path)


def test_a_missing_array_is_named(tmp_path: Path, fake_mnist: dict[str, Any]) -> None:
    del fake_mnist["y_test"]
    np.savez_compressed(tmp_path / "mnist.npz", **fake_mnist)
    with pytest.raises(DataError, match="no array y_test"):
        load_path(tmp_path / "mnist.npz")


def test_a_wrong_shape_is_named(tmp_path: Path, fake_mnist: dict[str, Any]) -> None:
    fake_mnist["x_train"] = np.zeros((60_000, 784), np.uint8)
    np.savez_compressed(tmp_path / "mnist.npz", **fake_mnist)
    with pytest.raises(DataError, match=r"x_train has shape \(60000, 784\)"):
        load_path(tmp_path / "mnist.npz")


def test_a_wrong_digest_is_refused(tmp_path: Path, fake_mnist: dict[str, Any]) -> None:
    np.savez_compressed(tmp_path / "mnist.npz", **fake_mnist)
    with pytest.raises(DataError, match="x_train is damaged or not MNIST"):
        load_path(tmp_path / "mnist.npz")


def test_pickled_objects_are_refused(tmp_path: Path, fake_mnist: dict[str, Any]) -> None:
    np.savez(tmp_path / "mnist.npz", **{**fake_mnist, "x_train": np.array([{}], dtype=object)})
    with pytest.raises(DataError, match="no readable npz"):
        load_path(tmp_path / "mnist.npz")


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read_gzipped_or_not(
    tmp_path: Path, fake_mnist: dict[str, Any], zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    for name, array in fake_mnist.items():
        array[:] = generator.integers(0, 10 if name[0] == "y" else 256, array.shape, np.uint8)
    for name, array in zip(dataset._IDX_NAMES, fake_mnist.values(), strict=True):
        data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
        (tmp_path / f"{name}{'.gz' if zipped else ''}").write_bytes(gzip.compress(data, 1) if zipped else data)
    with pytest.raises(DataError, match="x_train is damaged or not MNIST"):
        load_path(tmp_path)
    digests = tuple(
        hashlib.md5(dataset._idx_bytes(array), usedforsecurity=False).hexdigest() for array in fake_mnist.values()
    )
    monkeypatch.setattr(dataset, "_MD5", digests)
    found = load_path(tmp_path)
    assert [len(part) for part in (found.training, found.holdout, found.test)] == [55_000, 5_000, 10_000]
    assert np.array_equal(found.test.images, fake_mnist["x_test"])


@pytest.mark.parametrize("data", [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\x01\0", b"\0\0\x08\x01\0\0\0\x09\0"])
def test_a_damaged_idx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is"):
        load_path(tmp_path)


def test_a_folder_without_idx_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no train-images-idx3-ubyte"):
        load_path(tmp_path)


def test_flipped_bytes_are_refused_whatever_they_break(
    tmp_path: Path, fake_mnist: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    small = {name: array[:50] for name, array in fake_mnist.items()}
    small["x_train"] = generator.integers(0, 256, (50, 28, 28), np.uint8)
    np.savez_compressed(tmp_path / "whole.npz", **small)
    whole = (tmp_path / "whole.npz").read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for position in generator.integers(0, len(whole), 3):
            damaged[position] ^= int(generator.integers(1, 256))
        (tmp_path / "mnist.npz").write_bytes(damaged)
        with pytest.raises(DataError):
            load_path(tmp_path / "mnist.npz")


def test_a_single_array_is_no_data_set(tmp_path: Path) -> None:
    np.save(tmp_path / "mnist.npy", np.zeros(3))
    with pytest.raises(DataError, match="no readable npz"):
        load_path(tmp_path / "mnist.npy")


def test_a_sample_is_spread_over_all_digits() -> None:
    part = load_subset().holdout
    np.testing.assert_array_equal(part.sample(5).images, part.images[[0, 100, 200, 300, 400]])
    assert len(part.sample(333)) == 333
    assert len(part.sample(10_000)) == len(part)
