"""The training command: the same twice, ended early, with more data, and what it reports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
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
from local.stack import run_training
from training.__main__ import main
from training.artifacts import FIELD_FOLDER, REPORT_FOLDER, latest_folder, read_folder
from training.dataset import load_subset
from training.distortions import thick_pen

type Version = tuple[Manifest, dict[str, bytes]]
type Output = pytest.CaptureFixture[str]

FIGURES = {
    "training_curves",
    "confusion_matrix",
    "class_accuracy",
    "reliability_diagram",
    "robustness",
    "worst_mistakes",
}
TRAIN = ["train", "--data", "embedded", "--recipe", "quick"]
TRAIN_BEST = [sys.executable, "-m", "training", "train", "--data", "embedded", "--recipe", "best"]
# TensorFlow uses what Python 3.15 will not have.
TENSORFLOW_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def output(trained: Path, tmp_path: Path) -> Path:
    """A folder for versions that has the distorted digits already."""
    folder = tmp_path / "artifacts"
    shutil.copytree(trained.parent / FIELD_FOLDER, folder / FIELD_FOLDER)
    return folder


def versions(output: Path) -> list[Path]:
    return [path for path in output.iterdir() if path.name != FIELD_FOLDER]


# What a run gives


def test_one_seed_gives_the_same_weights_bit_for_bit() -> None:
    from training.fit import StopRequest, fit
    from training.recipes import find_recipe

    recipe = replace(find_recipe("default"), epochs=2, minimum_steps=0)
    data = load_subset()

    def weights(seed: int) -> bytes:
        fitted = fit(recipe, data.training, data.holdout, seed, stop=StopRequest(), progress=lambda _: None)
        return b"".join(each.tobytes() for each in fitted.network.get_weights())

    first = weights(1)
    assert weights(1) == first
    assert weights(2) != first


def test_the_manifest_publishes_an_honest_confidence(version: Version) -> None:
    manifest, files = version
    data = load_subset()
    answers = prove(manifest, files["model.tflite"]).classifier.predict(data.holdout.images)
    accepted = answers.max(axis=1) >= (manifest.acceptance_threshold or 2)
    assert (answers.argmax(axis=1) == data.holdout.labels)[accepted].mean() >= 0.999
    assert manifest.acceptance_coverage == pytest.approx(accepted.mean())
    assert accepted.mean() > 0.5
    assert manifest.temperature is not None
    assert manifest.temperature != pytest.approx(1, abs=0.05)  # label smoothing makes answers too unsure
    assert manifest.holdout.expected_calibration_error < 0.03
    assert manifest.test_robustness is not None
    assert manifest.test_robustness.expected_calibration_error < 0.05


def test_the_report_has_every_figure_and_one_page_of_its_own(trained: Path, version: Version) -> None:
    folder = trained / REPORT_FOLDER
    assert {path.stem for path in folder.glob("*.png")} == FIGURES
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 150
            assert len(np.unique(np.asarray(image.convert("L")))) > 20
    page = (folder / "index.html").read_text()
    assert page.count('src="data:image/png;base64,') == len(FIGURES)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert f"{version[0].test.accuracy:.2%}" in page
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == version[0].test.accuracy
    assert np.trace(metrics["confusion"]) / np.sum(metrics["confusion"]) == pytest.approx(version[0].test.accuracy)
    assert metrics["export_candidates"][0]["name"] == "float32"
    assert len(metrics["epochs"]) == metrics["training"]["epochs"]
    assert f"{REPORT_FOLDER}/index.html" in version[0].files


def test_report_names_and_sums_up_a_version_trained_here(
    trained: Path, version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", trained.parent)
    assert main(["report", trained.name]) == 0
    printed = capsys.readouterr().out
    assert f"test accuracy      {version[0].test.accuracy:.2%}" in printed
    assert printed.splitlines()[-1].endswith(f"{trained.name}/report/index.html")
    assert main(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == trained.name


def test_report_fetches_a_published_version(
    published: Bucket, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    assert main(["report", trained.name]) == 0
    for path in (trained / REPORT_FOLDER).iterdir():
        assert (tmp_path / trained.name / REPORT_FOLDER / path.name).read_bytes() == path.read_bytes()
    assert main(["report", "20260101T000000Z-00000000"]) == 2
    assert "no model '20260101T000000Z-00000000' is published" in capsys.readouterr().err


def test_a_damaged_report_is_not_fetched(
    published: Bucket, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    key = f"models/{version[0].version}/report/index.html"
    published.replace(key, b"<script>", published.get(key).etag)
    assert main(["report", version[0].version]) == 2
    assert "report/index.html of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_report_of_a_model_without_one_is_told(
    bucket: Bucket, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    manifest, files = version
    names = ["model.keras", "model.tflite"]
    bare = manifest.model_copy(update={"files": {name: manifest.files[name] for name in names}})
    Registry(bucket).publish(bare, {name: files[name] for name in names})
    assert main(["report", manifest.version]) == 2
    assert "was published without a report" in capsys.readouterr().err


# Ended early


@TENSORFLOW_WARNS
def test_a_time_limit_ends_training_with_a_whole_version(output: Path) -> None:
    from training import job
    from training.fit import Progress, StopRequest
    from training.recipes import find_recipe

    class FakeLimit(StopRequest):
        """A time limit that does not depend on the machine: reached when it was asked 300 times."""

        asked = 0

        def elapsed_share(self) -> float:
            self.asked += 1
            self.reason = "the time limit" if self.asked >= 300 else None
            return self.asked / 300

    seen: list[Progress] = []
    job.run(find_recipe("quick"), load_subset(), 1, output, say=print, stop=FakeLimit(), progress=seen.append)
    manifest, files = read_folder(latest_folder(output))
    prove(manifest, files["model.tflite"])
    assert manifest.training is not None
    assert manifest.training.stopped_by == "the time limit"
    assert 1 < manifest.training.epochs < seen[0].epochs
    assert seen[-1].step < seen[-1].steps
    assert b"by the time limit" in files["report/index.html"]
    # The learning rate has fallen to zero all the same, and that shows.
    assert manifest.holdout.accuracy > 0.9
    assert manifest.training.chosen_epoch == manifest.training.epochs


def test_a_signal_ends_training_with_the_best_weights_so_far(output: Path) -> None:
    command = [*TRAIN_BEST, "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _until(process.stdout, "epoch 3/")
        process.send_signal(signal.SIGTERM)
        rest, error = process.communicate()
    assert process.returncode == 0, error
    assert "SIGTERM: training ends with the best weights so far" in error
    assert "written to" in rest
    manifest, files = read_folder(latest_folder(output))
    prove(manifest, files["model.tflite"])
    assert manifest.training is not None
    assert manifest.training.stopped_by == "SIGTERM"
    best = max(json.loads(files["report/metrics.json"])["epochs"], key=lambda epoch: epoch["holdout_accuracy"])
    assert manifest.holdout.accuracy == pytest.approx(best["holdout_accuracy"])


def test_a_second_signal_leaves_nothing(output: Path) -> None:
    command = [*TRAIN_BEST, "--output", str(output)]
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


@TENSORFLOW_WARNS
def test_training_that_is_ended_before_it_has_learned_anything_leaves_nothing(output: Path, capsys: Output) -> None:
    assert main([*TRAIN, "--output", str(output), "--time-limit", "0.001"]) == 2
    error = capsys.readouterr().err
    assert "error: the time limit of 0.001 seconds ended training when" in error
    assert versions(output) == []


def test_ctrl_c_in_the_demo_leaves_training_to_end_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for a training that goes on to export after the first Ctrl-C.
    training = tmp_path / "python"
    training.write_text('#!/bin/sh\ntrap \'\' INT\nsleep 1\ntouch "$(dirname "$0")/written"\n')
    training.chmod(0o755)
    monkeypatch.setattr("local.stack.sys.executable", str(training))
    ctrl_c = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    run_training("train")
    ctrl_c.join()
    assert (tmp_path / "written").exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_is_a_number_of_seconds(seconds: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--time-limit", seconds])
    assert ended.value.code == 2
    assert "--time-limit" in capsys.readouterr().err


# More data


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
    assert manifest.dataset.training_count == 4_005
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
