"""What the suite has to tell: a line for each thing that was tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One thing that was tried, many times.

    Attributes:
        section: what it belongs to.
        attack: what was done.
        count: how often.
        lost: how many of them did not end as they must.
        worst_seconds: the longest that a caller waited; None where nobody waits.
        examples: what was lost, of the first few.
        figures: what else was measured.
    """

    section: str
    attack: str
    count: int = 0
    lost: int = 0
    worst_seconds: float | None = None
    examples: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, problem: str | None = None, seconds: float | None = None) -> None:
        """Count one try.

        Args:
            problem: what was wrong with how it ended; None if nothing was.
            seconds: how long a caller waited.
        """
        self.count += 1
        if seconds is not None:
            self.worst_seconds = max(self.worst_seconds or 0.0, seconds)
        if problem is not None:
            self.lost += 1
            if len(self.examples) < 5:
                self.examples.append(problem[:500])


def peak_megabytes() -> float:
    """Return the most memory that this process has had; `resource` would tell its parent's, where that had more."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| section | attack | count | lost | worst latency | measured |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        worst = "" if row.worst_seconds is None else f"{row.worst_seconds:.3f} s"
        figures = ", ".join(f"{name} {_brief(value)}" for name, value in row.figures.items() if _is_brief(value))
        lines.append(f"| {row.section} | {row.attack} | {row.count:,} | {row.lost:,} | {worst} | {figures} |")
    return "\n".join(lines)


def _is_brief(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _brief(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
