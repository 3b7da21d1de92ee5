"""The training command: the same twice, ended early, with more data, and what it reports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.bucket import Bucket
from digits.manifest import Manifest
from digits.registry import Registry, prove
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
TRAIN = [sys.executable, "-m", "training", "train", "--data", "embedded", "--recipe", "quick"]


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


def test_a_time_limit_ends_training_with_a_whole_version(output: Path) -> None:
    command = [*TRAIN, "--recipe", "best", "--output", str(output), "--time-limit", "8"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    manifest, files = read_folder(latest_folder(output))
    assert manifest.training is not None
    assert manifest.training.stopped_by == "the time limit of 8 seconds"
    assert manifest.training.chosen_epoch <= manifest.training.epochs
    assert "epoch 1/" in finished.stdout
    assert b"by the time limit of 8 seconds" in files["report/index.html"]
    prove(manifest, files["model.tflite"])


def test_a_signal_ends_training_with_the_best_weights_so_far(output: Path) -> None:
    command = [*TRAIN, "--recipe", "best", "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(_until(process, "epoch 3/"))
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait() == 0, process.stderr
    assert "SIGTERM: training ends with the best weights so far" in rest
    assert "written to" in rest
    manifest, files = read_folder(latest_folder(output))
    prove(manifest, files["model.tflite"])
    assert manifest.training is not None
    assert manifest.training.stopped_by == "SIGTERM"
    best = max(json.loads(files["report/metrics.json"])["epochs"], key=lambda epoch: epoch["holdout_accuracy"])
    assert manifest.holdout.accuracy == pytest.approx(best["holdout_accuracy"])
    assert lines


def test_a_second_signal_leaves_nothing(output: Path) -> None:
    command = [*TRAIN, "--recipe", "best", "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        list(_until(process, "epoch 1/"))
        process.send_signal(signal.SIGINT)
        list(_until(process, "SIGINT"))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 130
    assert "stopped" in error
    assert "Traceback" not in error
    assert versions(output) == []


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_is_a_number_of_seconds(seconds: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--time-limit", seconds])
    assert ended.value.code == 2
    assert "--time-limit" in capsys.readouterr().err


# More data


def test_extra_digits_are_trained_on_and_recorded(output: Path, tmp_path: Path) -> None:
    data = load_subset()
    generator = np.random.default_rng(1)
    for index in range(5):
        label = int(data.training.labels[index])
        path = tmp_path / f"extra/{label}/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(thick_pen(data.training.images[index], generator)).save(path)
    Image.fromarray(data.test.images[0]).save(tmp_path / f"extra/{data.test.labels[0]}_of_the_test.png")
    command = [*TRAIN, "--output", str(output), "--extra", str(tmp_path / "extra")]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert finished.returncode == 0, finished.stderr
    assert "extra: 5 digits of extra; 1 known already, 0 refused" in finished.stdout
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


def _until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without {text!r}: {lines}")
