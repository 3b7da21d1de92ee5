"""The command that measures serving: prints verdicts and costs, and writes all figures and a plot."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.serving import batches, costs, curves, fresh, kinds, plot, rounds, verdicts
from benchmarks.serving.distant import distant_store
from benchmarks.serving.yardsticks import candidates, lay_out
from digits.errors import DigitsError, OperationError
from digits.model.identity import MODEL_FILE, READER_FILE
from digits.model.manifest import Manifest
from digits.registry.bucket import Bucket
from local.lambda_invoke import furnish
from local.stack import running_store
from training.artifacts import OUTPUT, latest_folder, read_folder

RESULTS = Path(__file__).parents[1] / "results/serving.json"
# What is shown of the results besides verdicts and costs, by its place in them.
TABLES: dict[str, Callable[[Any], Iterable[str]]] = {
    "kinds": kinds.lines,
    "throughput": batches.lines,
    "fresh": fresh.lines,
}


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: how many; in each, all candidates take turns.
        requests: how many go to a warm container in a round.
        counts: the numbers of images in a request.
        sides: the side lengths of an image, in pixels.
        concurrencies: the numbers of simultaneous requests to uvicorn.
    """

    rounds: int = 7
    requests: int = 300
    counts: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    sides: Sequence[int] = (28, 64, 128, 256, 512, 1024, 2048, 4000)
    concurrencies: Sequence[int] = (1, 2, 4, 8, 16, 32, 64)


def main() -> int:
    """Measure in full; exit status 1 if an aim is missed by more than the noise, 2 on an error."""
    return run(Effort(), OUTPUT, RESULTS)


def run(effort: Effort, artifacts: Path, results: Path) -> int:
    """Measure, print and write everything; returns the exit status.

    Args:
        artifacts: the folder of the trained models.
        results: the JSON file to write; the plot goes beside it.
    """
    load = os.getloadavg()[0]
    try:
        manifest, result = _measure(effort, artifacts)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found: list[verdicts.Verdict] = result.pop("figures")
    _show(found, result)
    document = {
        "model": manifest.version,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load_before": load,
        "figures": [asdict(verdict) | {"met": verdict.met} for verdict in found],
        **result,
    }
    results.write_text(json.dumps(document, indent=1) + "\n")
    picture = results.with_suffix(".png")
    plot.draw(result).savefig(picture, dpi=110)
    missed = sum(not verdict.met for verdict in found)
    print(f"{len(found) - missed} of {len(found)} aims met; written to {results} and {picture.name}")
    return int(missed > 0)


def _show(found: Sequence[verdicts.Verdict], result: dict[str, Any]) -> None:
    print("\n| figure | aim | measured | quartiles | verdict |\n| --- | --- | --- | --- | --- |")
    for verdict in found:
        print(verdict.line())
    print("\n".join(["", *costs.lines(result["cost"]), "", result["cost_basis"]]))
    for claim, source in result["cost_sources"].items():
        print(f"- {claim}: {source}")
    for name, lines in TABLES.items():
        print("\n".join(["", *lines(result[name])]))
    print()


def _measure(effort: Effort, artifacts: Path) -> tuple[Manifest, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, running_store() as store:
        trained = latest_folder(artifacts)
        manifest, files = read_folder(trained)
        if manifest.recipe.name != "default" or manifest.reader is None:
            reader = "" if manifest.reader else ", without a reader"
            raise OperationError(f"{manifest.version} is of recipe {manifest.recipe.name!r}{reader}: train 'default'")
        furnish(artifacts)
        yardsticks = lay_out(Path(name), store.environment(), trained)
        with distant_store(Bucket.from_environment(os.environ)) as distant:
            taking_turns = candidates(yardsticks, distant, effort.requests)
            by_round = rounds.measure(taking_turns, effort.rounds)
        by_form = batches.measure(yardsticks, effort.rounds)
        by_kind = kinds.measure(yardsticks, effort.rounds)
        grown = curves.measure(yardsticks, effort.counts, effort.sides, effort.concurrencies)
        first = fresh.measure(taking_turns)  # last, as it leaves no file in memory
    sizes = len(files[MODEL_FILE]), len(files[READER_FILE])
    cost = costs.by_memory(by_round)
    return manifest, {
        "figures": [
            *verdicts.of_latency(by_round),
            *verdicts.of_kinds(by_kind),
            *verdicts.of_batches(by_form),
            *verdicts.of_size(by_round, *sizes),
        ],
        "rounds": {name: rounds.summary(measured) for name, measured in by_round.items()},
        "fresh": first,
        "kinds": kinds.summary(by_kind),
        "throughput": batches.images_per_second(by_form),
        "cost": cost,
        "cost_basis": costs.basis(cost),
        "cost_sources": costs.SOURCES,
        "curves": grown,
    }


if __name__ == "__main__":
    sys.exit(main())
