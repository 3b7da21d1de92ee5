"""The training job: data set and recipe in, a folder with one version of the model out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from digits.errors import ConfigurationError, OperationError
from digits.model.identity import MANIFEST_FILE, MODEL_FILE, sha256
from digits.model.manifest import FileRecord, Manifest, Metrics
from training import mixture, report
from training.additions import Additions, additions
from training.answers import NO_DIGIT, Answers
from training.artifacts import DISTORTED_FOLDER, REPORT_FOLDER
from training.dataset import Dataset, Part
from training.description import describe, evaluate
from training.evaluate import fit_temperature, rejection_threshold
from training.export import compare, divide_logits, to_litert
from training.fit import Fitted, Progress, StopRequest, fit, probabilities
from training.forms import Forms
from training.recipes import Recipe
from training.refusals import judging_outliers
from training.robustness import DistortedDigits, distorted_digits

KERAS_FILE = "model.keras"
WORTH_KEEPING = 0.5  # the least holdout accuracy of a run that was stopped early


@dataclass(frozen=True)
class Made:
    """A trained, calibrated and exported model.

    Attributes:
        temperature: what the logits were divided by.
        wall_seconds: from the arrays in memory to the exported model.
    """

    fitted: Fitted
    temperature: float
    model: bytes
    wall_seconds: float


def make(
    recipe: Recipe,
    dataset: Dataset,
    distorted: DistortedDigits,
    outliers: Mapping[str, Forms],
    seed: int,
    *,
    stop: StopRequest,
    progress: Callable[[Progress], None],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    added: Additions,
) -> Made:
    """Train, calibrate and export.

    Args:
        added: what the network learns from besides the training digits.
        distorted, outliers: some holdout digits, distorted, and what is no digit: calibration is over the mixture.
    """
    started = time.monotonic()
    fitted = fit(
        recipe,
        dataset.training,
        dataset.holdout,
        seed,
        stop=stop,
        progress=progress,
        callbacks=callbacks,
        additions=added,
    )
    temperature = _temperature(fitted.network, dataset.holdout, distorted, outliers)
    divide_logits(fitted.network, temperature)
    return Made(fitted, temperature, to_litert(fitted.network), time.monotonic() - started)


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
        distorted = [distorted_digits(part, output / DISTORTED_FOLDER, say) for part in (dataset.holdout, dataset.test)]
        outliers = [judging_outliers(part, output / DISTORTED_FOLDER, say) for part in (dataset.holdout, dataset.test)]
        added = additions(recipe, dataset.training, output / DISTORTED_FOLDER, say)
        made = make(
            recipe,
            dataset,
            distorted[0],
            outliers[0],
            seed,
            stop=stop,
            progress=progress,
            added=added,
        )
        _check_trained(made.fitted)
        manifest = _write(partial, made, dataset, distorted, outliers, recipe=recipe, seed=seed, say=say)
        stop.check()
        return partial.rename(output / manifest.version)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_trained(fitted: Fitted) -> None:
    accuracy = fitted.epochs[fitted.chosen_epoch - 1].holdout_accuracy
    if fitted.stopped_by and accuracy < WORTH_KEEPING:
        raise OperationError(
            f"{fitted.stopped_by} stopped training at {accuracy:.0%} holdout accuracy: that is not worth keeping"
        )


def _write(
    folder: Path,
    made: Made,
    dataset: Dataset,
    distorted: Sequence[DistortedDigits],
    outliers: Sequence[Mapping[str, Forms]],
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
    evaluated = evaluate(made, dataset, distorted, outliers, say)
    manifest = describe(made, dataset, evaluated, recipe=recipe, seed=seed, files=_file_records(folder))
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


def _accuracy(test: Metrics) -> str:
    low, high = test.accuracy_interval
    return f"accuracy on the {test.count:,} test digits: {test.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%})"


def _file_records(folder: Path) -> dict[str, FileRecord]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _file_record(path) for path in paths}


def _file_record(path: Path) -> FileRecord:
    data = path.read_bytes()
    return FileRecord(sha256=sha256(data), size_bytes=len(data))
