"""The training job: data set and recipe in, a folder with one version of the model out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import keras

from digits.errors import ConfigurationError, OperationError
from digits.model.classifier import Classifier
from digits.model.contract import CLASSES, INPUT, OUTPUT
from digits.model.identity import MANIFEST_FILE, MODEL_FILE, new_version, sha256
from digits.model.manifest import DatasetRecord, FileRecord, Manifest, RecipeRecord, TrainingRecord
from digits.pictures import canonical
from training import report
from training.artifacts import DISTORTED_FOLDER, REPORT_FOLDER
from training.dataset import Dataset
from training.evaluate import acceptance_threshold, fit_temperature, measure
from training.export import check_parity, compare, divide_logits, make_goldens, to_litert
from training.fit import Fitted, Progress, StopRequest, fit, probabilities
from training.provenance import code_revision, code_sha256, library_versions
from training.quiet import quiet_libraries
from training.recipes import Recipe
from training.robustness import DIGITS_PER_ROW, DistortedDigits, distorted_digits, measure_rows

KERAS_FILE = "model.keras"
WORTH_KEEPING = 0.5  # of the holdout, read rightly, where training was ended early


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
    seed: int,
    *,
    stop: StopRequest,
    progress: Callable[[Progress], None],
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Made:
    """Train, calibrate and export.

    Args:
        distorted: some digits of the holdout: they count as much as clean ones when confidence is fitted.
    """
    started = time.monotonic()
    fitted = fit(recipe, dataset.training, dataset.holdout, seed, stop=stop, progress=progress, callbacks=callbacks)
    parts = [dataset.holdout, distorted.pooled()]
    answers = [probabilities(fitted.network, part.images) for part in parts]
    temperature = fit_temperature(answers, [part.labels for part in parts])
    divide_logits(fitted.network, temperature)
    return Made(fitted, temperature, to_litert(fitted.network), time.monotonic() - started)


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
    """Train, export, prove, describe and report on one version; nothing is left behind where that fails.

    Args:
        output: the version's folder is made in here, named like the version.
        say: takes one line of what is going on.
        stop: may end training early; all the rest is done then as well.

    Returns:
        The version's folder: model.tflite, model.keras, report/, manifest.json.

    Raises:
        ConfigurationError: nothing can be written there.
        ParityError: the exported model disagrees with the trained one.
        OperationError: training was ended before it had learned anything.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=output))
    except OSError as error:
        raise ConfigurationError(f"nothing can be written to {output}: {error.strerror}") from error
    try:
        distorted = tuple(
            distorted_digits(part.sample(DIGITS_PER_ROW), output / DISTORTED_FOLDER, say)
            for part in (dataset.holdout, dataset.test)
        )
        made = make(recipe, dataset, distorted[0], seed, stop=stop or StopRequest(), progress=progress)
        _check_trained(made.fitted)
        manifest = _evaluate(recipe, dataset, distorted, seed, made, folder=partial, say=say)
        (partial / MANIFEST_FILE).write_bytes(manifest.to_json())
        return partial.rename(output / manifest.version)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_trained(fitted: Fitted) -> None:
    accuracy = fitted.epochs[fitted.chosen_epoch - 1].holdout_accuracy
    if fitted.stopped_by and accuracy < WORTH_KEEPING:
        raise OperationError(
            f"{fitted.stopped_by} ended training when {accuracy:.0%} of the holdout were read rightly: "
            "that is not worth keeping"
        )


def _evaluate(
    recipe: Recipe,
    dataset: Dataset,
    distorted: Sequence[DistortedDigits],
    seed: int,
    made: Made,
    *,
    folder: Path,
    say: Callable[[str], None],
) -> Manifest:
    network = made.fitted.network
    (folder / MODEL_FILE).write_bytes(made.model)
    network.save(folder / KERAS_FILE)
    say(f"exported to LiteRT: {len(made.model):,} bytes, {network.count_params():,} parameters")

    with quiet_libraries():
        classifier = Classifier(made.model)
    difference = check_parity(network, classifier, dataset.test.images)
    say(f"LiteRT and Keras agree on all {len(dataset.test):,} test digits, probabilities within {difference:.1g}")

    on_holdout, on_test = (classifier.predict(part.images) for part in (dataset.holdout, dataset.test))
    threshold = acceptance_threshold(on_holdout, dataset.holdout.labels)
    distorted_holdout, distorted_test = distorted
    created_at = datetime.now(UTC).replace(microsecond=0)
    manifest = Manifest(
        version=new_version(made.model, created_at),
        created_at=created_at,
        files=_file_records(folder),
        input=INPUT,
        output=OUTPUT,
        classes=list(CLASSES),
        canonical_form=canonical.VERSION,
        recipe=RecipeRecord(
            name=recipe.name,
            hyperparameters=recipe.hyperparameters(len(dataset.training)),
            parameter_count=network.count_params(),
            seed=seed,
        ),
        dataset=DatasetRecord(
            name=dataset.name,
            source=dataset.source,
            sha256=dataset.sha256(),
            training_count=len(dataset.training),
            holdout_count=len(dataset.holdout),
            holdout_sha256=dataset.holdout.sha256(),
            test_count=len(dataset.test),
            extra=dataset.extra,
        ),
        code_revision=code_revision(),
        code_sha256=code_sha256(),
        libraries=library_versions(),
        wall_seconds=round(made.wall_seconds, 1),
        acceptance_threshold=threshold,
        acceptance_coverage=None if threshold is None else float((on_holdout.max(axis=1) >= threshold).mean()),
        temperature=made.temperature,
        training=TrainingRecord(
            epochs=len(made.fitted.epochs), chosen_epoch=made.fitted.chosen_epoch, stopped_by=made.fitted.stopped_by
        ),
        holdout=measure(on_holdout, dataset.holdout.labels),
        test=measure(on_test, dataset.test.labels),
        holdout_robustness=measure_rows(classifier, distorted_holdout, threshold),
        test_robustness=measure_rows(classifier, distorted_test, threshold),
        goldens=make_goldens(classifier, dataset.holdout),
    )
    candidates = compare(network, made.model, dataset.holdout)
    pooled = distorted_test.pooled()
    report.write(
        folder / REPORT_FOLDER,
        manifest,
        epochs=made.fitted.epochs,
        candidates=candidates,
        test=dataset.test,
        on_test=on_test,
        on_distorted=(classifier.predict(pooled.images), pooled.labels),
    )
    low, high = manifest.test.accuracy_interval
    say(
        f"accuracy on the {manifest.test.count:,} test digits: {manifest.test.accuracy:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%})"
    )
    return manifest.model_copy(update={"files": _file_records(folder)})


def _file_records(folder: Path) -> dict[str, FileRecord]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _file_record(path) for path in paths}


def _file_record(path: Path) -> FileRecord:
    data = path.read_bytes()
    return FileRecord(sha256=sha256(data), size_bytes=len(data))
