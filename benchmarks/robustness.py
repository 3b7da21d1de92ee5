"""The robustness table: how much accuracy survives what happens to digits in the field.

Measured on the frozen holdout through the same function as every request; the test digits take no part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from digits.canonical import SIDE, canonicalize
from digits.classifier import Classifier
from digits.errors import DigitsError, UnreadableDigitError
from digits.registry import MODEL_FILE
from training import dataset
from training.artifacts import OUTPUT, latest_folder, read_folder
from training.dataset import Part
from training.robustness import ROWS, Row

REFUSED_CLEAN = 0.001
REFUSED = 0.01


@dataclass(frozen=True)
class Result:
    """What was measured for a row.

    Attributes:
        row: its name.
        accuracy: the share of right answers; a refusal is none.
        difference_points: accuracy against the clean digits, in points.
        aim_points: the most that it may be below them.
        refused: the share of each verdict.
        milliseconds: the median time of bringing an image into canonical form.
        met: whether accuracy and refusals are within the aim.
    """

    row: str
    accuracy: float
    difference_points: float
    aim_points: float
    refused: dict[str, float]
    milliseconds: float
    met: bool


def measure(classifier: Classifier, part: Part) -> Iterator[Result]:
    """Measure one row after the other; every run distorts every digit in the same way."""
    clean: float | None = None
    for name, row in ROWS.items():
        accuracy, refused, milliseconds = _measure_row(classifier, part, name, row)
        clean = accuracy if clean is None else clean
        difference = 100 * (accuracy - clean)
        limit = REFUSED_CLEAN if name == "clean" else REFUSED
        met = round(difference, 6) >= -row.aim_points and sum(refused.values()) <= limit
        yield Result(name, accuracy, difference, row.aim_points, refused, milliseconds, met)


def _measure_row(classifier: Classifier, part: Part, name: str, row: Row) -> tuple[float, dict[str, float], float]:
    """Return accuracy, refused shares and median milliseconds."""
    images = np.zeros((len(part), SIDE, SIDE), np.uint8)
    readable = np.ones(len(part), bool)
    verdicts: Counter[str] = Counter()
    seconds = []
    for index, image in enumerate(part.images):
        picture = row.distort(image, np.random.default_rng((zlib.crc32(name.encode()), index)))
        start = time.perf_counter()
        try:
            images[index] = canonicalize(picture).pixels
        except UnreadableDigitError as error:
            readable[index] = False
            verdicts[error.verdict] += 1
        seconds.append(time.perf_counter() - start)
    right = (classifier.predict(images).argmax(axis=1) == part.labels) & readable
    refused = {verdict: count / len(part) for verdict, count in sorted(verdicts.items())}
    return float(right.mean()), refused, 1000 * statistics.median(seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it as JSON where wished; the exit status tells errors, not missed aims."""
    options = _parser().parse_args(arguments)
    try:
        folder = options.model or latest_folder(OUTPUT)
        manifest, files = read_folder(folder)
        classifier = Classifier(files[MODEL_FILE])
        found = dataset.find(options.data, None, os.environ)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    holdout = found.holdout
    part = Part(holdout.images[: options.count], holdout.labels[: options.count])
    print(f"model {manifest.version}, {len(part):,} holdout digits of {found.name} from {found.source}")
    print(f"{'row':24} {'accuracy':>8} {'points':>7} {'aim':>5} {'refused':>8} {'ms':>6}  verdict")
    results = []
    for result in measure(classifier, part):
        results.append(result)
        print(_line(result), flush=True)
    print(f"{sum(result.met for result in results)} of {len(results)} rows meet their aim")
    if options.json:
        document = {"model": manifest.version, "digits": len(part), "rows": [asdict(result) for result in results]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description="Print the robustness table.")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="(default: the newest in artifacts)")
    parser.add_argument("--data", metavar="PATH", help="MNIST, as the training command takes it")
    parser.add_argument("--count", type=int, metavar="N", help="only the first N digits of the holdout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures besides")
    return parser


def _line(result: Result) -> str:
    verdicts = ", ".join(f"{verdict} {share:.2%}" for verdict, share in result.refused.items())
    return (
        f"{result.row:24} {result.accuracy:8.2%} {result.difference_points:+7.2f} {-result.aim_points:5.1f} "
        f"{sum(result.refused.values()):8.2%} {result.milliseconds:6.2f}  {'met' if result.met else 'missed'}"
        + (f" ({verdicts})" if verdicts else "")
    )


if __name__ == "__main__":
    sys.exit(main())
