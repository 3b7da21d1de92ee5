"""The robustness table: what it counts, and that it is made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.model.classifier import Classifier
from digits.model.manifest import Manifest, RobustnessRow
from training import robustness
from training.dataset import load_subset
from training.distortions import ROWS
from training.robustness import DistortedDigits, DistortedRow, distorted_digits, measure_rows, met, points

VERDICTS = np.array(["", "", "", "blank"])
LABELS = np.array([1, 2, 3, 4], np.uint8)


class Says:
    """A classifier that answers the digit that is an image's first pixel, as surely as the second says."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        sure = images[:, 0, 1] / 100
        answers = np.repeat(((1 - sure) / 9)[:, None], 10, axis=1)
        answers[np.arange(len(images)), images[:, 0, 0]] = sure
        return answers.astype(np.float32)


def row(answers: list[int], confidence: list[int]) -> DistortedRow:
    images = np.zeros((4, 28, 28), np.uint8)
    images[:3, 0, 0], images[:3, 0, 1] = answers, confidence
    return DistortedRow(images, VERDICTS)


def table_row(**changes: Any) -> RobustnessRow:
    fields: dict[str, Any] = {"name": "photo", "accuracy": 0.97, "refused": {}}
    return RobustnessRow(**fields | changes, negative_log_likelihood=0.1, expected_calibration_error=0.01)


def test_a_refused_digit_is_none_that_was_read() -> None:
    rows = {"clean": row([1, 2, 3], [90, 90, 90]), "photo": row([1, 2, 9], [90, 90, 60])}
    table = measure_rows(Says(), DistortedDigits(LABELS, rows), threshold=0.8)  # type: ignore[arg-type]
    assert [each.accuracy for each in table.rows] == [0.75, 0.5]
    assert table.rows[0].refused == {"blank": 0.25}
    assert table.accepted_share == 5 / 8
    assert table.accepted_accuracy == 1
    # Three right at 0.9 in one row; over both rows, five at 0.9 and one wrong at 0.6.
    assert table.rows[0].expected_calibration_error == pytest.approx(0.1, abs=1e-6)
    assert table.expected_calibration_error == pytest.approx((5 * 0.1 + 0.6) / 6, abs=1e-6)


def test_nothing_is_accepted_without_a_threshold() -> None:
    table = measure_rows(Says(), DistortedDigits(LABELS, {"clean": row([1, 2, 3], [90] * 3)}), threshold=None)  # type: ignore[arg-type]
    assert (table.accepted_share, table.accepted_accuracy) == (0, None)


def test_pooled_digits_leave_out_what_was_refused() -> None:
    part = DistortedDigits(LABELS, {"clean": row([1, 2, 3], [90] * 3), "photo": row([1, 2, 9], [90] * 3)}).pooled()
    assert part.labels.tolist() == [1, 2, 3, 1, 2, 3]
    assert part.images[:, 0, 0].tolist() == [1, 2, 3, 1, 2, 9]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, True),
        ({"accuracy": 0.969}, False),
        ({"refused": {"blank": 0.01}}, True),
        ({"refused": {"blank": 0.006, "no_contrast": 0.006}}, False),
        ({"name": "chalk on board"}, False),  # whose aim is narrower
    ],
)
def test_a_row_meets_its_aim_by_points_and_refusals(changes: dict[str, Any], verdict: bool) -> None:
    clean = table_row(name="clean", accuracy=0.99)
    assert met(table_row(**changes), clean) is verdict
    assert points(table_row(), clean) == pytest.approx(-2)


def test_distorted_digits_are_kept_and_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = load_subset().holdout.sample(3)
    made = distorted_digits(part, tmp_path / "kept").rows
    assert made.keys() == ROWS.keys()
    np.testing.assert_array_equal(made["clean"].images, part.images)
    np.testing.assert_array_equal(
        distorted_digits(part, tmp_path / "elsewhere").rows["photo"].images, made["photo"].images
    )

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(robustness, "distort", refuse)
    kept = distorted_digits(part, tmp_path / "kept").rows
    for name, each in made.items():
        np.testing.assert_array_equal(each.images, kept[name].images)
        np.testing.assert_array_equal(each.verdicts, kept[name].verdicts)
    with pytest.raises(AssertionError, match="made again"):
        distorted_digits(load_subset().holdout.sample(2), tmp_path / "kept")


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    part = load_subset().holdout.sample(2)
    made = distorted_digits(part, tmp_path).rows
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(distorted_digits(part, tmp_path).rows["photo"].images, made["photo"].images)


def test_where_nothing_can_be_kept_the_digits_are_made_all_the_same(tmp_path: Path) -> None:
    part = load_subset().holdout.sample(2)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    said: list[str] = []
    assert distorted_digits(part, blocked, said.append).rows.keys() == ROWS.keys()
    assert [line.split(":")[1].split()[0] for line in said] == ["distorting", "not"]


def test_the_trained_model_reads_most_of_the_field(version: tuple[Manifest, dict[str, bytes]]) -> None:
    manifest, files = version
    table = manifest.holdout_robustness
    assert table is not None
    assert [each.name for each in table.rows] == list(ROWS)
    assert min(each.accuracy for each in table.rows) > 0.6
    part = load_subset().holdout.sample(table.count)
    clean = (Classifier(files["model.tflite"]).predict(part.images).argmax(axis=1) == part.labels).mean()
    assert table.rows[0].accuracy == pytest.approx(clean)
