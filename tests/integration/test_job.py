"""The training job: what a version is, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from digits.model.manifest import Manifest
from digits.model.proof import prove
from training.artifacts import latest_folder, read_folder
from training.dataset import load_subset

# TensorFlow uses what Python 3.15 will not have.
TENSORFLOW_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning")

type Version = tuple[Manifest, dict[str, bytes]]


def test_training_on_the_embedded_digits_is_better_than_96_percent(version: Version) -> None:
    manifest, _ = version
    assert manifest.test.accuracy > 0.96
    assert manifest.test.count == 500
    assert manifest.dataset.name == "mnist-subset-5000"
    assert manifest.recipe.hyperparameters["epochs"] > 5
    assert {"model.tflite", "model.keras"} <= manifest.files.keys()
    assert len(manifest.goldens) == 10
    low, high = manifest.test.accuracy_interval
    assert low < manifest.test.accuracy < high


def test_a_failed_training_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training import job, recipes
    from training.dataset import load_subset

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "distorted_digits", lambda *_: {})
    monkeypatch.setattr(job, "judging_outliers", lambda *_: {})
    monkeypatch.setattr(job, "additions", lambda *_: None)
    monkeypatch.setattr(job, "fit", fail)
    with pytest.raises(KeyboardInterrupt):
        job.run(recipes.find_recipe("default"), load_subset(), 1, tmp_path, say=print)
    assert list(tmp_path.iterdir()) == []


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
    assert manifest.holdout.expected_calibration_error < 0.05  # it is fitted over the mixture
    assert manifest.test_robustness is not None
    assert manifest.test_robustness.expected_calibration_error < 0.05


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
