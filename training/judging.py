"""What a model is judged by besides clean digits, made out of one part of the data: once, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.dataset import Part
from training.forms import Forms
from training.numbers import Numbers, number_pictures
from training.refusals import judging_outliers
from training.robustness import DistortedDigits, distorted_digits


@dataclass(frozen=True)
class Judging:
    """What a model is judged by.

    Attributes:
        digits: the part itself.
        distorted: some of its digits, in all rows of the robustness table.
        outliers: what must be refused, by family.
        numbers: pictures of numbers, by kind; none where nobody reads them.
    """

    digits: Part
    distorted: DistortedDigits
    outliers: Mapping[str, Forms]
    numbers: Mapping[str, Numbers]


def judging(part: Part, kept_in: Path, say: Callable[[str], None], *, with_numbers: bool) -> Judging:
    """Return what a part's digits make.

    Args:
        kept_in: the folder that keeps results for later runs.
        say: called with a line where there is no kept result, which takes time.
        with_numbers: whether there is a reader to judge.
    """
    return Judging(
        part,
        distorted_digits(part, kept_in, say),
        judging_outliers(part, kept_in, say),
        number_pictures(part, kept_in, say) if with_numbers else {},
    )
