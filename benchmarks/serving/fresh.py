"""The first start on a fresh machine, where no file has been read yet: once for each, as it takes long.

In the rounds all files are in memory from the start before. Where they are not, the size of what is imported counts.
What the benchmark itself has mapped, such as numpy's libraries from its own environment, stays in memory; the artifact
has files of its own, and `tensorflow`'s are not imported here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.serving import rounds
from benchmarks.serving.yardsticks import Candidate

NAMES = ("empty", "hello", "ours", "tensorflow")
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def measure(candidates: dict[str, Candidate]) -> dict[str, float] | None:
    """Return the seconds of a cold start with the page cache emptied; None where only root on Linux could do that."""
    found = {}
    for name in NAMES:
        if not _forget_files():
            return None
        found[name] = rounds.run(replace(candidates[name], requests=0, heavy=())).cold_seconds
    return found


def lines(found: dict[str, float] | None) -> Iterator[str]:
    """Return the times as a Markdown table."""
    cells = [f"{found[name]:.2f} s" if found else "not measured" for name in NAMES]
    yield f"| | {' | '.join(NAMES)} |"
    yield "| --- " * (1 + len(NAMES)) + "|"
    yield f"| first start on a fresh machine | {' | '.join(cells)} |"


def _forget_files() -> bool:
    os.sync()  # what is not written yet would stay
    try:
        DROP_CACHES.write_text("3")
    except OSError:
        return False
    return True
