"""How fast each recipe is and how good its models are: seconds, test accuracy and size, in one run on one machine.

Nothing is chosen here: the test digits are read after each epoch to tell when a run passes the published
accuracy, and once at the end. The seconds exclude those readings, the import of TensorFlow, and what is drawn
once for a data set: the digits distorted for calibration, unusual digits and outliers.

Recipes are compared by their classifiers. The readers of numbers, which some share, are trained by themselves; drawing
the lines that they learn from is part of their time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_IMPORTING = time.perf_counter()

import keras  # noqa: E402

from benchmarks.machine import machine  # noqa: E402
from benchmarks.models import positive  # noqa: E402
from digits.errors import DigitsError  # noqa: E402
from digits.model.classifier import Classifier  # noqa: E402
from training import dataset, job  # noqa: E402
from training.additions import additions  # noqa: E402
from training.artifacts import DISTORTED_FOLDER, OUTPUT  # noqa: E402
from training.classifier import probabilities  # noqa: E402
from training.dataset import Dataset, Part  # noqa: E402
from training.evaluate import measure, wilson_interval  # noqa: E402
from training.fit import StopRequest  # noqa: E402
from training.judging import Judging, judging  # noqa: E402
from training.line_drawing import Source  # noqa: E402
from training.lines import training_lines  # noqa: E402
from training.provenance import library_versions  # noqa: E402
from training.reading import make_reader  # noqa: E402
from training.recipes import RECIPES, Recipe, find_recipe  # noqa: E402

IMPORT_SECONDS = time.perf_counter() - _IMPORTING
PUBLISHED_ACCURACY = 0.9906
YARDSTICK = "reference"
MOST_READER_SECONDS = 600  # of the reader of `default`
RESULTS = Path(__file__).parent / "results/training.json"


@dataclass(frozen=True)
class Run:
    """One recipe with one seed.

    Attributes:
        seconds_to_published: from the arrays in memory to an exported model that reads 99.06 % of the test
            digits: to the end of the first epoch that does, and then calibration and export; None where
            none does.
        total_seconds: from the arrays in memory to the exported model.
    """

    recipe: str
    seed: int
    seconds_to_published: float | None
    total_seconds: float
    test_count: int
    test_accuracy: float
    test_accuracy_by_epoch: list[float]
    holdout_accuracy: float
    test_calibration_error: float
    parameters: int
    size_bytes: int


@dataclass(frozen=True)
class ReaderRun:
    """The reader of some recipes, trained once.

    Attributes:
        recipes: those that share it.
        lines: how many it learned from.
        drawing_seconds: for these lines.
        total_seconds: those included, from the digits in memory to the exported reader.
        holdout_accuracy: of the holdout's lines, exactly read.
    """

    recipes: list[str]
    seed: int
    lines: int
    drawing_seconds: float
    total_seconds: float
    holdout_accuracy: float
    parameters: int
    size_bytes: int


class _Watch(keras.callbacks.Callback):
    """Reads the test digits after each epoch, and tells the time without that."""

    def __init__(self, test: Part) -> None:
        super().__init__()
        self.accuracies: list[float] = []
        self.seconds: list[float] = []
        self.reading_seconds = 0.0
        self._test = test
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Read the test digits."""
        now = time.perf_counter()
        self.seconds.append(now - self._started - self.reading_seconds)
        answers = probabilities(self.model, self._test.images).argmax(axis=1)
        self.accuracies.append(float((answers == self._test.labels).mean()))
        self.reading_seconds += time.perf_counter() - now


def run(recipe: Recipe, data: Dataset, on_holdout: Judging, seed: int) -> Run:
    """Train a recipe's classifier once.

    Args:
        on_holdout: what the holdout makes, for calibration.
    """
    alone = replace(recipe, reader=None)
    added = additions(alone, data.training, OUTPUT / DISTORTED_FOLDER)
    watch = _Watch(data.test)
    made = job.make(
        alone,
        data,
        on_holdout,
        seed,
        stop=StopRequest(),
        progress=lambda _: None,
        callbacks=[watch],
        added=added,
    )
    total = made.wall_seconds - watch.reading_seconds
    finishing = total - watch.seconds[-1]
    passed = [
        seconds
        for seconds, accuracy in zip(watch.seconds, watch.accuracies, strict=True)
        if accuracy >= PUBLISHED_ACCURACY
    ]
    classifier = Classifier(made.model)
    on_test = measure(classifier.predict(data.test.images), data.test.labels)
    return Run(
        recipe=recipe.name,
        seed=seed,
        seconds_to_published=passed[0] + finishing if passed else None,
        total_seconds=total,
        test_count=len(data.test),
        test_accuracy=on_test.accuracy,
        test_accuracy_by_epoch=watch.accuracies,
        holdout_accuracy=measure(classifier.predict(data.holdout.images), data.holdout.labels).accuracy,
        test_calibration_error=on_test.expected_calibration_error,
        parameters=made.fitted.network.count_params(),
        size_bytes=len(made.model),
    )


def run_reader(recipes: Sequence[Recipe], data: Dataset, on_holdout: Judging, seed: int) -> ReaderRun:
    """Train the reader that some recipes share; its lines are drawn anew.

    Args:
        on_holdout: as of `run`, with numbers.
    """
    recipe = recipes[0].reader
    assert recipe is not None
    added = additions(replace(recipes[0], reader=None), data.training, OUTPUT / DISTORTED_FOLDER)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        source = Source(data.training, added.unusual, added.outliers)
        lines = training_lines(source, recipe.lines, Path(folder))
    drawn = time.perf_counter()
    made = make_reader(recipe, lines, on_holdout.numbers, seed, stop=StopRequest(), progress=lambda _: None)
    ended = time.perf_counter()
    return ReaderRun(
        recipes=[each.name for each in recipes],
        seed=seed,
        lines=len(lines),
        drawing_seconds=drawn - started,
        total_seconds=ended - started,
        holdout_accuracy=made.fitted.epochs[-1].holdout_accuracy,
        parameters=made.fitted.network.count_params(),
        size_bytes=len(made.model),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Train every recipe with every seed, and every reader, print tables and write the results."""
    options = _parser().parse_args(arguments)
    try:
        recipes = [find_recipe(name) for name in options.recipes]
        data = dataset.find(options.data, None, os.environ)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    started = time.perf_counter()
    read = any(recipe.reader for recipe in recipes)
    on_holdout = judging(data.holdout, OUTPUT / DISTORTED_FOLDER, lambda _: None, with_numbers=read)
    field_seconds = time.perf_counter() - started
    print(f"{machine()}\n{data.name} from {data.source}; imports {IMPORT_SECONDS:.0f} s", flush=True)
    document = {
        "command": "python -m benchmarks.training " + " ".join(sys.argv[1:] if arguments is None else arguments),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": library_versions(),
        "data": data.name,
        "import_seconds": IMPORT_SECONDS,
        "field_digits_seconds": field_seconds,
    }
    runs: list[Run] = []
    reader_runs: list[ReaderRun] = []
    for each in _trained(options, recipes, data, on_holdout):
        keras.backend.clear_session()
        if isinstance(each, Run):
            runs.append(each)
            print(_line(each), flush=True)
        else:
            reader_runs.append(each)
            print(_reader_line(each), flush=True)
        figures = {"recipes": _summaries(runs), "readers": [asdict(reader) for reader in reader_runs]}
        _write(options.json, {**document, **figures, "runs": [asdict(done) for done in runs]})
    print("\n".join([_table(_summaries(runs)), *map(_reader_line, reader_runs)]))
    print(f"written to {options.json}")
    return 0


def _trained(
    options: argparse.Namespace, recipes: Sequence[Recipe], data: Dataset, on_holdout: Judging
) -> Iterator[Run | ReaderRun]:
    """Train every classifier with every seed, then every reader."""
    # Seed by seed, so that a slow minute of the machine meets every recipe.
    for seed in range(1, options.seeds + 1):
        for recipe in recipes:
            if recipe.name != YARDSTICK or seed <= options.reference_seeds:
                yield run(recipe, data, on_holdout, seed)
    for seed in range(1, options.reader_seeds + 1):
        for sharing in _sharing(recipes):
            yield run_reader(sharing, data, on_holdout, seed)


def _sharing(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """Return the recipes that train a reader, those together that share one."""
    readers = dict.fromkeys(recipe.reader for recipe in recipes if recipe.reader)
    return [[recipe for recipe in recipes if recipe.reader == reader] for reader in readers]


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write what is known so far: an hour's work is not lost with its last minute."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="Compare the recipes.")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), metavar="RECIPE", help="(default: all)")
    parser.add_argument("--seeds", type=positive, default=5, metavar="N", help="seeds 1 to N of each (default: 5)")
    parser.add_argument(
        "--reference-seeds", type=positive, default=1, metavar="N", help="of the yardstick (default: 1)"
    )
    parser.add_argument("--reader-seeds", type=positive, default=1, metavar="N", help="of the readers (default: 1)")
    parser.add_argument("--data", metavar="PATH", help="MNIST, as the training command takes it")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where to write every figure")
    return parser


def _summaries(runs: Sequence[Run]) -> list[dict[str, Any]]:
    names = dict.fromkeys(each.recipe for each in runs)
    return [_summary([each for each in runs if each.recipe == name], runs) for name in names]


def _summary(runs: Sequence[Run], everything: Sequence[Run]) -> dict[str, Any]:
    """Return the row of a recipe; ratios are to the yardstick's mean, None where it was not run."""
    accuracies = [each.test_accuracy for each in runs]
    to_published = [each.seconds_to_published for each in runs if each.seconds_to_published is not None]
    total = statistics.mean(each.total_seconds for each in runs)
    yardstick = [each for each in everything if each.recipe == YARDSTICK]
    yardstick_to_published = [each.seconds_to_published for each in yardstick if each.seconds_to_published is not None]
    count = runs[0].test_count  # all seeds read the same digits: more of them tell nothing about other digits
    return {
        "recipe": runs[0].recipe,
        "seeds": [each.seed for each in runs],
        "passed": len(to_published),
        "seconds_to_published_mean": statistics.mean(to_published) if to_published else None,
        "total_seconds_mean": total,
        "total_seconds_deviation": statistics.stdev(each.total_seconds for each in runs) if len(runs) > 1 else None,
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_deviation": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "test_accuracy_each": accuracies,
        "test_accuracy_interval": wilson_interval(round(statistics.mean(accuracies) * count), count),
        "test_calibration_error_mean": statistics.mean(each.test_calibration_error for each in runs),
        "parameters": runs[0].parameters,
        "size_bytes": runs[0].size_bytes,
        "speedup_to_published": statistics.mean(yardstick_to_published) / statistics.mean(to_published)
        if yardstick_to_published and to_published
        else None,
        "share_of_reference_total": total / statistics.mean(each.total_seconds for each in yardstick)
        if yardstick
        else None,
    }


def _line(each: Run) -> str:
    return f"{each.recipe:10} seed {each.seed}  {each.total_seconds:6.1f} s  test {each.test_accuracy:.2%}"


def _reader_line(each: ReaderRun) -> str:
    """Return what a reader took, with the verdict on that of `default`."""
    verdict = ""
    if "default" in each.recipes:
        met = "met" if each.total_seconds <= MOST_READER_SECONDS else "MISSED"
        verdict = f"; aim at most {MOST_READER_SECONDS} s: {met}"
    return (
        f"reader of {', '.join(each.recipes)}, seed {each.seed}: {each.total_seconds:.0f} s, of which "
        f"{each.drawing_seconds:.0f} to draw {each.lines:,} lines{verdict}; {each.holdout_accuracy:.2%} of the "
        f"holdout's lines, {each.parameters:,} parameters, {each.size_bytes:,} bytes"
    )


def _table(summaries: Sequence[dict[str, Any]]) -> str:
    head = (
        f"{'recipe':10} {'s to 99.06 %':>12} {'seeds':>5} {'faster':>7} {'total s':>8} {'of ref.':>8} "
        f"{'test accuracy':>20} {'95 % interval':>16} {'parameters':>10} {'bytes':>9}"
    )
    return "\n".join([head, *(_row(summary) for summary in summaries)])


def _row(row: dict[str, Any]) -> str:
    def text(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    deviation = text(row["test_accuracy_deviation"], ".2%")
    low, high = row["test_accuracy_interval"]
    passed = f"{row['passed']}/{len(row['seeds'])}"
    return (
        f"{row['recipe']:10} {text(row['seconds_to_published_mean'], '.1f'):>12} {passed:>5} "
        f"{text(row['speedup_to_published'], '.1f'):>7} {row['total_seconds_mean']:8.1f} "
        f"{text(row['share_of_reference_total'], '.2f'):>8} {row['test_accuracy_mean']:>11.3%} ± {deviation:>6} "
        f"{f'{low:.2%}..{high:.2%}':>16} {row['parameters']:10,} {row['size_bytes']:9,}"
    )


if __name__ == "__main__":
    sys.exit(main())
