"""The robustness table: how well digits are read that were distorted as in real life, and what is told of no digit.

The digits of a part are distorted in the same way in every run, and brought into canonical form like every
request. All rows together take about 0.2 s per digit, so the results are kept in a folder.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import PIL
from numpy.typing import NDArray

from digits.model.classifier import Classifier
from digits.model.identity import sha256
from digits.model.judgement import ACCEPTED, ANSWERED, NOT_A_DIGIT
from digits.model.manifest import OutlierRow, Robustness, RobustnessRow
from training import distortions, drawing, forms, hands, kept, paper, pen, remnants, scenes
from training.answers import Answers, answers_by_row
from training.dataset import Part
from training.distortions import ROWS
from training.evaluate import calibration_error, negative_log_likelihood
from training.forms import Forms, bring_all
from training.outliers import FAMILIES
from training.provenance import canonical_form_sha256

DIGITS_PER_ROW = 300  # in the rows of the table, for training and promotion; or one of so many of a small part:
ONE_OF = 5
SMALL_ROWS = 0.5  # of that in rows that one of the ten digits has, and on real paper, where pictures take longest
CLEAN = "clean"
REFUSED_CLEAN = 0.001
REFUSED = 0.01
WRONG_ACCEPTED = 0.01  # of the rows that have a least accuracy


@dataclass(frozen=True)
class DistortedRow:
    """Digits of a part, distorted for one row of the table.

    Attributes:
        labels: uint8 (n,).
    """

    forms: Forms
    labels: NDArray[np.uint8]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with this one, to be kept."""
        return {f"{name}/labels": self.labels, **self.forms.arrays(name)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> Self:
        """Return the row whose arrays were kept under this name; a `KeyError` says that they were not."""
        return cls(Forms.of_arrays(arrays, name), arrays[f"{name}/labels"])


@dataclass(frozen=True)
class DistortedDigits:
    """The digits of a part, distorted for every row of the table.

    Attributes:
        rows: by name; those of one digit have fewer, and are left out where there are none.
    """

    rows: dict[str, DistortedRow]

    def pooled(self) -> Part:
        """Return all digits of all rows that were not refused."""
        return Part(
            np.concatenate([row.forms.images[row.forms.readable] for row in self.rows.values()]),
            np.concatenate([row.labels[row.forms.readable] for row in self.rows.values()]),
        )


def distorted_digits(
    part: Part, kept_in: Path, say: Callable[[str], None] = lambda _: None, count: int | None = None
) -> DistortedDigits:
    """Return some digits of a part, distorted for every row of the table.

    Args:
        count: how many, evenly spread over the part; by default `DIGITS_PER_ROW`, or fewer of a small part.
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
    """
    count = count or min(DIGITS_PER_ROW, -(-len(part) // ONE_OF))
    path = kept_in / f"{_digest(part, count)}.npz"
    stored = kept.read(path)
    names = [name for name, row in ROWS.items() if row.digit is None or row.digit in part.labels]
    if stored is not None:
        with suppress(KeyError):
            return DistortedDigits({name: DistortedRow.of_arrays(stored, name) for name in names})
    say(f"robustness: distorting up to {min(count, len(part)):,} digits in {len(names)} ways, once for this data set")
    digits = {name: digits_for(part, name, count) for name in names}
    forms = bring_all({name: (partial(picture, digits[name].images, name), len(digits[name])) for name in names})
    rows = {name: DistortedRow(forms[name], digits[name].labels) for name in names}
    arrays = {key: array for name, row in rows.items() for key, array in row.arrays(name).items()}
    kept.write(path, arrays, lambda reason: say(f"robustness: not kept for the next time: {reason}"))
    return DistortedDigits(rows)


def digits_for(part: Part, name: str, count: int) -> Part:
    """Return the digits that take part in a row: `count`, or fewer, as `SMALL_ROWS` says."""
    row = ROWS[name]
    few = math.ceil(count * SMALL_ROWS)
    if row.digit is None:
        return part.sample(count if row.least_accuracy is None else few)
    suited = part.labels == row.digit
    return Part(part.images[suited], part.labels[suited]).sample(few)


def picture(images: NDArray[np.uint8], name: str, index: int) -> NDArray[np.uint8]:
    """Return one of some digits, distorted for a row of the table; the same arguments always give the same picture."""
    return ROWS[name].distort(images[index], np.random.default_rng((zlib.crc32(name.encode()), index)))


def measure_rows(
    classifier: Classifier, distorted: DistortedDigits, accept: float | None, reject: float | None
) -> Robustness:
    """Return the table.

    Args:
        accept: the lowest confidence at which an answer is accepted; None accepts none.
        reject: the lowest confidence at which there is an answer; None answers always.
    """
    return table_of(answers_by_row(classifier, distorted), accept, reject)


def table_of(rows: Mapping[str, Answers], accept: float | None, reject: float | None) -> Robustness:
    """Return the table of answers by row, as `measure_rows` does."""
    judged = {name: answers.judged(accept, reject) for name, answers in rows.items()}
    answered = [(rows[name], np.isin(told, (ACCEPTED, ANSWERED))) for name, told in judged.items()]
    pooled = np.concatenate([answers.probabilities[inside] for answers, inside in answered])
    truth = np.concatenate([answers.labels[inside] for answers, inside in answered])
    everything = np.concatenate(list(judged.values())) == ACCEPTED
    right = np.concatenate([answers.right for answers in rows.values()])[everything]
    return Robustness(
        count=max(len(answers) for answers in rows.values()),
        rows=[row_of(name, answers, accept, reject) for name, answers in rows.items()],
        negative_log_likelihood=negative_log_likelihood(pooled, truth) if len(truth) else math.inf,
        expected_calibration_error=calibration_error(pooled, truth) if len(truth) else 1.0,
        accepted_share=float(everything.mean()),
        accepted_accuracy=float(right.mean()) if len(right) else None,
    )


def row_of(name: str, answers: Answers, accept: float | None, reject: float | None) -> RobustnessRow:
    """Return one row of the table; thresholds as in `measure_rows`."""
    judged = answers.judged(accept, reject)
    accepted, answered = judged == ACCEPTED, np.isin(judged, (ACCEPTED, ANSWERED))
    probabilities, truth = answers.probabilities[answered], answers.labels[answered]
    return RobustnessRow(
        name=name,
        accuracy=float((answered & answers.right).mean()),
        refused=_shares(judged[~answered], len(judged)),
        negative_log_likelihood=negative_log_likelihood(probabilities, truth) if len(truth) else None,
        expected_calibration_error=calibration_error(probabilities, truth) if len(truth) else None,
        accepted=float(accepted.mean()),
        wrong_accepted=float((accepted & ~answers.right).mean()),
    )


def outlier_row(name: str, answers: Answers, accept: float | None, reject: float | None) -> OutlierRow:
    """Return what becomes of pictures that must be refused; kinds that `FAMILIES` does not know are not trained on."""
    judged = answers.judged(accept, reject)
    accepted, answered = judged == ACCEPTED, judged == ANSWERED
    return OutlierRow(
        name=name,
        trained=name in FAMILIES and not FAMILIES[name].judge,
        count=len(answers),
        refused=_shares(judged[~(accepted | answered)], len(judged)),
        answered=float(answered.mean()),
        accepted=float(accepted.mean()),
    )


def _shares(verdicts: NDArray[np.str_], count: int) -> dict[str, float]:
    return {verdict: number / count for verdict, number in sorted(Counter(verdicts.tolist()).items())}


def clean_row(table: Robustness) -> RobustnessRow:
    """Return the row that the others are compared with."""
    return next(row for row in table.rows if row.name == CLEAN)


def points(row: RobustnessRow, clean: RobustnessRow) -> float:
    """Return how many points of accuracy a row is above the clean digits."""
    return 100 * (row.accuracy - clean.accuracy)


def met(row: RobustnessRow, clean: RobustnessRow) -> bool:
    """Whether a row's accuracy, refusals and wrong answers that were accepted meet their aims.

    `not_a_digit` is no part of the refusals: the choice of its threshold bounds it, and it costs accuracy.
    """
    least = ROWS[row.name].least_accuracy
    if least is not None:
        return row.accuracy >= least and (row.wrong_accepted or 0) <= WRONG_ACCEPTED
    most = REFUSED_CLEAN if row.name == CLEAN else REFUSED
    refused = sum(share for verdict, share in row.refused.items() if verdict != NOT_A_DIGIT)
    return round(points(row, clean), 6) >= -ROWS[row.name].aim_points and refused <= most


def _digest(part: Part, count: int) -> str:
    """Return the name of a kept result: a digest of the digits and of the code that makes it."""
    code = canonical_form_sha256(
        sys.modules[__name__], distortions, drawing, forms, hands, paper, pen, remnants, scenes
    )
    versions = f"{np.__version__} {PIL.__version__}"
    return sha256(f"{part.sha256()} {count} {code} {versions}".encode())[:16]
