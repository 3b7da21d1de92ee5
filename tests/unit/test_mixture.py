"""What people are taken to send."""

from __future__ import annotations

import numpy as np
import pytest

from training.answers import Answers
from training.mixture import CLEAN, DISTORTED, OUTLIERS, WEIGHTS, compose


def answers(count: int) -> Answers:
    return Answers.plain(np.full((count, 10), 0.1, np.float32))


def test_rows_and_families_share_the_weight_of_their_kind_whatever_their_size() -> None:
    rows = {"photo": answers(3), "chalk": answers(5)}
    families = {name: answers(size) for name, size in (("letter", 1), ("sign", 9), ("star", 2), ("disc", 4))}
    sent = compose(answers(7), rows, families)
    assert [(part.name, len(part.answers)) for part in sent] == [
        (CLEAN, 7),
        (DISTORTED, 3),
        (DISTORTED, 5),
        *((OUTLIERS, size) for size in (1, 9, 2, 4)),
    ]
    assert [part.weight for part in sent] == pytest.approx([0.3, 0.25, 0.25, *[0.05] * 4])
    assert sum(weight for _, weight in WEIGHTS) == pytest.approx(1)
