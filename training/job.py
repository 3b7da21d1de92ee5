"""The training job: data set and recipe in, a folder with one version of the model out."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from digits import canonical, registry
from digits.classifier import CLASS_COUNT, Classifier
from digits.errors import ConfigurationError
from digits.manifest import DatasetRecord, FileRecord, Manifest, RecipeRecord, Tensor
from digits.registry import MANIFEST_FILE, MODEL_FILE
from training import recipes
from training.dataset import Dataset
from training.evaluate import acceptance_threshold, measure
from training.export import check_parity, make_goldens, to_litert
from training.fit import fit
from training.recipes import Recipe

KERAS_FILE = "model.keras"
_LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy")


def run(recipe: Recipe, dataset: Dataset, seed: int, output: Path, say: Callable[[str], None]) -> Path:
    """Train, export, prove and describe one version; nothing is left behind where that fails.

    Args:
        output: the version's folder is made in here, named like the version.
        say: takes one line of progress.

    Returns:
        The version's folder: model.tflite, model.keras, manifest.json.

    Raises:
        ConfigurationError: nothing can be written there.
        ParityError: the exported model disagrees with the trained one.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=output))
    except OSError as error:
        raise ConfigurationError(f"nothing can be written to {output}: {error.strerror}") from error
    try:
        manifest = _train(recipe, dataset, seed, partial, say)
        (partial / MANIFEST_FILE).write_bytes(manifest.to_json())
        return partial.rename(output / manifest.version)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _train(recipe: Recipe, dataset: Dataset, seed: int, folder: Path, say: Callable[[str], None]) -> Manifest:
    started = time.monotonic()
    network = fit(recipe, dataset.training, dataset.holdout, seed)
    model = to_litert(network)
    wall_seconds = time.monotonic() - started
    (folder / MODEL_FILE).write_bytes(model)
    network.save(folder / KERAS_FILE)
    say(f"exported to LiteRT: {len(model):,} bytes, {network.count_params():,} parameters")

    classifier = Classifier(model)
    difference = check_parity(network, classifier, dataset.test.images)
    say(f"LiteRT and Keras agree on all {len(dataset.test):,} test digits, probabilities within {difference:.1g}")

    on_holdout, on_test = (classifier.predict(part.images) for part in (dataset.holdout, dataset.test))
    created_at = datetime.now(UTC).replace(microsecond=0)
    manifest = Manifest(
        version=registry.new_version(model, created_at),
        created_at=created_at,
        files={path.name: _file_record(path) for path in sorted(folder.iterdir())},
        input=Tensor(name=recipes.INPUT_NAME, dtype="uint8", shape=[-1, *recipes.IMAGE_SHAPE], minimum=0, maximum=255),
        output=Tensor(name=recipes.OUTPUT_NAME, dtype="float32", shape=[-1, CLASS_COUNT], minimum=0, maximum=1),
        classes=[str(digit) for digit in range(CLASS_COUNT)],
        canonical_form=canonical.VERSION,
        recipe=RecipeRecord(
            name=recipe.name,
            hyperparameters={**recipe.hyperparameters(), "epochs": recipe.epochs_for(len(dataset.training))},
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
        ),
        code_revision=_code_revision(),
        libraries=_library_versions(),
        wall_seconds=round(wall_seconds, 1),
        acceptance_threshold=acceptance_threshold(on_holdout, dataset.holdout.labels),
        holdout=measure(on_holdout, dataset.holdout.labels),
        test=measure(on_test, dataset.test.labels),
        goldens=make_goldens(classifier, dataset.holdout),
    )
    low, high = manifest.test.accuracy_interval
    say(
        f"accuracy on the {manifest.test.count:,} test digits: {manifest.test.accuracy:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%})"
    )
    return manifest


def _file_record(path: Path) -> FileRecord:
    data = path.read_bytes()
    return FileRecord(sha256=registry.sha256(data), size_bytes=len(data))


def _code_revision() -> str | None:
    """Return git's name for the code, marked where it has been changed; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _library_versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
