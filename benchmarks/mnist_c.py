"""How well the last trained model reads MNIST-C, made anew out of the holdout; the test digits take no part."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corruptions import CORRUPTIONS, picture
from benchmarks.machine import machine
from benchmarks.models import Measured, digits_of, model_of, parser
from digits.errors import DigitsError
from training.answers import answers_to
from training.dataset import Part
from training.forms import bring
from training.robustness import row_of

AIM = 0.97
RESULTS = Path(__file__).parent / "results/mnist_c.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each corruption and the mean, and write them as JSON; exit status 1 where the aim is missed."""
    made = parser("benchmarks.mnist_c", "Print how well MNIST-C is read.", count=5_000)
    made.set_defaults(json=RESULTS)
    options = made.parse_args(arguments)
    try:
        model, found = model_of(options), digits_of(options)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    part = found.holdout.sample(options.count)
    print(f"model {model.manifest.version}, {len(part):,} holdout digits of {found.name}", flush=True)
    print(f"{'corruption':16} {'accuracy':>8} {'refused':>8} {'accepted':>8} {'wrong and accepted':>18}")
    rows = [_row(model, part, name) for name in CORRUPTIONS]
    columns = ("accuracy", "refused", "accepted", "wrong_accepted")
    mean: dict[str, Any] = {column: float(np.mean([row[column] for row in rows])) for column in columns}
    _print({"name": "mean", **mean})
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "model": model.manifest.version,
        "recipe": model.manifest.recipe.name,
        "data": found.name,
        "count": len(part),
        "rows": rows,
        "mean": mean,
        "aim": AIM,
    }
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    return int(bool(mean["accuracy"] < AIM))


def _row(model: Measured, part: Part, name: str) -> dict[str, Any]:
    """Measure a corruption, print its row and return it; all shares are of all digits."""
    forms = bring(partial(picture, part.images, name), len(part))
    measured = row_of(name, answers_to(model.classifier, forms, part.labels), *model.thresholds)
    row = {
        "name": name,
        "accuracy": measured.accuracy,
        "refused": sum(measured.refused.values()),
        "accepted": measured.accepted,
        "wrong_accepted": measured.wrong_accepted,
    }
    _print(row)
    return row


def _print(row: dict[str, Any]) -> None:
    print(
        f"{row['name']:16} {row['accuracy']:8.2%} {row['refused']:8.2%} {row['accepted']:8.2%} "
        f"{row['wrong_accepted']:18.2%}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
