"""What the lines of a result add up to."""

from __future__ import annotations

from typing import Any

import pytest

from functions.batch.summary import BINS, MOST_MISTAKES, Summary, outcome_of, text_of

BLANK = {"problem": {"status": 422, "detail": "nothing is on it", "verdict": "blank"}}
BROKEN = {"problem": {"status": 422, "detail": "the image is damaged or truncated"}}


def read(pred: int, conf: float = 0.9, *, accepted: bool = True) -> dict[str, Any]:
    return {"pred": pred, "conf": conf, "accepted": accepted}


def number(text: str, conf: float = 0.9, *, accepted: bool = True) -> dict[str, Any]:
    return {"text": text, "conf": conf, "accepted": accepted, "rows": []}


def form(**fields: bool) -> dict[str, Any]:
    return {"fields": {name: number("1", 0.55, accepted=accepted) for name, accepted in fields.items()}}


def told(*answers: dict[str, Any], labels: dict[str, str] | None = None) -> dict[str, Any]:
    """The summary of answers; names and labels of lines may be told with them."""
    summary = Summary(labels or {})
    for index, answer in enumerate(answers):
        summary.add({"index": index, "name": f"{index}.png", "sha256": "0" * 64, **answer})
    return summary.told()


@pytest.mark.parametrize(
    ("answer", "outcome", "text"),
    [
        (read(7), "accepted", "7"),
        (read(0, accepted=False), "not accepted", "0"),
        (number("12\n34"), "accepted", "12\n34"),
        (number("", accepted=False), "not accepted", ""),
        (form(a=True, b=True), "accepted", None),
        (form(a=True, b=False), "not accepted", None),
        (BLANK, "refused", None),
        (BROKEN, "unusable", None),
    ],
)
def test_a_line_has_one_outcome(answer: dict[str, Any], outcome: str, text: str | None) -> None:
    assert (outcome_of(answer), text_of(answer)) == (outcome, text)
    assert told(answer)["outcomes"] == {outcome: 1}


def test_outcomes_verdicts_and_problems_are_counted() -> None:
    summary = told(read(7), read(1, accepted=False), BLANK, BLANK, BROKEN, read(2))
    assert summary["pictures"] == 6
    assert summary["outcomes"] == {"accepted": 2, "not accepted": 1, "refused": 2, "unusable": 1}
    assert summary["verdicts"] == {"blank": 2}
    assert summary["problems"] == {"the image is damaged or truncated": 1}
    assert "labels" not in summary


def test_nothing_adds_up_to_nothing() -> None:
    summary = told()
    assert (summary["pictures"], summary["outcomes"]) == (0, {})
    assert sum(summary["confidence"]["counts"]) == 0


@pytest.mark.parametrize(("conf", "place"), [(0.0, 0), (0.0499, 0), (0.05, 1), (0.5, 10), (0.999, 19), (1.0, 19)])
def test_the_histogram_has_each_confidence_in_its_bin(conf: float, place: int) -> None:
    counts = told(read(7, conf))["confidence"]["counts"]
    assert (len(counts), counts.index(1), sum(counts)) == (BINS, place, 1)


def test_the_histogram_has_each_field_of_a_form() -> None:
    assert told(form(a=True, b=True, c=False), BLANK)["confidence"]["counts"][11] == 3


def test_labels_tell_what_was_right() -> None:
    summary = told(
        {"label": "7"} | read(7),
        {"label": "7"} | read(1, 0.6, accepted=False),
        {"label": "3"} | read(8, 0.95),
        {"label": "3"} | BLANK,
        {"label": "4"} | BROKEN,
        read(5),
    )["labels"]
    assert (summary["labelled"], summary["right"], summary["accuracy"]) == (5, 1, 0.2)
    assert (summary["accepted"], summary["accepted_right"]) == (2, 1)
    assert summary["confusion"].keys() == {"3", "4", "7"}
    assert {name: count for name, count in summary["confusion"]["3"].items() if count} == {"8": 1, "refused": 1}
    assert {name: count for name, count in summary["confusion"]["7"].items() if count} == {"7": 1, "1": 1}
    assert {name: count for name, count in summary["confusion"]["4"].items() if count} == {"refused": 1}
    assert summary["worst_mistakes"] == [
        {"index": 2, "name": "2.png", "label": "3", "read": "8", "conf": 0.95},
        {"index": 1, "name": "1.png", "label": "7", "read": "1", "conf": 0.6},
    ]


@pytest.mark.parametrize(
    ("text", "label", "right"),
    [
        ("2026", "2026", True),
        ("12\n34", "12 34", True),
        ("12\n34", "12\n34", True),
        ("12\n34", "1234", False),
        ("2026", " 2026 ", True),
        ("7", "07", False),
        ("", "7", False),
    ],
)
def test_a_number_is_right_as_a_whole(text: str, label: str, right: bool) -> None:
    assert told({"label": label} | number(text))["labels"]["right"] == right


def test_a_number_in_place_of_a_digit_is_something_else() -> None:
    confusion = told({"label": "7"} | number("71"), {"label": "71"} | number("7"))["labels"]["confusion"]
    assert {label: {name: count for name, count in row.items() if count} for label, row in confusion.items()} == {
        "7": {"other": 1}
    }


def test_a_form_is_not_judged_by_one_label() -> None:
    assert "labels" not in told({"label": "7"} | form(a=True))


@pytest.mark.parametrize("name", ["in/a.png", "./in/a.png", "in//a.png", "in/./a.png"])
def test_a_table_is_believed_before_a_folder(name: str) -> None:
    line = {"name": name, "label": "3"} | read(7)
    assert told(line, labels={"in/a.png": "7"})["labels"]["right"] == 1
    assert told(line, labels={"a.png": "7"})["labels"]["right"] == 0


def test_the_worst_mistakes_are_the_surest_and_of_equals_the_first() -> None:
    lines = [{"label": "3"} | read(8, 0.5 + 0.1 * (index % 3)) for index in range(100)]
    mistakes = told(*lines)["labels"]["worst_mistakes"]
    assert [each["index"] for each in mistakes] == list(range(2, 62, 3))
    assert len(mistakes) == MOST_MISTAKES
    few = told(*lines[:4])["labels"]["worst_mistakes"]
    assert [each["index"] for each in few] == [2, 1, 0, 3]


def test_the_most_frequent_problems_are_told_and_of_equals_the_first() -> None:
    lines = [{"problem": {"status": 422, "detail": str(index)}} for index in range(50)]
    problems = told(*lines, {"problem": {"status": 422, "detail": "49"}})["problems"]
    assert list(problems) == ["49", *map(str, range(MOST_MISTAKES - 1))]
    assert problems["49"] == 2


def test_problems_that_are_all_different_do_not_fill_the_memory() -> None:
    summary = Summary({})
    for index in range(20_000):
        summary.add({"index": index, "name": "a", "problem": {"status": 422, "detail": f"problem {index}"}})
    assert sum(summary.problems.values()) == summary.pictures == 20_000
    assert len(summary.problems) < 11_000
