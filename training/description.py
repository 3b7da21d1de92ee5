"""How a version describes itself: measurements of its model's answers, and the manifest that records them."""

from __future__ import annotations

from collections.abc import Callable
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
    Mixture,
    OutlierRow,
    ReaderRecord,
    RecipeRecord,
    Robustness,
    TrainingRecord,
)
from digits.pictures import canonical
from training import report
from training.answers import Answers, answers_by_family, answers_by_row
from training.dataset import Dataset
from training.evaluate import acceptance_threshold, measure, mixture, rejection_threshold
from training.export import check_parity, make_goldens
from training.fit import Fitted
from training.judging import Judging
from training.mixture import compose
from training.provenance import code_revision, code_sha256, library_versions
from training.quiet import quiet_libraries
from training.recipes import Recipe
from training.robustness import outlier_row, table_of

if TYPE_CHECKING:
    from training.job import Made


@dataclass(frozen=True)
class Evaluated:
    """What an exported model answers, and what follows from it.

    Attributes:
        on_holdout, on_test: probabilities of the clean digits, float32 (n, 10).
        on_distorted: probabilities and labels of the test digits in all rows of the robustness table.
        accept: the lowest confidence at which answers are accepted; None accepts none.
        reject: the lowest confidence at which there is an answer; None answers always.
        mixture: on the holdout.
    """

    on_holdout: NDArray[np.float32]
    on_test: NDArray[np.float32]
    on_distorted: report.Answers
    accept: float | None
    reject: float | None
    mixture: Mixture
    holdout_robustness: Robustness
    test_robustness: Robustness
    holdout_outliers: list[OutlierRow]
    test_outliers: list[OutlierRow]
    goldens: list[Golden]


def evaluate(
    made: Made,
    dataset: Dataset,
    of_holdout: Judging,
    of_test: Judging,
    say: Callable[[str], None],
) -> Evaluated:
    """Check that the exported classifier agrees with the trained one, and run it on all digits that it is judged by.

    Raises:
        ParityError: the exported model disagrees with the trained one.
    """
    with quiet_libraries():
        classifier = Classifier(made.model)
    difference = check_parity(made.fitted.network, classifier, dataset.test.images)
    say(f"LiteRT and Keras agree on all {len(dataset.test):,} test digits, probabilities within {difference:.1g}")
    on_holdout, on_test = (classifier.predict(part.images) for part in (dataset.holdout, dataset.test))
    rows, families = (
        answers_by_row(classifier, of_holdout.distorted),
        answers_by_family(classifier, of_holdout.outliers),
    )
    test_rows = answers_by_row(classifier, of_test.distorted)
    test_families = answers_by_family(classifier, of_test.outliers)
    clean = Answers.plain(on_holdout, dataset.holdout.labels)
    sent = compose(clean, rows, families)
    accept = acceptance_threshold(clean, sent)
    reject = rejection_threshold(clean, list(rows.values()), accept)
    pooled = of_test.distorted.pooled()
    return Evaluated(
        on_holdout=on_holdout,
        on_test=on_test,
        on_distorted=(classifier.predict(pooled.images), pooled.labels),
        accept=accept,
        reject=reject,
        mixture=mixture(sent, accept, reject),
        holdout_robustness=table_of(rows, accept, reject),
        test_robustness=table_of(test_rows, accept, reject),
        holdout_outliers=[outlier_row(name, each, accept, reject) for name, each in families.items()],
        test_outliers=[outlier_row(name, each, accept, reject) for name, each in test_families.items()],
        goldens=make_goldens(classifier, dataset.holdout),
    )


def describe(
    made: Made,
    dataset: Dataset,
    evaluated: Evaluated,
    *,
    recipe: Recipe,
    seed: int,
    files: dict[str, FileRecord],
    reader: ReaderRecord | None,
) -> Manifest:
    """Return the manifest of a version made from this recipe, data set and seed."""
    fitted, accept = made.fitted, evaluated.accept
    accepted = None if accept is None else evaluated.on_holdout.max(axis=1) >= accept
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
        acceptance_threshold=accept,
        acceptance_coverage=None if accepted is None else float(accepted.mean()),
        rejection_threshold=evaluated.reject,
        mixture=evaluated.mixture,
        temperature=made.temperature,
        training=TrainingRecord(
            epochs=len(fitted.epochs), chosen_epoch=fitted.chosen_epoch, stopped_by=fitted.stopped_by
        ),
        holdout=measure(evaluated.on_holdout, dataset.holdout.labels),
        test=measure(evaluated.on_test, dataset.test.labels),
        holdout_robustness=evaluated.holdout_robustness,
        test_robustness=evaluated.test_robustness,
        holdout_outliers=evaluated.holdout_outliers,
        test_outliers=evaluated.test_outliers,
        goldens=evaluated.goldens,
        reader=reader,
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
