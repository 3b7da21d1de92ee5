"""The robustness table: how well digits are read that were distorted as in real life.

The digits of a part are distorted in the same way in every run, and brought into canonical form like every
request. All rows together take about 60 ms per digit, so the results are kept in a folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from digits.errors import DataError, UnreadableDigitError
from digits.model.classifier import Classifier
from digits.model.identity import sha256
from digits.model.manifest import Robustness, RobustnessRow
from digits.pictures.canonical import SIDE, canonicalize
from training import distortions
from training.dataset import Part, read_arrays
from training.distortions import ROWS
from training.evaluate import calibration_error, negative_log_likelihood
from training.provenance import canonical_form_sha256

DIGITS_PER_ROW = 500  # in each row of the table, for training and promotion
CLEAN = "clean"
REFUSED_CLEAN = 0.001
REFUSED = 0.01


@dataclass(frozen=True)
class DistortedRow:
    """The digits of a part, distorted for one row of the table.

    Attributes:
        images: uint8 (n, 28, 28) in canonical form; zeros for refused pictures.
        verdicts: n strings: why a picture was refused, or empty.
    """

    images: NDArray[np.uint8]
    verdicts: NDArray[np.str_]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which digits have a canonical form: bool (n,)."""
        return self.verdicts == ""


@dataclass(frozen=True)
class DistortedDigits:
    """The digits of a part, distorted for every row of the table.

    Attributes:
        labels: of each row's digits, uint8 (n,).
        rows: by name.
    """

    labels: NDArray[np.uint8]
    rows: dict[str, DistortedRow]

    def pooled(self) -> Part:
        """Return all digits of all rows that were not refused."""
        return Part(
            np.concatenate([row.images[row.readable] for row in self.rows.values()]),
            np.concatenate([self.labels[row.readable] for row in self.rows.values()]),
        )


def distorted_digits(
    part: Part, kept_in: Path, say: Callable[[str], None] = lambda _: None, count: int | None = None
) -> DistortedDigits:
    """Return some digits of a part, distorted for every row of the table.

    Args:
        count: how many, evenly spread over the part; by default `DIGITS_PER_ROW`.
        kept_in: the folder that keeps results for later runs.
        say: called with a line if there is no kept result, which takes time.
    """
    part = part.sample(count or DIGITS_PER_ROW)
    path = kept_in / f"{_digest(part)}.npz"
    kept = _read(path)
    if kept is not None:
        return DistortedDigits(part.labels, kept)
    say(f"robustness: distorting {len(part):,} digits in {len(ROWS)} ways, once for this data set")
    rows = {name: distort(part, name) for name in ROWS}
    try:
        _write(path, rows)
    except OSError as error:
        say(f"robustness: not kept for the next time: {error}")
    return DistortedDigits(part.labels, rows)


def distort(part: Part, name: str) -> DistortedRow:
    """Return the digits of a part, distorted for one row of the table."""
    with ThreadPoolExecutor(os.process_cpu_count()) as threads:
        outcomes = list(threads.map(lambda index: _bring(part.images[index], name, index), range(len(part))))
    return DistortedRow(np.stack([image for image, _ in outcomes]), np.array([verdict for _, verdict in outcomes]))


def _read(path: Path) -> dict[str, DistortedRow] | None:
    """Return the rows that an earlier run kept; None if there are none, or they cannot be read."""
    try:
        arrays = read_arrays(path.read_bytes(), str(path))
        return {name: DistortedRow(arrays[f"{name}/images"], arrays[f"{name}/verdicts"]) for name in ROWS}
    except (OSError, DataError, KeyError):
        return None


def _write(path: Path, rows: dict[str, DistortedRow]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = {f"{name}/images": row.images for name, row in rows.items()}
    verdicts = {f"{name}/verdicts": row.verdicts for name, row in rows.items()}
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        np.savez_compressed(partial, allow_pickle=False, **images, **verdicts)
        partial.replace(path)


def picture(image: NDArray[np.uint8], name: str, index: int) -> NDArray[np.uint8]:
    """Return a digit distorted for a row of the table; the same index always gives the same picture."""
    return ROWS[name].distort(image, np.random.default_rng((zlib.crc32(name.encode()), index)))


def _bring(image: NDArray[np.uint8], name: str, index: int) -> tuple[NDArray[np.uint8], str]:
    try:
        return canonicalize(picture(image, name, index)).pixels, ""
    except UnreadableDigitError as error:
        return np.zeros((SIDE, SIDE), np.uint8), error.verdict


def measure_rows(classifier: Classifier, distorted: DistortedDigits, threshold: float | None) -> Robustness:
    """Return the table.

    Args:
        threshold: the lowest confidence at which an answer is accepted; None accepts none.
    """
    table, all_probabilities, all_labels = [], [], []
    labels = distorted.labels
    for name, row in distorted.rows.items():
        probabilities, truth = classifier.predict(row.images[row.readable]), labels[row.readable]
        right = int((probabilities.argmax(axis=1) == truth).sum())
        refused = Counter(row.verdicts[~row.readable].tolist())
        table.append(
            RobustnessRow(
                name=name,
                accuracy=right / len(labels),
                refused={verdict: count / len(labels) for verdict, count in sorted(refused.items())},
                negative_log_likelihood=negative_log_likelihood(probabilities, truth) if len(truth) else None,
                expected_calibration_error=calibration_error(probabilities, truth) if len(truth) else None,
            )
        )
        all_probabilities.append(probabilities)
        all_labels.append(truth)
    pooled, truth = np.concatenate(all_probabilities), np.concatenate(all_labels)
    accepted = pooled.max(axis=1) >= (2 if threshold is None else threshold)
    right = pooled[accepted].argmax(axis=1) == truth[accepted]
    return Robustness(
        count=len(labels),
        rows=table,
        negative_log_likelihood=negative_log_likelihood(pooled, truth),
        expected_calibration_error=calibration_error(pooled, truth),
        accepted_share=float(accepted.sum()) / (len(distorted.rows) * len(labels)),
        accepted_accuracy=float(right.mean()) if accepted.any() else None,
    )


def clean_row(table: Robustness) -> RobustnessRow:
    """Return the row that the others are compared with."""
    return next(row for row in table.rows if row.name == CLEAN)


def points(row: RobustnessRow, clean: RobustnessRow) -> float:
    """Return how many points of accuracy a row is above the clean digits."""
    return 100 * (row.accuracy - clean.accuracy)


def met(row: RobustnessRow, clean: RobustnessRow) -> bool:
    """Whether a row's accuracy and refusals meet their aims."""
    refused = REFUSED_CLEAN if row.name == CLEAN else REFUSED
    return round(points(row, clean), 6) >= -ROWS[row.name].aim_points and sum(row.refused.values()) <= refused


def _digest(part: Part) -> str:
    """Return the name of a kept result: a digest of the digits and of the code that makes it."""
    code = canonical_form_sha256(sys.modules[__name__], distortions)
    versions = f"{np.__version__} {PIL.__version__}"
    return sha256(f"{part.sha256()} {code} {versions}".encode())[:16]
