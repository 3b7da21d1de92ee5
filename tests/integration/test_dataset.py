"""MNIST in the bucket: put there once, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.errors import DataError
from digits.registry.bucket import Bucket
from digits.registry.layout import MNIST_KEY
from training import dataset, retraining
from training.dataset import Dataset, Part


def test_the_first_run_puts_mnist_into_the_bucket(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = [np.arange(12, dtype=np.uint8).reshape(shape) for shape in ((3, 2, 2), (12,), (3, 2, 2), (12,))]
    checked: list[str] = []
    digits = Part(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))

    def check(_: object, source: str) -> Dataset:
        checked.append(source)
        return Dataset("mnist", source, digits, digits, digits)

    monkeypatch.setattr(dataset, "_mnist", check)
    path = tmp_path / "mnist.npz"
    np.savez(path, **dict(zip(dataset._PARTS, arrays, strict=True)))  # type: ignore[arg-type]
    said: list[str] = []
    assert retraining._data(bucket, {"DIGITS_MNIST": str(path)}, said.append).source == "mnist.npz"
    assert said[0] == "data: put MNIST from mnist.npz into the bucket"
    assert checked == [str(path)]  # once
    kept = dataset._read_npz(bucket.get(MNIST_KEY).data, "bucket")
    assert all((ours == theirs).all() for ours, theirs in zip(arrays, kept, strict=True))
    assert dataset.store_mnist(bucket, {"DIGITS_MNIST": str(path)}) is None


def test_what_is_not_mnist_is_not_put_there(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=np.zeros(3), y_train=np.zeros(3), x_test=np.zeros(3), y_test=np.zeros(3))
    with pytest.raises(DataError):
        dataset.store_mnist(bucket, {"DIGITS_MNIST": str(path)})
    assert dataset.store_mnist(bucket, {"DIGITS_MNIST": "embedded"}) is None
    assert list(bucket.keys("")) == []
