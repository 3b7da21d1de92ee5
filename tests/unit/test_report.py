"""The report where a model is unusual: no mistakes, no threshold, one epoch, a row that refused everything."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.model.manifest import LineRow, Manifest, Mixture, MixturePart, OutlierRow
from training import figures, report
from training.artifacts import REPORT_FOLDER
from training.dataset import load_subset
from training.export import Candidate
from training.fit import Epoch
from training.numbers import KINDS, NO_NUMBER

type Version = tuple[Manifest, dict[str, bytes]]

FIGURES = {
    "training_curves",
    "confusion_matrix",
    "class_accuracy",
    "reliability_diagram",
    "robustness",
    "worst_mistakes",
}
CANDIDATE = Candidate("float32", 1000, 0.99, 0.01, 0.02, 1e-6, 0, 3e-5, 1e-5)


def probabilities(digits: np.ndarray, confidence: float = 0.99) -> np.ndarray:
    answers = np.full((len(digits), 10), (1 - confidence) / 9, np.float32)
    answers[np.arange(len(digits)), digits] = confidence
    return answers


def write(folder: Path, manifest: Manifest, **changes: Any) -> str:
    test = load_subset().test
    answers = probabilities(test.labels)
    arguments: dict[str, Any] = {
        "epochs": [Epoch(0.6, 1.0, 1.0, 3.0)],
        "candidates": [CANDIDATE],
        "test": test,
        "on_test": answers,
        "on_distorted": (answers, test.labels),
    }
    report.write(folder, manifest, **arguments | changes)
    return (folder / report.PAGE).read_text()


def test_a_perfect_model_after_one_epoch_has_a_report(
    version: tuple[Manifest, dict[str, bytes]], tmp_path: Path
) -> None:
    page = write(tmp_path, version[0])
    assert page.count("<img ") == 6
    metrics = json.loads((tmp_path / report.METRICS).read_text())
    assert np.trace(metrics["confusion"]) == 500


def test_without_a_threshold_the_page_says_that_nothing_is_accepted(
    version: tuple[Manifest, dict[str, bytes]], tmp_path: Path
) -> None:
    bare = version[0].model_copy(update={"acceptance_threshold": None, "acceptance_coverage": None})
    assert "nothing is accepted" in write(tmp_path, bare)
    assert "at no confidence" in report.summary(json.loads((tmp_path / report.METRICS).read_text()))


def test_a_row_that_refused_everything_is_shown(version: tuple[Manifest, dict[str, bytes]], tmp_path: Path) -> None:
    table = version[0].test_robustness
    assert table is not None
    nothing = {"accuracy": 0, "refused": {"blank": 1.0}, "negative_log_likelihood": None}
    rows = [*table.rows[:-1], table.rows[-1].model_copy(update={**nothing, "expected_calibration_error": None})]
    manifest = version[0].model_copy(update={"test_robustness": table.model_copy(update={"rows": rows})})
    assert "100.00%" in write(tmp_path, manifest)
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_the_page_says_over_what_confidence_holds_and_what_becomes_of_no_digit(
    version: tuple[Manifest, dict[str, bytes]], tmp_path: Path
) -> None:
    rows = [
        OutlierRow(name="letter", trained=True, count=9, refused={"not_a_digit": 0.7}, answered=0.2, accepted=0.1),
        OutlierRow(name="a <star>", trained=False, count=9, refused={"blank": 0.333}, answered=0.667, accepted=0),
    ]
    parts = [MixturePart(name="clean digits", weight=0.25, accepted=0.981, right=0.98)]
    mixture = Mixture(parts=parts, accepted_accuracy=0.99612, accepted_share=0.8123, expected_calibration_error=0.0123)
    changes = {"acceptance_threshold": 0.91, "acceptance_coverage": 0.98, "rejection_threshold": 0.4321}
    told = {"mixture": mixture, "holdout_outliers": rows, "test_outliers": rows[:1]}
    page = write(tmp_path, version[0].model_copy(update={**changes, **told}))
    for passage in ("25% clean digits", "98.10%", "99.61% are right", "1.23%", "0.4321", "a &lt;star&gt;", "judges"):
        assert passage in page, passage
    summed_up = report.summary(json.loads((tmp_path / report.METRICS).read_text()))
    assert "99.61% of the accepted answers are right; 81.2% are accepted" in summed_up
    assert "below 0.432" in summed_up
    assert "letter, 10.0% accepted" in summed_up


def test_the_page_says_how_numbers_are_read_and_which_are_accepted(version: Version, tmp_path: Path) -> None:
    reader = version[0].reader
    assert reader is not None
    row = LineRow(
        name="touching", count=200, exact=0.877, exact_interval=(0.82, 0.92), accepted=0.612, wrong_accepted=0.0051
    )
    nothing = row.model_copy(update={"name": NO_NUMBER, "exact": 0.981})
    holdout = reader.holdout.model_copy(update={"rows": [row, nothing]})
    test = reader.test.model_copy(update={"rows": [row.model_copy(update={"exact": 0.9654}), nothing]})
    told = {"holdout": holdout, "test": test, "acceptance_threshold": 0.87654, "agreement_threshold": 0.1}
    changed = reader.model_copy(update={**told, "agreement": 0.9876, "line_count": 12_345})
    page = write(tmp_path, version[0].model_copy(update={"reader": changed}))
    passage = page[page.index("<h2>Numbers</h2>") : page.index("<h2>What it gets wrong</h2>")]
    for figure in ("12,345", "0.877", "at least 0.1", "99.5%", "98.76%", "87.7%", "96.5%", "61.2%", "0.5%"):
        assert figure in passage, figure
    assert "of the accepted rows" in " ".join(passage.split())
    assert passage.count('<span class="missed">missed</span>') == 1  # of touching ones; no aim is told for no number
    assert "numbers            touching 96.5%, no number 98.1%" in report.summary(
        json.loads((tmp_path / report.METRICS).read_text())
    )


def test_without_a_threshold_or_a_reader_the_page_says_so_of_numbers(version: Version, tmp_path: Path) -> None:
    reader = version[0].reader
    assert reader is not None
    careful = reader.model_copy(update={"acceptance_threshold": None})
    assert "At no confidence are enough of the rows right" in write(
        tmp_path, version[0].model_copy(update={"reader": careful})
    )
    assert "it reads single digits only" in write(tmp_path, version[0].model_copy(update={"reader": None}))
    assert "numbers  " not in report.summary(json.loads((tmp_path / report.METRICS).read_text()))


def test_the_metrics_have_the_readers_figures_without_its_golden_lines(version: Version, tmp_path: Path) -> None:
    write(tmp_path, version[0])
    metrics = json.loads((tmp_path / report.METRICS).read_text())
    assert version[0].reader is not None
    assert [row["name"] for row in metrics["reader"]["test"]["rows"]] == list(KINDS)
    assert metrics["reader"]["temperature"] == version[0].reader.temperature
    assert "goldens" not in metrics["reader"]


def test_a_manifest_of_an_earlier_release_has_a_report(
    version: tuple[Manifest, dict[str, bytes]], tmp_path: Path
) -> None:
    unknown = dict.fromkeys(("rejection_threshold", "mixture", "holdout_outliers", "test_outliers"))
    assert "It was not measured." in write(tmp_path, version[0].model_copy(update=unknown))
    metrics = json.loads((tmp_path / report.METRICS).read_text())
    summary = report.summary({name: value for name, value in metrics.items() if name not in unknown})
    assert "mixture" not in summary
    assert "no digit" not in summary


def test_what_comes_from_outside_is_escaped(version: tuple[Manifest, dict[str, bytes]], tmp_path: Path) -> None:
    dataset = version[0].dataset.model_copy(update={"source": "<script>alert(1)</script>"})
    page = write(tmp_path, version[0].model_copy(update={"dataset": dataset}))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("accuracies", [[0.95], [0.992, 0.995, 0.9965], [1.0, 1.0]])
def test_training_curves_are_drawn_whatever_the_errors(accuracies: list[float]) -> None:
    epochs = [Epoch(0.5, accuracy - 0.01, accuracy, 1.0) for accuracy in accuracies]
    with Image.open(BytesIO(figures.training_curves(epochs))) as image:
        assert image.width > 500


def test_the_report_has_every_figure_and_one_page_of_its_own(trained: Path, version: Version) -> None:
    folder = trained / REPORT_FOLDER
    assert {path.stem for path in folder.glob("*.png")} == FIGURES
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 150
            assert len(np.unique(np.asarray(image.convert("L")))) > 20
    page = (folder / "index.html").read_text()
    assert page.count('src="data:image/png;base64,') == len(FIGURES)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert f"{version[0].test.accuracy:.2%}" in page
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == version[0].test.accuracy
    assert np.trace(metrics["confusion"]) / np.sum(metrics["confusion"]) == pytest.approx(version[0].test.accuracy)
    assert metrics["export_candidates"][0]["name"] == "float32"
    assert len(metrics["epochs"]) == metrics["training"]["epochs"]
    assert f"{REPORT_FOLDER}/index.html" in version[0].files
