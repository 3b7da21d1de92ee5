"""How many requests to the distant store waited for each other."""

from __future__ import annotations

import pytest

from benchmarks.serving.distant import Request, in_a_row

LATER = Request(5)  # has no answer yet


@pytest.mark.parametrize(
    ("requests", "count"),
    [
        ([], 0),
        ([Request(0, 1)], 1),
        ([Request(0, 3), Request(1, 2), Request(2, 5)], 2),  # the short one and the last one
        ([Request(0, 2), Request(1, 3), Request(1, 4)], 1),  # all at the same time, at some moment
        ([Request(4, 5), Request(0, 1), Request(2, 3)], 3),  # in whatever order they were noted
        ([Request(0, 9), Request(1, 2), Request(3, 4), Request(5, 6)], 3),  # beside one that lasts
        ([Request(0, 1), LATER], 1),
        ([LATER], 0),
    ],
)
def test_the_longest_chain_is_counted(requests: list[Request], count: int) -> None:
    assert in_a_row(requests) == count
