"""What people are taken to send: the mixture over which confidence and `accepted` must keep their promise.

It is an assumption, and written down as such in every manifest and report: clean digits, digits as they come off
paper and canvas, and what is no digit at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from training.answers import Answers, Weighted
from training.outliers import FRAMED

CLEAN, DISTORTED, OUTLIERS = "clean digits", "distorted digits", "no digit"
WEIGHTS: tuple[tuple[str, float], ...] = (
    (CLEAN, 0.3),  # MNIST's own
    (DISTORTED, 0.5),  # the rows of the robustness table, equal weight a row
    (OUTLIERS, 0.2),  # what must be refused, trained on or not, equal weight a family but for frames around a digit
)


def compose(clean: Answers, rows: Mapping[str, Answers], families: Mapping[str, Answers]) -> list[Weighted]:
    """Return the mixture: a part for the clean digits, for each row and for each family."""
    no_digit = [answers for name, answers in families.items() if name != FRAMED]
    groups = {CLEAN: [clean], DISTORTED: list(rows.values()), OUTLIERS: no_digit}
    return [Weighted(name, weight / len(groups[name]), answers) for name, weight in WEIGHTS for answers in groups[name]]
