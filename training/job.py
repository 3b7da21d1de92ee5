"""The training job: data set and recipe in, a folder with one version of the models out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from digits.errors import ConfigurationError, OperationError
from digits.model.classifier import Classifier
from digits.model.identity import MANIFEST_FILE, MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import FileRecord, Manifest, Metrics, ReaderRecord
from training import mixture, report
from training.additions import Additions, additions
from training.answers import NO_DIGIT, Answers
from training.artifacts import DISTORTED_FOLDER, REPORT_FOLDER
from training.classifier import DigitTask, probabilities
from training.dataset import Dataset, Part
from training.description import describe, evaluate
from training.evaluate import fit_temperature, rejection_threshold
from training.export import compare, divide_logits, to_litert
from training.fit import Fitted, Progress, StopRequest, fit
from training.forms import Forms
from training.judging import Judging, judging
from training.reading import MadeReader, describe_reader, make_reader
from training.recipes import Recipe
from training.robustness import DistortedDigits

KERAS_FILE, READER_KERAS_FILE = "model.keras", "reader.keras"
# Of a time limit, where a reader is trained after the classifier.
CLASSIFIER_SHARE = 0.4
WORTH_KEEPING = 0.5  # the least holdout accuracy of a run that was stopped early, and of any reader


@dataclass(frozen=True)
class Made:
    """A trained, calibrated and exported model.

    Attributes:
        temperature: what the logits were divided by.
        wall_seconds: from the arrays in memory to the exported model.
        reader: reads numbers; None where none was trained.
    """

    fitted: Fitted
    temperature: float
    model: bytes
    wall_seconds: float
    reader: MadeReader | None = None


def make(
    recipe: Recipe,
    dataset: Dataset,
    judging: Judging,
    seed: int,
    *,
    stop: StopRequest,
    progress: Callable[[Progress], None],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    added: Additions,
) -> Made:
    """Train, calibrate and export both networks.

    Args:
        judging: made out of the holdout: calibration is over the mixture.
        added: what the networks learn from besides the training digits.
        callbacks: of the classifier's training.
    """
    started = time.monotonic()
    fitted = fit(
        DigitTask(recipe, dataset.training, dataset.holdout, added),
        seed,
        stop=stop,
        progress=progress,
        callbacks=callbacks,
        until=CLASSIFIER_SHARE if recipe.reader else 1.0,
    )
    _check_trained(fitted)
    temperature = _temperature(fitted.network, dataset.holdout, judging.distorted, judging.outliers)
    divide_logits(fitted.network, temperature)
    made = Made(fitted, temperature, to_litert(fitted.network), time.monotonic() - started)
    if recipe.reader is None or added.lines is None or stop.asked_for:
        return made
    reader = make_reader(recipe.reader, added.lines, judging.numbers, seed, stop=stop, progress=progress)
    worth_keeping = _accuracy_of(reader.fitted) >= WORTH_KEEPING
    return replace(made, reader=reader if worth_keeping else None, wall_seconds=time.monotonic() - started)


def _temperature(network: keras.Model, clean: Part, distorted: DistortedDigits, outliers: Mapping[str, Forms]) -> float:
    """Return the temperature that makes the confidence of the mixture's answers honest."""
    seen = np.concatenate([forms.images[forms.readable & (forms.part_counts < 2)] for forms in outliers.values()])
    no_digits = Part(seen, np.full(len(seen), NO_DIGIT, np.uint8))
    parts = {mixture.CLEAN: clean, mixture.DISTORTED: distorted.pooled(), mixture.OUTLIERS: no_digits}
    answers = {name: Answers.plain(probabilities(network, part.images), part.labels) for name, part in parts.items()}
    # What will be refused gets no confidence that could be wrong; a temperature hardly changes which that is.
    reject = rejection_threshold(answers[mixture.CLEAN], [answers[mixture.DISTORTED]], None)
    answered = {name: each.answered(None, reject) for name, each in answers.items()}
    return fit_temperature(
        [answers[name].probabilities[inside] for name, inside in answered.items()],
        [answers[name].labels[inside] for name, inside in answered.items()],
        [weight * float(answered[name].mean()) for name, weight in mixture.WEIGHTS],
    )


def run(
    recipe: Recipe,
    dataset: Dataset,
    seed: int,
    output: Path,
    *,
    say: Callable[[str], None],
    stop: StopRequest | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train, export, check, describe and report on one version; a failure leaves nothing behind.

    Args:
        output: the version's folder is created in here, named after the version.
        say: called with each line of output.
        stop: may stop training early; the rest of the job is still done.

    Returns:
        The version's folder: model.tflite, model.keras, report/, manifest.json.

    Raises:
        ConfigurationError: nothing can be written there.
        ParityError: the exported model disagrees with the trained one.
        OperationError: training was stopped before it had learned anything.
    """
    stop = stop or StopRequest()
    try:
        output.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=output))
    except OSError as error:
        raise ConfigurationError(f"nothing can be written to {output}: {error.strerror}") from error
    try:
        on_holdout, on_test = judging_parts(recipe, dataset, output / DISTORTED_FOLDER, say)
        added = additions(recipe, dataset.training, output / DISTORTED_FOLDER, say)
        made = make(recipe, dataset, on_holdout, seed, stop=stop, progress=progress, added=added)
        if recipe.reader and made.reader is None:
            say("reader: none, as training ended before it had learned to read")
        manifest = _write(partial, made, dataset, on_holdout, on_test, recipe=recipe, seed=seed, say=say)
        stop.check()
        return partial.rename(output / manifest.version)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def judging_parts(
    recipe: Recipe, dataset: Dataset, kept_in: Path, say: Callable[[str], None]
) -> tuple[Judging, Judging]:
    """Return what a recipe's models are judged by, made out of the holdout and out of the test digits."""
    of_holdout, of_test = (
        judging(part, kept_in, say, with_numbers=recipe.reader is not None) for part in (dataset.holdout, dataset.test)
    )
    return of_holdout, of_test


def _check_trained(fitted: Fitted) -> None:
    accuracy = _accuracy_of(fitted)
    if fitted.stopped_by and accuracy < WORTH_KEEPING:
        raise OperationError(
            f"{fitted.stopped_by} stopped training at {accuracy:.0%} holdout accuracy: that is not worth keeping"
        )


def _accuracy_of(fitted: Fitted) -> float:
    return fitted.epochs[fitted.chosen_epoch - 1].holdout_accuracy


def _write(
    folder: Path,
    made: Made,
    dataset: Dataset,
    on_holdout: Judging,
    on_test: Judging,
    *,
    recipe: Recipe,
    seed: int,
    say: Callable[[str], None],
) -> Manifest:
    """Write all files of a version, the manifest last, and return it."""
    network = made.fitted.network
    (folder / MODEL_FILE).write_bytes(made.model)
    network.save(folder / KERAS_FILE)
    say(f"exported to LiteRT: {len(made.model):,} bytes, {network.count_params():,} parameters")
    evaluated = evaluate(made, dataset, on_holdout, on_test, say)
    reader = _write_reader(folder, made, on_holdout, on_test, say)
    manifest = describe(made, dataset, evaluated, recipe=recipe, seed=seed, files=_file_records(folder), reader=reader)
    report.write(
        folder / REPORT_FOLDER,
        manifest,
        epochs=made.fitted.epochs,
        candidates=compare(network, made.model, dataset.holdout),
        test=dataset.test,
        on_test=evaluated.on_test,
        on_distorted=evaluated.on_distorted,
    )
    say(_accuracy(manifest.test))
    manifest = manifest.model_copy(update={"files": _file_records(folder)})
    (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return manifest


def _write_reader(
    folder: Path, made: Made, on_holdout: Judging, on_test: Judging, say: Callable[[str], None]
) -> ReaderRecord | None:
    """Write the reader's files, if there is one, and return what the manifest says of it."""
    if made.reader is None:
        return None
    network = made.reader.fitted.network
    (folder / READER_FILE).write_bytes(made.reader.model)
    network.save(folder / READER_KERAS_FILE)
    say(f"reader exported to LiteRT: {len(made.reader.model):,} bytes, {network.count_params():,} parameters")
    return describe_reader(made.reader, Classifier(made.model), on_holdout, on_test, say)


def _accuracy(test: Metrics) -> str:
    low, high = test.accuracy_interval
    return f"accuracy on the {test.count:,} test digits: {test.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%})"


def _file_records(folder: Path) -> dict[str, FileRecord]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _file_record(path) for path in paths}


def _file_record(path: Path) -> FileRecord:
    data = path.read_bytes()
    return FileRecord(sha256=sha256(data), size_bytes=len(data))
