"""How a version describes itself: measurements of its model's answers, and the manifest that records them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digits.model.classifier import Classifier
from digits.model.contract import CLASSES, INPUT, OUTPUT
from digits.model.identity import new_version
from digits.model.manifest import (
    DatasetRecord,
    FileRecord,
    Golden,
    Manifest,
    RecipeRecord,
    Robustness,
    TrainingRecord,
)
from digits.pictures import canonical
from training import report
from training.dataset import Dataset
from training.evaluate import acceptance_threshold, measure
from training.export import check_parity, make_goldens
from training.fit import Fitted
from training.provenance import code_revision, code_sha256, library_versions
from training.quiet import quiet_libraries
from training.recipes import Recipe
from training.robustness import DistortedDigits, measure_rows

if TYPE_CHECKING:
    from training.job import Made


@dataclass(frozen=True)
class Evaluated:
    """What an exported model answers, and what follows from it.

    Attributes:
        on_holdout, on_test: probabilities of the clean digits, float32 (n, 10).
        on_distorted: probabilities and labels of the test digits in all rows of the robustness table.
        threshold: the lowest confidence at which answers are accepted; None accepts none.
    """

    on_holdout: NDArray[np.float32]
    on_test: NDArray[np.float32]
    on_distorted: report.Answers
    threshold: float | None
    holdout_robustness: Robustness
    test_robustness: Robustness
    goldens: list[Golden]


def evaluate(
    made: Made, dataset: Dataset, distorted: Sequence[DistortedDigits], say: Callable[[str], None]
) -> Evaluated:
    """Check that the exported model agrees with the trained one, and run it on all digits that it is judged by.

    Args:
        distorted: digits of the holdout, and of the test digits.

    Raises:
        ParityError: the exported model disagrees with the trained one.
    """
    with quiet_libraries():
        classifier = Classifier(made.model)
    difference = check_parity(made.fitted.network, classifier, dataset.test.images)
    say(f"LiteRT and Keras agree on all {len(dataset.test):,} test digits, probabilities within {difference:.1g}")
    on_holdout, on_test = (classifier.predict(part.images) for part in (dataset.holdout, dataset.test))
    threshold = acceptance_threshold(on_holdout, dataset.holdout.labels)
    holdout_robustness, test_robustness = (measure_rows(classifier, digits, threshold) for digits in distorted)
    pooled = distorted[1].pooled()
    return Evaluated(
        on_holdout=on_holdout,
        on_test=on_test,
        on_distorted=(classifier.predict(pooled.images), pooled.labels),
        threshold=threshold,
        holdout_robustness=holdout_robustness,
        test_robustness=test_robustness,
        goldens=make_goldens(classifier, dataset.holdout),
    )


def describe(
    made: Made, dataset: Dataset, evaluated: Evaluated, *, recipe: Recipe, seed: int, files: dict[str, FileRecord]
) -> Manifest:
    """Return the manifest of a model made from this recipe, data set and seed."""
    fitted, threshold = made.fitted, evaluated.threshold
    accepted = None if threshold is None else evaluated.on_holdout.max(axis=1) >= threshold
    created_at = datetime.now(UTC).replace(microsecond=0)
    return Manifest(
        version=new_version(made.model, created_at),
        created_at=created_at,
        files=files,
        input=INPUT,
        output=OUTPUT,
        classes=list(CLASSES),
        canonical_form=canonical.VERSION,
        recipe=_recipe_record(recipe, dataset, seed, fitted),
        dataset=_dataset_record(dataset),
        code_revision=code_revision(),
        code_sha256=code_sha256(),
        libraries=library_versions(),
        wall_seconds=round(made.wall_seconds, 1),
        acceptance_threshold=threshold,
        acceptance_coverage=None if accepted is None else float(accepted.mean()),
        temperature=made.temperature,
        training=TrainingRecord(
            epochs=len(fitted.epochs), chosen_epoch=fitted.chosen_epoch, stopped_by=fitted.stopped_by
        ),
        holdout=measure(evaluated.on_holdout, dataset.holdout.labels),
        test=measure(evaluated.on_test, dataset.test.labels),
        holdout_robustness=evaluated.holdout_robustness,
        test_robustness=evaluated.test_robustness,
        goldens=evaluated.goldens,
    )


def _recipe_record(recipe: Recipe, dataset: Dataset, seed: int, fitted: Fitted) -> RecipeRecord:
    return RecipeRecord(
        name=recipe.name,
        hyperparameters=recipe.hyperparameters(len(dataset.training)),
        parameter_count=fitted.network.count_params(),
        seed=seed,
    )


def _dataset_record(dataset: Dataset) -> DatasetRecord:
    return DatasetRecord(
        name=dataset.name,
        source=dataset.source,
        sha256=dataset.sha256(),
        training_count=len(dataset.training),
        holdout_count=len(dataset.holdout),
        holdout_sha256=dataset.holdout.sha256(),
        test_count=len(dataset.test),
        extra=dataset.extra,
    )
