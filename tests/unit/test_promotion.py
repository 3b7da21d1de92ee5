"""Promotion: what a challenger has to show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.model.contract import BLANK
from digits.model.proof import LoadedModel
from digits.registry.decisions import Check, Decision
from training import promotion
from training.comparison import MARGINS, lower_bound
from training.dataset import Part
from training.distortions import ROWS
from training.forms import Forms
from training.judging import Judging
from training.numbers import Numbers
from training.promotion import decide, describe
from training.refusals import BLANK_SHEETS
from training.robustness import DistortedDigits, DistortedRow

type Wrong = Callable[[int, int], bool]

COUNT = 5_000
ROW_COUNT = 500


def part() -> Part:
    """Digits whose pixels carry their index and label, so that a fake model can look up what it should answer."""
    labels = (np.arange(COUNT) % 10).astype(np.uint8)
    images = np.zeros((COUNT, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1], images[:, 0, 2] = np.arange(COUNT) // 256, np.arange(COUNT) % 256, labels
    return Part(images, labels)


HOLDOUT = part()


def distorted() -> DistortedDigits:
    sample = HOLDOUT.sample(ROW_COUNT)
    rows = {}
    for number, name in enumerate(ROWS):
        images = sample.images.copy()
        images[:, 0, 3] = number + 1
        rows[name] = DistortedRow(Forms.plain(images), sample.labels)
    return DistortedDigits(rows)


DISTORTED = distorted()


FAMILIES = ("letter", "star")


def outliers(*families: str) -> dict[str, Forms]:
    """A hundred pictures of each of some families: the row of their pixels is 254, the index within the family."""
    images = np.zeros((100, 28, 28), np.uint8)
    images[:, 0, 1], images[:, 0, 3] = np.arange(100), 254
    return dict.fromkeys(families, Forms.plain(images))


OUTLIERS = outliers(*FAMILIES)

PER_KIND = 100
KINDS = ("separated", "touching")


def numbers() -> dict[str, Numbers]:
    """Pictures of three digits: their pixels, too faint for ink, carry the digits, the kind and the index within it."""
    made = {}
    for kind in range(len(KINDS)):
        lines = []
        for index in range(PER_KIND):
            line = np.zeros((32, 8), np.uint8)
            line[0, :4] = index % 10, index // 10, kind, index
            lines.append((f"{index % 10}{index // 10}5", [line]))
        made[KINDS[kind]] = Numbers.of(lines)
    return made


JUDGING = Judging(HOLDOUT, DISTORTED, OUTLIERS, numbers())


def fake_reader(wrong: Wrong = lambda _, __: False, *, sure: bool = False, size_bytes: int = 900_000) -> Any:
    """A reader that is wrong where it is told to be: by kind, and index within it.

    It is sure of what is right, and of what is wrong if that is asked for; more than 90 % sure is accepted.
    """

    def logits(lines: NDArray[np.uint8]) -> NDArray[np.float32]:
        first, second, kind, index = lines[0, 0, :4].tolist()
        columns = np.full((1, 5, 11), -50, np.float32)
        columns[0, 0, (first + wrong(kind, index)) % 10] = 50
        if wrong(kind, index) and not sure:
            columns[0, 0, first] = 50 - math.log(1.5)  # 60 to 40
        columns[0, [1, 3], BLANK] = columns[0, 2, second] = columns[0, 4, 5] = 50
        return columns

    record = SimpleNamespace(acceptance_threshold=0.9, agreement_threshold=0.3)
    loaded = SimpleNamespace(network=SimpleNamespace(logits=logits, model=b"x" * size_bytes), record=record)
    return SimpleNamespace(exists=True, get=lambda: loaded)


def fake(
    wrong: Wrong = lambda _, __: False,
    *,
    confidence: float = 0.999,
    name: str = "20260101T000000Z-00000000",
    own_count: int = 55_000,
    training_count: int = 55_000,
    size_bytes: int = 300_000,
    thresholds: tuple[float | None, float | None] = (0.9, 0.5),
    sure_outliers: int = 0,
    reader: Any = None,
) -> LoadedModel:
    """A model that is wrong where it is told to be: by index of the digit, and row (0: the clean holdout).

    It is sure of so many in a hundred outliers of a family.
    """

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        first = images[:, 0, :4].astype(int)
        answers = np.full((len(images), 10), (1 - confidence) / 9, np.float32)
        for position, (high, low, label, row) in enumerate(first):
            if row == 254 and low >= sure_outliers:
                answers[position] = 0.1
            else:
                answers[position, (label + wrong(high * 256 + low, row)) % 10] = confidence
        return answers

    manifest = SimpleNamespace(
        version=name,
        dataset=SimpleNamespace(own_count=own_count, training_count=training_count),
        test=SimpleNamespace(accuracy=0.5),
        acceptance_threshold=thresholds[0],
        rejection_threshold=thresholds[1],
    )
    classifier: Any = SimpleNamespace(predict=predict, model=b"x" * size_bytes)
    model = LoadedModel(manifest, classifier, "0" * 64)  # type: ignore[arg-type]
    return replace(model, numbers=reader) if reader else model


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "multiply_adds", lambda _: 900_000)


def clean_errors(count: int, offset: int = 0) -> Wrong:
    """Wrong on so many clean digits, spread over the classes."""
    chosen = {offset + 11 * number for number in range(count)}
    return lambda index, row: row == 0 and index in chosen


def failed(decision: Decision) -> set[str]:
    return {check.name for check in decision.failed}


# The decision


def test_the_first_model_needs_none_that_is_live() -> None:
    decision = decide(None, fake(), JUDGING)
    assert (decision.outcome, decision.live) == ("promote", None)
    assert [check.name for check in decision.checks] == [
        "accuracy",
        "calibration error",
        "calibration error, distorted digits",
        "accepted accuracy, mixture",
        *(f"row {name}, wrong and accepted" for name in ROWS),
        *(f"no digit: {name}, accepted" for name in FAMILIES),
        "bytes",
        "multiply-adds",
    ]


def test_an_equal_model_takes_the_live_models_place() -> None:
    decision = decide(fake(clean_errors(25), name="20250101T000000Z-00000000"), fake(clean_errors(25)), JUDGING)
    assert decision.outcome == "promote"
    assert len(decision.checks) == 5 + 1 + len(ROWS) + 2 + 3 + 10 + len(ROWS) + 2
    assert [score.version[:4] for score in decision.scores] == ["2025", "2026"]


def test_a_worse_model_is_refused() -> None:
    decision = decide(fake(clean_errors(25)), fake(clean_errors(45)), JUDGING)
    assert decision.outcome == "refuse"
    assert "accuracy, difference at 95 %" in failed(decision)


def test_a_difference_that_is_merely_not_significant_proves_nothing() -> None:
    """Two digits of difference, but so many digits read differently that it could be the margin and more."""
    live, challenger = fake(clean_errors(45)), fake(clean_errors(47, offset=5))
    decision = decide(live, challenger, JUDGING)
    assert failed(decision) == {"accuracy, difference at 95 %"}
    (check,) = decision.failed
    assert check.figure < -MARGINS.accuracy < -2 / COUNT


def test_a_class_is_not_given_up_for_the_others() -> None:
    """As many errors as the live model has, but all of them sevens."""
    sevens = set(range(7, 300, 10))
    decision = decide(fake(clean_errors(30)), fake(lambda index, row: row == 0 and index in sevens), JUDGING)
    assert "digit 7, difference" in failed(decision)


def test_a_robustness_row_is_not_given_up() -> None:
    position = list(ROWS).index("inverted") + 1
    decision = decide(fake(), fake(lambda index, row: row == position and index % 300 == 0), JUDGING)
    assert failed(decision) == {"row inverted, difference", "row inverted, wrong and accepted"}


def test_a_model_must_be_calibrated() -> None:
    decision = decide(None, fake(confidence=0.91), JUDGING)
    assert failed(decision) == {"calibration error", "calibration error, distorted digits"}


def test_what_is_no_digit_is_not_accepted_by_any_family() -> None:
    decision = decide(None, fake(sure_outliers=12), JUDGING)
    families = {f"no digit: {name}, accepted" for name in FAMILIES}
    assert failed(decision) == {*families, "accepted accuracy, mixture"}


def test_of_blank_sheets_hardly_any_may_be_accepted() -> None:
    both = outliers("letter", BLANK_SHEETS)
    assert not failed(decide(None, fake(sure_outliers=2), replace(JUDGING, outliers=both)))
    assert "no digit: blank sheets, accepted" in failed(
        decide(None, fake(sure_outliers=3), replace(JUDGING, outliers=both))
    )
    assert "no digit: letter, accepted" not in failed(
        decide(None, fake(sure_outliers=3), replace(JUDGING, outliers=both))
    )


def test_what_is_no_digit_is_not_accepted_more_often_than_by_the_live_model() -> None:
    live, challenger = fake(sure_outliers=1), fake(lambda _, row: row == 254, sure_outliers=9)
    decision = decide(live, challenger, JUDGING)
    assert {f"no digit: {name}, difference at 95 %" for name in FAMILIES} <= failed(decision)
    assert not failed(decide(live, fake(sure_outliers=1), JUDGING))


def test_four_more_of_a_hundred_accepted_may_be_chance() -> None:
    checks = decide(fake(sure_outliers=1), fake(sure_outliers=5), JUDGING).checks
    (letters,) = (check for check in checks if check.name == "no digit: letter, difference at 95 %")
    assert letters.passed
    assert 0 < letters.figure < 0.04


def test_accepted_answers_must_be_right_over_the_mixture() -> None:
    """Two in a hundred outliers: no family's limit, but 0.4 % of the mixture; five are 1 %."""
    assert not failed(decide(None, fake(sure_outliers=1), JUDGING))
    assert failed(decide(None, fake(sure_outliers=5), JUDGING)) == {"accepted accuracy, mixture"}


def test_a_live_model_without_thresholds_is_compared_by_what_it_has() -> None:
    live = fake(clean_errors(25), thresholds=(None, None))
    decision = decide(live, fake(clean_errors(25)), JUDGING)
    assert decision.outcome == "promote"
    assert not [check for check in decision.checks if check.name.startswith("no digit") and "difference" in check.name]
    neither = decide(live, live, JUDGING)
    assert not [check for check in neither.checks if "accepted" in check.name]


def test_a_digit_that_is_refused_is_none_that_was_read() -> None:
    decision = decide(fake(), fake(thresholds=(None, 1.0)), JUDGING)
    assert {f"row {name}, difference" for name in ROWS} <= failed(decision)


@pytest.mark.parametrize(
    ("own_count", "training_count", "name"),
    [(4_000, 55_000, "digits of the data set"), (55_000, 54_999, "training digits")],
)
def test_a_model_of_less_data_is_refused(own_count: int, training_count: int, name: str) -> None:
    challenger = fake(own_count=own_count, training_count=training_count)
    assert failed(decide(fake(), challenger, JUDGING)) == {name}


def test_size_and_operations_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "multiply_adds", lambda _: 60_000_000)
    decision = decide(None, fake(size_bytes=4_800_000), JUDGING)
    assert failed(decision) == {"bytes", "multiply-adds"}


def test_a_bad_first_model_is_refused() -> None:
    decision = decide(None, fake(lambda index, _: index % 10 == 0), JUDGING)
    assert "accuracy" in failed(decision)


# The reader


def some(kind: str, count: int) -> Wrong:
    """Wrong on so many numbers of a kind."""
    return lambda number, index: KINDS[number] == kind and index < count


def test_a_reader_is_judged_by_what_it_accepts_and_costs() -> None:
    decision = decide(None, fake(reader=fake_reader()), JUDGING)
    assert decision.outcome == "promote"
    without = {check.name for check in decide(None, fake(), JUDGING).checks}
    assert [check.name for check in decision.checks if check.name not in without] == [
        *(f"numbers: {kind}, wrong and accepted" for kind in KINDS),
        "reader, bytes",
        "reader, multiply-adds",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_refused_because_its_reader_got_worse_at_one_kind_of_numbers(kind: str) -> None:
    live = fake(reader=fake_reader())
    decision = decide(live, fake(reader=fake_reader(some(kind, 6))), JUDGING)
    assert decision.outcome == "refuse"
    assert failed(decision) == {f"numbers: {kind}, difference"}
    (line,) = [line for line in describe("20260101T000000Z-00000000", decision) if "failed" in line]
    assert line == f"  failed: numbers: {kind}, difference: -0.06, wanted at least -0.03"


def test_a_reader_may_lose_a_little_and_more_where_the_live_one_is_often_wrong() -> None:
    good, poor = fake(reader=fake_reader()), fake(reader=fake_reader(some("touching", 20)))
    assert not failed(decide(good, fake(reader=fake_reader(some("touching", 2))), JUDGING))
    assert not failed(decide(poor, fake(reader=fake_reader(some("touching", 26))), JUDGING))
    assert failed(decide(poor, fake(reader=fake_reader(some("touching", 28))), JUDGING))


def test_numbers_that_are_wrong_and_accepted_are_not_promoted_even_if_nothing_is_live() -> None:
    assert not failed(decide(None, fake(reader=fake_reader(some("separated", 2), sure=True)), JUDGING))
    decision = decide(None, fake(reader=fake_reader(some("separated", 4), sure=True)), JUDGING)
    assert failed(decision) == {"numbers: separated, wrong and accepted"}


def test_a_reader_that_accepts_nothing_has_nothing_wrong_that_is_accepted() -> None:
    reader = fake_reader(some("separated", 50), sure=True)
    reader.get().record.acceptance_threshold = None
    assert not failed(decide(None, fake(reader=reader), JUDGING))


def test_a_reader_is_not_given_up_unless_that_is_forced() -> None:
    live = fake(reader=fake_reader())
    assert failed(decide(live, fake(), JUDGING)) == {"readers of numbers"}
    assert decide(live, fake(), JUDGING, force="numbers were wrong").outcome == "force"


def test_the_first_reader_takes_its_place_beside_a_model_that_has_none() -> None:
    decision = decide(fake(), fake(reader=fake_reader(some("touching", 40))), JUDGING)
    assert decision.outcome == "promote"
    assert not [check for check in decision.checks if check.name.startswith("numbers") and "difference" in check.name]


def test_the_reader_has_a_budget_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {300_000: 900_000, 1_200_001: 1_000_001}  # by size, what a model multiplies
    monkeypatch.setattr(promotion, "multiply_adds", lambda model: costs[len(model)])
    decision = decide(None, fake(reader=fake_reader(size_bytes=1_200_001)), JUDGING)
    assert failed(decision) == {"reader, bytes", "reader, multiply-adds"}


# The record


def test_force_is_recorded_with_its_reason_and_the_checks_that_failed() -> None:
    decision = decide(fake(), fake(clean_errors(60)), JUDGING, force="the old one is compromised")
    assert (decision.outcome, decision.reason) == ("force", "the old one is compromised")
    assert failed(decision)
    lines = "\n".join(describe("20260101T000000Z-00000000", decision))
    assert "promoted by force" in lines
    assert "failed: accuracy, difference at 95 %" in lines
    assert "reason: the old one is compromised" in lines


def test_the_test_digits_are_reported_and_not_decided_on() -> None:
    decision = decide(None, fake(), JUDGING)
    assert decision.scores[0].test_accuracy == 0.5
    assert decision.outcome == "promote"


def test_a_figure_that_is_no_number_passes_nothing() -> None:
    for rule in ("at least", "at most"):
        assert not Check(name="x", figure=math.nan, rule=rule, limit=0).passed


def test_a_decision_survives_json() -> None:
    decision = decide(fake(), fake(clean_errors(60)), JUDGING)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert decision.decided_at <= datetime.now(UTC)


# The interval


def profile_bound(gained: int, lost: int, count: int) -> float:
    """The score bound by brute force: the smallest difference that its own score test does not reject."""
    shares = np.linspace(0, 1, 20_001)[1:-1]
    for difference in np.arange(-0.05, (gained - lost) / count, 0.0001):
        only_old = shares[(shares + difference > 0) & (2 * shares + difference < 1)]
        only_new = only_old + difference
        neither = np.log(1 - only_new - only_old)
        likelihood = gained * np.log(only_new) + lost * np.log(only_old) + (count - gained - lost) * neither
        best = only_old[likelihood.argmax()]
        variance = (2 * best + difference - difference**2) * count
        if (gained - lost - count * difference) / math.sqrt(variance) <= 1.6448536:
            return float(difference)
    raise AssertionError


@pytest.mark.parametrize(("gained", "lost", "count"), [(12, 9, 500), (3, 11, 500), (20, 20, 2_000), (1, 6, 300)])
def test_the_bound_is_that_of_the_score_test(gained: int, lost: int, count: int) -> None:
    assert lower_bound(gained, lost, count) == pytest.approx(profile_bound(gained, lost, count), abs=2e-4)


def test_two_models_that_never_differ_still_leave_a_doubt() -> None:
    quantile = 1.6448536
    assert lower_bound(0, 0, 500) == pytest.approx(-(quantile**2) / (500 + quantile**2), rel=1e-3)


def test_the_bound_lies_below_the_difference_and_rises_with_it() -> None:
    bounds = [lower_bound(gained, 10, 5_000) for gained in range(0, 30, 5)]
    assert bounds == sorted(bounds)
    assert all(bound < (gained - 10) / 5_000 for bound, gained in zip(bounds, range(0, 30, 5), strict=True))
