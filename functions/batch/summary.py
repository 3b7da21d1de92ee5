"""The lines of a result, counted."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from digits.model.contract import CLASSES
from functions.batch.labels import Labels

BINS = 20  # of the histogram of confidence
MOST_MISTAKES = 20
MOST_PROBLEMS = 10_000  # different ones, that are counted each by itself
OTHER_PROBLEMS = "other problems"
REFUSED = "refused"  # in place of a digit

type Line = dict[str, Any]


def outcome_of(line: Line) -> str:
    """Return `accepted` or `not accepted` of an answer; `refused` or `unusable` of a picture without one."""
    problem = line.get("problem")
    if problem is None:
        return "accepted" if _is_accepted(line) else "not accepted"
    return REFUSED if problem.get("verdict") else "unusable"


def text_of(line: Line) -> str | None:
    """Return what was read; None of a form, and of a picture without an answer."""
    if "pred" in line:
        return str(line["pred"])
    return line.get("text")


@dataclass
class Summary:
    """What the lines of a result add up to.

    Attributes:
        labels: what pictures show, by name, where a table tells it; a line may tell it itself.
    """

    labels: Labels
    pictures: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    bins: list[int] = field(default_factory=lambda: [0] * BINS)
    labelled: int = 0
    right: int = 0
    accepted: int = 0
    accepted_right: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    mistakes: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Count a line."""
        self.pictures += 1
        outcome = outcome_of(line)
        self.outcomes[outcome] += 1
        problem = line.get("problem")
        if problem is None:
            for conf in [field["conf"] for field in line["fields"].values()] if "fields" in line else [line["conf"]]:
                self.bins[min(BINS - 1, int(conf * BINS))] += 1
        elif problem.get("verdict"):
            self.verdicts[problem["verdict"]] += 1
        else:
            is_counted = problem["detail"] in self.problems or len(self.problems) < MOST_PROBLEMS
            self.problems[problem["detail"] if is_counted else OTHER_PROBLEMS] += 1
        label = line.get("label")
        if self.labels:
            label = self.labels.get(str(PurePosixPath(line["name"])), label)
        is_other = "pred" in line and label not in CLASSES  # as of a folder `2024` of digits
        if label is not None and not is_other and "fields" not in line:
            self._judge(line, label, outcome)

    def _judge(self, line: Line, label: str, outcome: str) -> None:
        text = text_of(line)
        right = text is not None and text.split("\n") == label.split()
        self.labelled += 1
        self.right += right
        if outcome == "accepted":
            self.accepted += 1
            self.accepted_right += right
        if label in CLASSES:
            self.confusion[label, text if text in CLASSES else REFUSED if text is None else "other"] += 1
        if text is not None and not right:
            mistake = {"index": line["index"], "name": line["name"], "label": label, "read": text, "conf": line["conf"]}
            # The most confident ones; of equals, those that come first.
            heapq.heappush(self.mistakes, (line["conf"], -line["index"], mistake))
            if len(self.mistakes) > MOST_MISTAKES:
                heapq.heappop(self.mistakes)

    def told(self) -> dict[str, Any]:
        """Return it as a document."""
        document: dict[str, Any] = {
            "pictures": self.pictures,
            "outcomes": dict(sorted(self.outcomes.items())),
            "verdicts": dict(sorted(self.verdicts.items())),
            "problems": dict(self.problems.most_common(MOST_MISTAKES)),
            "confidence": {"bins": BINS, "counts": self.bins},
        }
        if self.labelled:
            document["labels"] = {
                "labelled": self.labelled,
                "right": self.right,
                "accuracy": self.right / self.labelled,
                "accepted": self.accepted,
                "accepted_right": self.accepted_right,
                "confusion": self._confusion(),
                "worst_mistakes": [mistake for _, _, mistake in sorted(self.mistakes, key=lambda each: each[:2])[::-1]],
            }
        return document

    def _confusion(self) -> dict[str, dict[str, int]]:
        """Return how often each digit was read as which, or refused; without the digits that no label names."""
        read = (*CLASSES, REFUSED, "other")
        rows = {label: {each: self.confusion[label, each] for each in read} for label in CLASSES}
        return {label: row for label, row in rows.items() if any(row.values())}


def _is_accepted(line: Line) -> bool:
    if "fields" in line:
        return all(each["accepted"] for each in line["fields"].values())
    return bool(line["accepted"])
