"""The commands that train: ended early, with more data, without any, and from the bucket to a promotion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from tests.commands import assert_fails
from training import comparison, dataset, job, train_commands
from training.__main__ import main
from training.artifacts import DISTORTED_FOLDER, latest_folder, read_folder
from training.dataset import load_subset
from training.distortions import thick_pen
from training.lease import held
from training.recipes import RECIPES

type Version = tuple[Manifest, dict[str, bytes]]
type Output = pytest.CaptureFixture[str]

TRAIN = ["train", "--data", "embedded", "--recipe", "quick"]
TRAIN_LONG = [sys.executable, "-m", "tests.few_digits", "train", "--data", "embedded", "--recipe", "default"]
# TensorFlow uses what Python 3.15 will not have.
TENSORFLOW_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def versions(output: Path) -> list[Path]:
    return [path for path in output.iterdir() if path.name != DISTORTED_FOLDER]


# Ended early


def test_a_signal_ends_training_with_the_best_weights_so_far(output: Path) -> None:
    command = [*TRAIN_LONG, "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _until(process.stdout, "epoch 3/")
        process.send_signal(signal.SIGTERM)
        rest, error = process.communicate()
    assert process.returncode == 0, error
    assert "SIGTERM: training ends with the best weights so far" in error
    assert "reader: none, as training ended before it had learned to read" in rest
    assert "written to" in rest
    manifest, files = read_folder(latest_folder(output))
    prove(manifest, files["model.tflite"])
    assert manifest.reader is None
    assert "reader.tflite" not in files
    assert manifest.training is not None
    assert manifest.training.stopped_by == "SIGTERM"
    best = max(json.loads(files["report/metrics.json"])["epochs"], key=lambda epoch: epoch["holdout_accuracy"])
    assert manifest.holdout.accuracy == pytest.approx(best["holdout_accuracy"])


def test_a_second_signal_leaves_nothing(output: Path) -> None:
    command = [*TRAIN_LONG, "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _until(process.stdout, "epoch 1/")
        process.send_signal(signal.SIGINT)
        _until(process.stderr, "SIGINT")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 130
    assert "stopped" in error
    assert "Traceback" not in error
    assert versions(output) == []


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 600 training digits, and train on them for a moment; no reader, which a moment is too short for."""
    subset = load_subset()
    monkeypatch.setattr(dataset, "load_subset", lambda: replace(subset, training=subset.training.sample(600)))
    monkeypatch.setitem(RECIPES, "quick", replace(RECIPES["quick"], minimum_steps=60, reader=None))


@pytest.mark.usefixtures("few")
@TENSORFLOW_WARNS
def test_training_that_is_ended_before_it_has_learned_anything_leaves_nothing(output: Path, capsys: Output) -> None:
    assert main([*TRAIN, "--output", str(output), "--time-limit", "0.001"]) == 2
    error = capsys.readouterr().err
    assert "error: the time limit of 0.001 seconds stopped training at" in error
    assert versions(output) == []


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_is_a_number_of_seconds(seconds: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--time-limit", seconds])
    assert ended.value.code == 2
    assert "--time-limit" in capsys.readouterr().err


# More data


@pytest.mark.usefixtures("few")
@TENSORFLOW_WARNS
def test_extra_digits_are_trained_on_and_recorded(output: Path, tmp_path: Path, capsys: Output) -> None:
    data = load_subset()
    generator = np.random.default_rng(1)
    for index in range(5):
        label = int(data.training.labels[index])
        path = tmp_path / f"extra/{label}/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(thick_pen(data.training.images[index], generator)).save(path)
    Image.fromarray(data.test.images[0]).save(tmp_path / f"extra/{data.test.labels[0]}_of_the_test.png")
    assert main([*TRAIN, "--output", str(output), "--extra", str(tmp_path / "extra")]) == 0
    assert "extra: 5 new digits of extra; 1 known already, 0 refused" in capsys.readouterr().out
    manifest, files = read_folder(latest_folder(output))
    assert manifest.dataset.training_count == 605
    assert manifest.dataset.extra is not None
    assert (manifest.dataset.extra.count, manifest.dataset.extra.duplicates) == (5, 1)
    assert b"5 digits of extra" in files["report/index.html"]


def test_extra_digits_that_are_not_there_stop_before_training(output: Path, tmp_path: Path, capsys: Output) -> None:
    missing = str(tmp_path / "nothing")
    assert main(["train", "--data", "embedded", "--output", str(output), "--extra", missing]) == 2
    assert capsys.readouterr().err == f"error: {missing} cannot be read: No such file or directory\n"
    assert versions(output) == []


def _until(stream: IO[str] | None, text: str) -> None:
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}: {lines}")


# Retraining


@pytest.fixture
def retrain(bucket: Bucket, trainings: list[float | None], tmp_path: Path) -> Callable[..., int]:
    """Runs the command, with the trained model for the outcome of every training."""
    return lambda *options: main(["retrain", "--output", str(tmp_path / "artifacts"), *options])


def test_retrain_promotes_what_it_trained_and_leaves_it_at_that(
    bucket: Bucket, retrain: Callable[..., int], trainings: list[float | None], trained: Path, capsys: Output
) -> None:
    assert retrain("--time-limit", "60") == 0
    assert f"{trained.name}: promoted" in capsys.readouterr().out
    assert Registry(bucket).live_state().version == trained.name
    assert retrain() == 0
    assert "nothing to do" in capsys.readouterr().out
    assert trainings == [60]


def test_retrain_tells_a_refusal_by_its_exit_status(
    bucket: Bucket, retrain: Callable[..., int], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "LOWEST_ACCURACY", 1.1)
    assert retrain() == train_commands.REFUSED == 1
    assert "refused" in capsys.readouterr().out
    assert Registry(bucket).live_state().version is None


def test_retrain_leaves_where_another_is_at_work(
    bucket: Bucket, retrain: Callable[..., int], trainings: list[float | None], capsys: Output
) -> None:
    with held(bucket, "another"):
        assert retrain() == train_commands.BUSY == 75
    assert capsys.readouterr().err.startswith("busy: another is retraining until ")
    assert trainings == []
    assert retrain() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_retrain_that_is_stopped_before_it_trains_gives_the_lease_back(
    bucket: Bucket,
    retrain: Callable[..., int],
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setattr(job, "run", lambda *_, **__: os.kill(os.getpid(), number))
    assert retrain() == 130
    assert capsys.readouterr().err == "stopped\n"
    assert Registry(bucket).versions() == []
    with held(bucket, "next"):
        pass


def test_retrain_that_fails_gives_the_lease_back(bucket: Bucket, retrain: Callable[..., int], capsys: Output) -> None:
    assert_fails(capsys, retrain("--recipe", "magic"), "no recipe 'magic'")
    with held(bucket, "next"):
        pass


# How they fail


def test_an_unknown_recipe_is_told_with_the_known_ones(tmp_path: Path, capsys: Output, store: object) -> None:
    status = main(["train", "--recipe", "magic", "--data", "embedded", "--output", str(tmp_path / "out")])
    assert_fails(capsys, status, "no recipe 'magic'; there are: best, default, quick, reference")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [None, b"damaged"])
def test_missing_or_damaged_data_stops_before_anything_is_written(
    tmp_path: Path, data: bytes | None, capsys: Output, store: object
) -> None:
    path = tmp_path / "mnist.npz"
    if data is not None:
        path.write_bytes(data)
    status = main(["train", "--data", str(path), "--output", str(tmp_path / "out")])
    assert_fails(capsys, status, str(path))
    assert not (tmp_path / "out").exists()


def test_data_of_a_wrong_digest_in_the_bucket_is_refused(
    bucket: Bucket, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    archive = tmp_path / "swapped.npz"
    shapes = {"x_train": (60_000, 28, 28), "y_train": (60_000,), "x_test": (10_000, 28, 28), "y_test": (10_000,)}
    np.savez_compressed(archive, **{name: np.zeros(shape, np.uint8) for name, shape in shapes.items()})  # type: ignore[arg-type]
    bucket.create("datasets/mnist.npz", archive.read_bytes())
    status = main(["train", "--output", str(tmp_path / "out")])
    assert_fails(capsys, status, "s3://lambda-digits/datasets/mnist.npz: x_train is damaged or not MNIST")
