"""The robustness table: what it counts, and that it is made once."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.model.classifier import Classifier
from digits.model.manifest import Manifest, Robustness, RobustnessRow
from training import robustness
from training.answers import Answers, answers_by_family, answers_to
from training.dataset import load_subset
from training.distortions import ROWS
from training.forms import Forms
from training.outliers import FAMILIES
from training.robustness import (
    DistortedDigits,
    DistortedRow,
    distorted_digits,
    measure_rows,
    met,
    outlier_row,
    points,
)

VERDICTS = np.array(["", "", "", "blank"])
LABELS = np.array([1, 2, 3, 4], np.uint8)


class Says:
    """A classifier that answers the digit that is an image's first pixel, as surely as the second says."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        sure = images[:, 0, 1] / 100
        answers = np.repeat(((1 - sure) / 9)[:, None], 10, axis=1)
        answers[np.arange(len(images)), images[:, 0, 0]] = sure
        return answers.astype(np.float32)


def row(answers: list[int], confidence: list[int], **changes: Any) -> DistortedRow:
    """Four digits, the last of them refused."""
    images = np.zeros((4, 28, 28), np.uint8)
    images[:3, 0, 0], images[:3, 0, 1] = answers, confidence
    forms = Forms(images, VERDICTS, np.zeros(4, np.bool_), np.empty((0, 28, 28), np.uint8), np.zeros(4, np.intp))
    return DistortedRow(replace(forms, **changes), LABELS)


def measured(accept: float | None = 0.8, reject: float | None = None, **rows: DistortedRow) -> Robustness:
    return measure_rows(Says(), DistortedDigits(rows), accept, reject)  # type: ignore[arg-type]


def table_row(**changes: Any) -> RobustnessRow:
    fields: dict[str, Any] = {"name": "photo", "accuracy": 0.97, "refused": {}}
    return RobustnessRow(**fields | changes, negative_log_likelihood=0.1, expected_calibration_error=0.01)


def test_a_refused_digit_is_none_that_was_read() -> None:
    table = measured(clean=row([1, 2, 3], [90, 90, 90]), photo=row([1, 2, 9], [90, 90, 60]))
    assert [each.accuracy for each in table.rows] == [0.75, 0.5]
    assert table.rows[0].refused == {"blank": 0.25}
    assert table.accepted_share == 5 / 8
    assert table.accepted_accuracy == 1
    # Three right at 0.9 in one row; over both rows, five at 0.9 and one wrong at 0.6.
    assert table.rows[0].expected_calibration_error == pytest.approx(0.1, abs=1e-6)
    assert table.expected_calibration_error == pytest.approx((5 * 0.1 + 0.6) / 6, abs=1e-6)


def test_nothing_is_accepted_without_a_threshold() -> None:
    table = measured(None, clean=row([1, 2, 3], [90] * 3))
    assert (table.accepted_share, table.accepted_accuracy) == (0, None)
    assert (table.rows[0].accepted, table.rows[0].wrong_accepted) == (0, 0)


def test_a_row_tells_what_was_accepted_and_what_of_it_wrongly() -> None:
    table = measured(clean=row([1, 2, 3], [90] * 3), photo=row([1, 9, 9], [90, 80, 60]))
    assert [(each.accepted, each.wrong_accepted) for each in table.rows] == [(0.75, 0), (0.5, 0.25)]
    assert (table.accepted_share, table.accepted_accuracy) == (5 / 8, 4 / 5)


def test_what_the_model_refuses_is_none_that_was_read() -> None:
    (only,) = measured(0.8, 0.5, clean=row([1, 2, 9], [90, 40, 30])).rows
    assert (only.accuracy, only.accepted, only.wrong_accepted) == (0.25, 0.25, 0)
    assert only.refused == {"blank": 0.25, "not_a_digit": 0.5}
    assert only.expected_calibration_error == pytest.approx(0.1, abs=1e-6)  # of the one that was answered


def test_a_warned_answer_is_read_and_not_accepted() -> None:
    (only,) = measured(clean=row([1, 2, 9], [90] * 3, warned=np.array([True, False, True, False]))).rows
    assert (only.accuracy, only.accepted, only.wrong_accepted) == (0.5, 0.25, 0)


def test_parts_that_are_surer_than_the_whole_refuse_it() -> None:
    parts = np.zeros((4, 28, 28), np.uint8)
    parts[:, 0, 1] = [95, 92, 95, 85]
    counts = np.array([2, 2, 0, 0])
    (only,) = measured(clean=row([1, 2, 3], [90] * 3, parts=parts, part_counts=counts)).rows
    assert only.refused == {"blank": 0.25, "several_digits": 0.25}
    assert (only.accuracy, only.accepted) == (0.5, 0.5)


def test_rows_may_have_different_digits() -> None:
    one = row([1, 2, 3], [90] * 3)
    short = DistortedRow(Forms(*(getattr(one.forms, field.name)[:2] for field in fields(Forms))), LABELS[[0, 0]])
    table = measured(clean=one, short=short)
    assert [each.accuracy for each in table.rows] == [0.75, 0.5]
    assert (table.count, table.accepted_share, table.accepted_accuracy) == (4, 5 / 6, 4 / 5)


def outliers(**confidence: list[int]) -> dict[str, Answers]:
    images = {name: np.zeros((len(values), 28, 28), np.uint8) for name, values in confidence.items()}
    for name, values in confidence.items():
        images[name][:, 0, 1] = values
    return answers_by_family(Says(), {name: Forms.plain(each) for name, each in images.items()})  # type: ignore[arg-type]


def test_outliers_are_refused_answered_or_accepted_by_family(monkeypatch: pytest.MonkeyPatch) -> None:
    families = {"pair": FAMILIES["pair"], "judge": replace(FAMILIES["pair"], judge=True)}
    monkeypatch.setattr(robustness, "FAMILIES", families)
    answers = outliers(pair=[20, 60, 30, 90], judge=[95, 20])
    pair, judge = (outlier_row(name, each, 0.8, 0.5) for name, each in answers.items())
    assert (pair.name, pair.trained, pair.count) == ("pair", True, 4)
    assert (pair.refused, pair.answered, pair.accepted) == ({"not_a_digit": 0.5}, 0.25, 0.25)
    assert (judge.name, judge.trained, judge.refused, judge.accepted) == ("judge", False, {"not_a_digit": 0.5}, 0.5)
    for name, each in answers.items():
        lenient = outlier_row(name, each, None, None)
        assert (lenient.refused, lenient.answered, lenient.accepted) == ({}, 1, 0)


def test_pictures_of_no_digit_are_refused_by_the_canonical_form_as_well() -> None:
    answers = answers_to(Says(), row([1, 2, 3], [90, 60, 20]).forms)  # type: ignore[arg-type]
    made = outlier_row("blank sheets", answers, 0.8, 0.5)
    assert not made.trained
    assert (made.refused, made.answered, made.accepted) == ({"blank": 0.25, "not_a_digit": 0.25}, 0.25, 0.25)


def test_pooled_digits_leave_out_what_was_refused() -> None:
    part = DistortedDigits({"clean": row([1, 2, 3], [90] * 3), "photo": row([1, 2, 9], [90] * 3)}).pooled()
    assert part.labels.tolist() == [1, 2, 3, 1, 2, 3]
    assert part.images[:, 0, 0].tolist() == [1, 2, 3, 1, 2, 9]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, True),
        ({"accuracy": 0.969}, False),
        ({"refused": {"blank": 0.01}}, True),
        ({"refused": {"blank": 0.01, "not_a_digit": 0.01}}, True),
        ({"refused": {"blank": 0.006, "no_contrast": 0.006}}, False),
        ({"name": "chalk on board"}, False),  # whose aim is narrower
        ({"name": "cell", "accuracy": 0.97, "wrong_accepted": 0.01}, True),
        ({"name": "cell", "accuracy": 0.97, "refused": {"no_contrast": 0.03}}, True),
        ({"name": "cell", "accuracy": 0.969}, False),
        ({"name": "cell", "accuracy": 0.98, "wrong_accepted": 0.011}, False),
    ],
)
def test_a_row_meets_its_aim_by_points_and_refusals(changes: dict[str, Any], verdict: bool) -> None:
    clean = table_row(name="clean", accuracy=0.99)
    assert met(table_row(**changes), clean) is verdict
    assert points(table_row(), clean) == pytest.approx(-2)


def test_an_aim_is_told_in_points_or_as_an_accuracy() -> None:
    assert (ROWS["photo"].aim, ROWS["cell"].aim) == ("-2", "97 %")


def test_rows_of_one_digit_and_on_real_paper_have_half_as_many(tmp_path: Path) -> None:
    part = load_subset().holdout
    for name, each in distorted_digits(part, tmp_path, count=2).rows.items():
        digit, on_paper = ROWS[name].digit, ROWS[name].least_accuracy is not None
        assert len(each.labels) == (1 if on_paper or digit is not None else 2)
        assert digit is None or set(each.labels) == {digit}


def test_of_a_small_part_a_fifth_of_the_digits_takes_part(tmp_path: Path) -> None:
    part = load_subset().holdout.sample(12)
    found = distorted_digits(part, tmp_path)
    assert max(len(row.labels) for row in found.rows.values()) == 3


def test_distorted_digits_are_kept_and_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = load_subset().holdout.sample(3)
    made = distorted_digits(part, tmp_path / "kept", count=3).rows
    assert made.keys() == {name for name, row in ROWS.items() if row.digit is None or row.digit in part.labels}
    np.testing.assert_array_equal(made["clean"].forms.images, part.images)
    np.testing.assert_array_equal(
        distorted_digits(part, tmp_path / "elsewhere", count=3).rows["photo"].forms.images, made["photo"].forms.images
    )

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(robustness, "bring_all", refuse)
    kept = distorted_digits(part, tmp_path / "kept", count=3).rows
    for name, each in made.items():
        np.testing.assert_array_equal(each.labels, kept[name].labels)
        for field in fields(Forms):
            np.testing.assert_array_equal(getattr(each.forms, field.name), getattr(kept[name].forms, field.name))
    with pytest.raises(AssertionError, match="made again"):
        distorted_digits(load_subset().holdout.sample(2), tmp_path / "kept")


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    part = load_subset().holdout.sample(2)
    made = distorted_digits(part, tmp_path).rows
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(
        distorted_digits(part, tmp_path).rows["photo"].forms.images, made["photo"].forms.images
    )


def test_where_nothing_can_be_kept_the_digits_are_made_all_the_same(tmp_path: Path) -> None:
    part = load_subset().holdout.sample(2)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    said: list[str] = []
    assert len(distorted_digits(part, blocked, said.append).rows) >= 17
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
