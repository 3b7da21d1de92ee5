"""The report of one version: figures, metrics.json, and a page that is also the model card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digits.model.manifest import Manifest
from digits.model.proof import GOLDEN_TOLERANCE
from training import figures, tables
from training.dataset import Part
from training.evaluate import reliability
from training.markup import embedded
from training.promises import confidence, on_numbers, outlier_tables
from training.robustness import REFUSED, REFUSED_CLEAN, WRONG_ACCEPTED

if TYPE_CHECKING:
    from training.export import Candidate
    from training.fit import Epoch

PAGE = "index.html"
METRICS = "metrics.json"
type Answers = tuple[NDArray[np.float32], NDArray[np.uint8]]

_FIGURES = {
    "training_curves": "Training curves: loss on augmented training digits, and errors on those and on the holdout",
    "confusion_matrix": "Confusion matrix of the test digits",
    "class_accuracy": "Share of each digit's test images that are misread",
    "reliability_diagram": "Reliability diagram: share of right answers by confidence, and how often each is given",
    "robustness": "Accuracy of every row of the robustness table",
    "worst_mistakes": "The most confident mistakes on test digits, with the true and the predicted digit above each",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: .9rem; } th, td { padding: .2rem .8rem .2rem 0; text-align: right; }
th { border-bottom: 1px solid #999; font-weight: 600; } th:first-child, td:first-child, .facts td { text-align: left; }
td { border-bottom: 1px solid #e4e4e4; } img { max-width: 100%; height: auto; }
.figure { font-size: 2.4rem; line-height: 1.2; font-weight: 600; } .missed { color: #a33d00; }
.wide { overflow-x: auto; }
"""


def write(
    folder: Path,
    manifest: Manifest,
    *,
    epochs: Sequence[Epoch],
    candidates: Sequence[Candidate],
    test: Part,
    on_test: NDArray[np.float32],
    on_distorted: Answers,
) -> None:
    """Write figures, metrics.json and index.html.

    Args:
        folder: created if it is missing.
        on_test: probabilities of the test digits, float32 (n, 10).
        on_distorted: probabilities and labels of the test digits in all rows of the robustness table.
    """
    folder.mkdir(exist_ok=True)
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (test.labels, on_test.argmax(axis=1)), 1)
    answers = {"test digits": (on_test, test.labels), "all rows of the robustness table": on_distorted}
    holdout_table, test_table = manifest.holdout_robustness, manifest.test_robustness
    assert holdout_table is not None
    assert test_table is not None
    images = {
        "training_curves": figures.training_curves(epochs),
        "confusion_matrix": figures.confusion_matrix(confusion),
        "class_accuracy": figures.class_accuracy(manifest.test.class_accuracy),
        "reliability_diagram": figures.reliability_diagram(answers),
        "robustness": figures.robustness_chart(holdout_table, test_table),
        "worst_mistakes": figures.worst_mistakes(test, on_test),
    }
    for name, image in images.items():
        (folder / f"{name}.png").write_bytes(image)
    metrics = {
        **manifest.model_dump(
            mode="json",
            exclude={**dict.fromkeys(("goldens", "files", "input", "output", "classes"), True), "reader": {"goldens"}},
        ),
        "epochs": [asdict(epoch) for epoch in epochs],
        "confusion": confusion.tolist(),
        "reliability": {name: [asdict(each) for each in reliability(*pair)] for name, pair in answers.items()},
        "export_candidates": [asdict(candidate) for candidate in candidates],
    }
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n")
    (folder / PAGE).write_text(_page(manifest, candidates, images), encoding="utf-8")


def summary(metrics: dict[str, Any]) -> str:
    """Return a report's most important metrics as a few lines."""
    test, robustness = metrics["test"], metrics["test_robustness"]
    low, high = test["accuracy_interval"]
    threshold, coverage = metrics["acceptance_threshold"], metrics["acceptance_coverage"]
    accepts = (
        "at no confidence" if threshold is None else f"from {threshold:.3f} on; accepts {coverage:.1%} of the holdout"
    )
    lines = [
        f"{metrics['version']}: recipe {metrics['recipe']['name']}, seed {metrics['recipe']['seed']}, "
        f"{metrics['recipe']['parameter_count']:,} parameters, {metrics['wall_seconds']:g} s",
        f"test accuracy      {test['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})",
        f"calibration error  {test['expected_calibration_error']:.2%} on the test digits, "
        f"{robustness['expected_calibration_error']:.2%} over all rows of the robustness table",
        f"99.9 % right       {accepts}",
        *_promises(metrics),
        f"worst row          {min(robustness['rows'], key=lambda row: row['accuracy'])['name']}, "
        f"{min(row['accuracy'] for row in robustness['rows']):.2%}",
    ]
    return "\n".join(lines)


def _promises(metrics: dict[str, Any]) -> Iterator[str]:
    """Return what is known of mixture and outliers; reports of earlier releases know nothing."""
    mixture, reject = metrics.get("mixture"), metrics.get("rejection_threshold")
    if mixture and mixture["accepted_accuracy"] is not None:
        yield (
            f"mixture            {mixture['accepted_accuracy']:.2%} of the accepted answers are right; "
            f"{mixture['accepted_share']:.1%} are accepted"
        )
    if reject is not None:
        yield f"no digit           below {reject:.3f}"
    if outliers := metrics.get("test_outliers"):
        worst = max(outliers, key=lambda row: float(row["accepted"]))
        yield f"worst outliers     {worst['name']}, {worst['accepted']:.1%} accepted"
    if reader := metrics.get("reader"):
        told = ", ".join(f"{row['name']} {row['exact']:.1%}" for row in reader["test"]["rows"])
        yield f"numbers            {told}"


def _page(manifest: Manifest, candidates: Sequence[Candidate], images: dict[str, bytes]) -> str:
    low, high = manifest.test.accuracy_interval
    figure = {name: embedded(image, _FIGURES[name]) for name, image in images.items()}
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model {manifest.version}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Model {manifest.version}</h1>
<p><span class="figure">{manifest.test.accuracy:.2%}</span> of {manifest.test.count:,} test digits are read correctly
(95 % Wilson interval {low:.2%} to {high:.2%}). The test digits were read once, for this report; every choice was
made on the holdout.</p>
{tables.facts(manifest)}
<h2>What it is for, and what it is not for</h2>
<p>It reads one handwritten digit, 0 to 9, from a picture in canonical form: 28x28 pixels, ink bright on dark, the
digit 20 pixels at its longest, its centre of mass in the middle. The service brings pictures into that form.
Letters, signs, scribbles and several digits at once are not what it is for. It has learned to be unsure of what is no
digit, so most of that is refused or at least not accepted, as the table below shows by family; but what has the shape
of a digit, such as the letters O, I, S, Z and B, is read as one. An answer that is not accepted is for a person to look
at. It learned from digits written in the United States around 1990. Other handwriting may be read less well.</p>
<h2>Training</h2>
{figure["training_curves"]}
<h2>Test digits</h2>
{tables.parts(manifest)}
{figure["confusion_matrix"]}
{figure["class_accuracy"]}
<h2>Confidence</h2>
{confidence(manifest)}
{figure["reliability_diagram"]}
<h2>Distorted digits</h2>
<p>Digits as they come off paper and canvas, through the same canonical form as every request. A row misses its
aim if it loses more points than that on the holdout, or if more than {REFUSED:.0%} of its pictures are refused before
the network is asked ({REFUSED_CLEAN:.1%} of the clean ones). Where the aim is an accuracy, at most
{WRONG_ACCEPTED:.0%} may be read wrongly and accepted. The table has up to {tables.rows_count(manifest):,} digits in
each row; what is refused counts as wrong.</p>
{tables.robustness(manifest)}
{figure["robustness"]}
<h2>What must be refused</h2>
{outlier_tables(manifest)}
{on_numbers(manifest)}
<h2>What it gets wrong</h2>
{figure["worst_mistakes"]}
<h2>Export</h2>
<p>float32 is served: it answers as the trained network does, on every processor. An alternative would have to keep
that parity on the holdout (the same digits, probabilities within {GOLDEN_TOLERANCE:g}) and be faster as well. Times are
medians on the machine that trained.</p>
{tables.candidates(candidates)}
</body>
</html>
"""
