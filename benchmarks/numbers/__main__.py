"""The command that measures the reading of numbers: prints tables and verdicts, and writes them as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.models import Measured, digits_of, folder_of, model_of, parser, positive
from benchmarks.numbers import accuracy, times
from digits.errors import DigitsError
from training.dataset import Part

RESULTS = Path(__file__).parents[1] / "results/numbers.json"
_CLEAN = 10  # so many clean digits for each picture of a kind


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; exit status 1 if an aim is missed, 2 on an error."""
    made = parser("benchmarks.numbers", "Print how well numbers are read, and in what time.", count=1_000)
    made.add_argument("--holdout", action="store_true", help="to choose by: of holdout digits, and without times")
    made.add_argument("--rounds", type=positive, metavar="N", default=7, help="of the times")
    options = made.parse_args(arguments)
    try:
        document = _measure(options)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    verdicts = [each["met"] for each in document["figures"] + document["times"] if each["aim"] is not None]
    print(f"{sum(verdicts)} of {len(verdicts)} aims met")
    path = options.json or (None if options.holdout else RESULTS)
    if path:
        path.write_text(json.dumps(document, indent=1) + "\n")
        print(f"written to {path}")
    return int(not all(verdicts))


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    model, found = model_of(options), digits_of(options)
    part, digits = (found.holdout, "holdout") if options.holdout else (found.test, "test")
    print(f"{machine()}\nmodel {model.manifest.version}, numbers of {digits} digits of {found.name}", flush=True)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "model": model.manifest.version,
        "recipe": model.manifest.recipe.name,
        "data": found.name,
        "digits": digits,
        **_accuracy(model, part, options.count),
        "times": [] if options.holdout else _times(model, folder_of(options), options.rounds),
    }


def _accuracy(model: Measured, part: Part, count: int) -> dict[str, Any]:
    table, answers = accuracy.read_kinds(model, part, count)
    record = model.numbers.get().record
    judged = [
        *accuracy.shares(answers, record.acceptance_threshold, record.agreement_threshold),
        accuracy.agreement(model, part.sample(_CLEAN * count)),
    ]
    _show(
        "| pictures | count | exact | 95 % interval | accepted | accepted and wrong |",
        map(accuracy.row_line, table.rows),
    )
    _show("| figure | aim | measured | 95 % interval | verdict |", (share.line() for share in judged))
    print(f"calibration error of confidence: {table.expected_calibration_error:.2%}", flush=True)
    return {
        **table.model_dump(mode="json"),
        "figures": [asdict(share) | {"value": share.value, "met": share.met} for share in judged],
    }


def _times(model: Measured, folder: Path, rounds: int) -> list[dict[str, Any]]:
    measured = times.measure(model, folder, rounds)
    _show("| figure | aim | median | quartiles | verdict |", (each.line() for each in measured))
    return [asdict(each) | {"met": each.met} for each in measured]


def _show(head: str, lines: Iterable[str]) -> None:
    """Print a table in Markdown."""
    print("\n".join(["", head, "|" + " --- |" * (head.count("|") - 1), *lines]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
