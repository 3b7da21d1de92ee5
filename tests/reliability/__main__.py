"""The command that tries everything: prints a line for each thing, and writes all figures and two plots."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.models import folder_of
from local.lambda_invoke import EVENT_TOKEN
from tests.reliability import (
    attacks,
    batch_faults,
    freezing,
    fuzz,
    interleavings,
    kills,
    load,
    metamorphic,
    plot,
    soak,
    store_faults,
    threads,
)
from tests.reliability.logs import FOLDER_VARIABLE, keep_logs, pieces_of, search
from tests.reliability.rows import Row, table
from tests.reliability.world import World, world_of

RESULTS = Path(__file__).parents[2] / "benchmarks/results/reliability.json"
SOAK_SECONDS = 600.0


def main() -> int:
    """Try everything; exit status 1 if anything was lost."""
    options = _options()
    with tempfile.TemporaryDirectory() as logs:
        os.environ.setdefault(FOLDER_VARIABLE, logs)
        keep_logs()
        started = time.monotonic()
        with world_of(folder_of(options)) as world:
            if options.beside:
                part, file = options.beside
                rows = list(_told(BESIDE[part](world, folder_of(options))))
                Path(file).write_text(json.dumps([asdict(row) for row in rows]))
                return 0
            rows = list(_told(_timed(world, options)))
        rows.append(_secrets(Path(logs)))
    print(f"\n{table(rows)}\n")
    version = world.version[0].version
    return _write(rows, version, time.monotonic() - started)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=main.__doc__)
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="instead of the newest in artifacts")
    parser.add_argument("--soak", type=float, metavar="SECONDS", default=SOAK_SECONDS)
    parser.add_argument("--beside", nargs=2, metavar=("PART", "FILE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _timed(world: World, options: argparse.Namespace) -> Iterator[Row]:
    """Find the knee alone on the machine; then go on beside what need not be timed, which makes it the harder."""
    loads = list(load.run(world))
    yield from loads
    with tempfile.TemporaryDirectory() as folder, ExitStack() as beside:
        files = {part: Path(folder) / f"{number}.json" for number, part in enumerate(BESIDE)}
        model = ["--model", str(options.model)] if options.model else []
        command = [sys.executable, "-m", "tests.reliability", *model, "--beside"]
        started = [beside.enter_context(subprocess.Popen([*command, *each])) for each in files.items()]
        yield from soak.run(world, options.soak, max(load.FIRST_RATE, loads[0].figures["knee_rps"]) / 2)
        for process in started:
            if process.wait():
                raise SystemExit(f"what ran beside ended with status {process.returncode}")
        yield from (Row(**row) for file in files.values() for row in json.loads(file.read_text()))


def _waiting(world: World, trained: Path) -> Iterator[Row]:
    """Try what mostly waits."""
    yield from store_faults.run(world)
    yield from freezing.run(world)
    yield from batch_faults.run(world)
    yield from kills.run(world, trained)


def _working(world: World, _: Path) -> Iterator[Row]:
    """Try what mostly computes."""
    yield from metamorphic.run(world)
    yield from interleavings.run()
    yield from threads.run(world)
    yield from attacks.run(world)
    yield from fuzz.run(world)
    yield kills.trainings()


BESIDE: dict[str, Callable[[World, Path], Iterator[Row]]] = {"waiting": _waiting, "working": _working}


def _told(rows: Iterator[Row]) -> Iterator[Row]:
    started = time.monotonic()
    for row in rows:
        lost = f", LOST {row.lost}: {row.examples}" if row.lost else ""
        print(f"{time.monotonic() - started:6.0f} s  {row.section}: {row.attack}: {row.count:,}{lost}", flush=True)
        yield row


def _secrets(logs: Path) -> Row:
    """Look for tokens and pixels in all that was logged."""
    row = Row("logs", "tokens and pixels in all logs of the suite")
    tokens = {
        "the events' token": EVENT_TOKEN,
        "the rotated token": soak.ROTATED_TOKEN,
        "the revoked token": freezing.REVOKED,
        "a guessed token": EVENT_TOKEN.upper(),
    }
    pictures = {f"{form} of a {digit}": part for digit in range(10) for form, part in pieces_of(digit).items()}
    secrets = {name: secret.encode() for name, secret in (tokens | pictures).items()}
    size, found = search(logs, secrets)
    for name in secrets:
        row.add(f"{name} is in a log" if name in found else None)
    # A line of each function, without which its log was not looked at.
    told = {"the API": b"POST /v1/predict", "batch": b"a batch is read", "retraining": b"retraining with recipe"}
    _, seen = search(logs, told)
    for name in told:
        row.add(None if name in seen else f"no line of {name} was kept")
    row.figures = {"log_MB": size / 1e6}
    return row


def _write(rows: list[Row], version: str, seconds: float) -> int:
    document = {
        "model": version,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seconds": round(seconds),
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    plot.draw(rows).savefig(RESULTS.with_suffix(".png"), dpi=110)
    lost = sum(row.lost for row in rows)
    print(f"{sum(row.count for row in rows):,} tries in {seconds:.0f} s, {lost:,} lost; written to {RESULTS}")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
