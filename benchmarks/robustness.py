"""The robustness table on the whole holdout, with what the canonical form costs; the test digits take no part."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence

from benchmarks.models import digits_of, model_of, parser
from digits.errors import DigitsError, UnreadableDigitError
from digits.model.manifest import RobustnessRow
from digits.pictures.canonical import canonicalize
from training.artifacts import DISTORTED_FOLDER, OUTPUT
from training.dataset import Part
from training.distortions import ROWS
from training.robustness import clean_row, digits_for, distorted_digits, measure_rows, met, picture, points

_TIMED = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it as JSON where wished; the exit status tells errors, not missed aims."""
    options = parser("benchmarks.robustness", "Print the robustness table.", 5_000).parse_args(arguments)
    try:
        model, found = model_of(options), digits_of(options)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    version, part = model.manifest.version, found.holdout.sample(options.count)
    print(f"model {version}, {len(part):,} holdout digits of {found.name} from {found.source}", flush=True)
    distorted = distorted_digits(part, OUTPUT / DISTORTED_FOLDER, count=len(part))
    table = measure_rows(model.classifier, distorted, *model.thresholds)
    clean = clean_row(table)
    print(
        f"{'row':24} {'accuracy':>8} {'points':>7} {'aim':>5} {'refused':>8} {'accepted':>8} {'wrong':>6} "
        f"{'calibration':>12} {'ms':>6}  verdict"
    )
    for row in table.rows:
        print(_line(row, clean, _milliseconds(part, row.name)))
    print(f"{sum(met(row, clean) for row in table.rows)} of {len(table.rows)} rows meet their aim")
    print(f"all rows together: calibration error {table.expected_calibration_error:.2%}")
    if options.json:
        document = {"model": version, **table.model_dump(mode="json")}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _milliseconds(part: Part, name: str) -> float:
    """Return the median time of bringing a picture of this row into canonical form."""
    part, seconds = digits_for(part, name, len(part)), []
    for index in range(min(_TIMED, len(part))):
        pixels = picture(part.images, name, index)
        start = time.perf_counter()
        try:
            canonicalize(pixels)
        except UnreadableDigitError:
            continue
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds or [float("nan")])


def _line(row: RobustnessRow, clean: RobustnessRow, milliseconds: float) -> str:
    verdicts = ", ".join(f"{verdict} {share:.2%}" for verdict, share in row.refused.items())
    error = "–" if row.expected_calibration_error is None else f"{row.expected_calibration_error:.2%}"
    return (
        f"{row.name:24} {row.accuracy:8.2%} {points(row, clean):+7.2f} {ROWS[row.name].aim:>5} "
        f"{sum(row.refused.values()):8.2%} {row.accepted or 0:8.2%} {row.wrong_accepted or 0:6.2%} "
        f"{error:>12} {milliseconds:6.2f}  "
        + ("met" if met(row, clean) else "missed")
        + (f" ({verdicts})" if verdicts else "")
    )


if __name__ == "__main__":
    sys.exit(main())
