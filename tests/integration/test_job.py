"""The training job: what a version is, whole or not at all."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from digits.model.contract import LINE, LOGITS
from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.pictures import rows
from tests import few_digits
from training.artifacts import DISTORTED_FOLDER, latest_folder, read_folder
from training.dataset import load_subset
from training.number_answers import TARGET_EXACT
from training.numbers import KINDS, NO_NUMBER

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

    monkeypatch.setattr(job, "judging_parts", lambda *_: (None, None))
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
    said: list[str] = []
    job.run(find_recipe("quick"), load_subset(), 1, output, say=said.append, stop=FakeLimit(), progress=seen.append)
    assert "reader: none, as training ended before it had learned to read" in said
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
    # Nothing is left of a reader that has not learned anything yet.
    assert manifest.reader is None
    assert not [name for name in files if name.startswith("reader")]
    assert b"it reads single digits only" in files["report/index.html"]


@TENSORFLOW_WARNS
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, where it loads a model
def test_a_signal_in_the_readers_training_leaves_a_whole_version_with_its_best_weights(
    output: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader goes on from one that has been trained, or this would take minutes."""
    import keras

    from training import job
    from training.fit import Progress, StopRequest
    from training.recipes import ReaderRecipe, find_recipe

    monkeypatch.setattr(ReaderRecipe, "network", lambda _: keras.saving.load_model(trained / "reader.keras"))
    quick = find_recipe("quick")
    assert quick.reader is not None
    recipe = replace(quick, minimum_steps=60, reader=replace(quick.reader, peak_learning_rate=1e-6))
    stop = StopRequest()

    def interrupt(progress: Progress) -> None:
        if progress.network != quick.name and progress.step == 5 and not progress.epoch_ended:
            os.kill(os.getpid(), signal.SIGTERM)

    said: list[str] = []
    with stop.on_signals():
        job.run(recipe, load_subset(), 1, output, say=said.append, stop=stop, progress=interrupt)
    assert not [line for line in said if "reader: none" in line]
    manifest, files = read_folder(latest_folder(output))
    prove(manifest, files["model.tflite"], reader=lambda: files["reader.tflite"]).whole()
    assert manifest.training is not None
    assert manifest.reader is not None
    assert manifest.training.stopped_by is None
    assert (manifest.reader.training.stopped_by, manifest.reader.training.epochs) == ("SIGTERM", 1)
    assert manifest.reader.holdout.rows[0].exact > 0.5


def test_the_manifest_describes_the_reader_and_how_well_it_reads(version: Version) -> None:
    manifest, files = version
    reader = manifest.reader
    assert reader is not None
    assert {"reader.tflite", "reader.keras"} <= manifest.files.keys()
    assert (reader.input, reader.output, reader.line_form) == (LINE, LOGITS, rows.VERSION)
    assert reader.line_count == few_digits.LINES
    assert reader.recipe.hyperparameters["epochs"] == few_digits.LINE_EPOCHS
    assert reader.training.epochs == few_digits.LINE_EPOCHS
    assert reader.recipe.parameter_count > 100_000
    assert 0.5 <= reader.temperature <= 3
    assert reader.agreement > 0.9
    for table in (reader.holdout, reader.test):
        assert [row.name for row in table.rows] == list(KINDS)
        assert all(row.count == few_digits.PICTURES_PER_KIND for row in table.rows)
        assert all(row.wrong_accepted <= row.accepted for row in table.rows)
        exact = {row.name: row.exact for row in table.rows}
        assert exact["separated"] > 0.7
        assert {row.name: row.accepted for row in table.rows}[NO_NUMBER] < 0.1
    assert reader.holdout.sha256 != reader.test.sha256
    proved = prove(manifest, files["model.tflite"], reader=lambda: files["reader.tflite"]).whole()
    assert proved.numbers.get().record == reader


def test_the_readers_thresholds_are_kept_on_the_holdout(version: Version) -> None:
    reader = version[0].reader
    assert reader is not None
    table = reader.holdout.rows
    accepted = sum(row.count * row.accepted for row in table)
    assert accepted > 0
    assert reader.acceptance_threshold is not None
    # The promise is about rows, of which a page has up to five: one that is wrong makes the whole picture wrong.
    rows = sum(row.count * (5 if row.name == "page" else 1) for row in table)
    assert sum(row.count * row.wrong_accepted for row in table) <= (1 - TARGET_EXACT) * rows


def test_a_recipe_without_a_reader_draws_no_lines_and_no_numbers(output: Path) -> None:
    from training import job
    from training.additions import additions
    from training.recipes import find_recipe

    reference, data = find_recipe("reference"), load_subset()
    said: list[str] = []
    parts = job.judging_parts(reference, data, output / DISTORTED_FOLDER, said.append)
    assert [dict(part.numbers) for part in parts] == [{}, {}]
    assert additions(reference, data.training, output / DISTORTED_FOLDER, said.append).lines is None
    assert said == []
