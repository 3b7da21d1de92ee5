"""The requests of load and soak: mostly digits, some of them as JSON, some numbers, some batches of ten."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests import events
from tests.reliability.offering import Request

type Answers = dict[str, dict[int, list[float]]]  # of each version to each digit: its probabilities


@dataclass(frozen=True)
class Expected:
    """What is to be answered.

    Attributes:
        digits: by each version to each digit of the sample events.
        numbers: by any version to each picture of a number.
    """

    digits: Answers
    numbers: dict[str, str]

    def problem_of(self, document: dict[str, Any], digit: int, tolerance: float = 0.0) -> str | None:
        """Tell what is wrong with an answer to a digit, which must be that of one of the versions."""
        right = self.digits.get(document["model"]["version"], {}).get(digit)
        if right is None or np.abs(np.subtract(document["probabilities"], right)).max() > tolerance:
            return f"a wrong answer to {digit}: {str(document)[:200]}"
        return None


def mixture(token: str, expected: Expected, seen: set[str]) -> Iterator[Request]:
    """Return requests without an end: of 40 a batch, of 10 a number, and two as JSON.

    Args:
        seen: takes the versions that answer.
    """

    def digit(number: int, kind: str, body: bytes) -> Request:
        def problem(body: bytes) -> str | None:
            document = json.loads(body)
            seen.add(document["model"]["version"])
            return expected.problem_of(document, number)

        return Request.post("/v1/predict", token, kind, body, problem)

    def several(body: bytes) -> str | None:
        # Several at once may differ from one alone by the order of sums.
        predictions = json.loads(body)["predictions"]
        told = enumerate(predictions)
        if len(predictions) != 10:
            return f"{len(predictions)} predictions for ten pictures"
        return next(filter(None, (expected.problem_of(each, number, 1e-5) for number, each in told)), None)

    def read(name: str, text: str) -> Request:
        def problem(body: bytes) -> str | None:
            return None if json.loads(body)["text"] == text else f"a wrong number: {body[:200]!r}"

        return Request.post("/v1/read", token, "image/png", events.number_file(name), problem)

    files = [digit(number, "image/png", events.digit_file(number)) for number in range(10)]
    documents = [digit(number, "application/json", _json(events.image_json(number))) for number in range(10)]
    instances = _json({"instances": [events.image_json(number) for number in range(10)]})
    batch = Request.post("/v1/predict", token, "application/json", instances, several)
    numbers = [read(name, text) for name, text in expected.numbers.items()]
    for turn in itertools.count():
        if turn % 40 == 8:
            yield batch
        elif turn % 10 == 9:
            yield numbers[turn // 10 % len(numbers)]
        else:
            yield (documents if turn % 5 == 2 else files)[(turn + turn // 10) % 10]


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
