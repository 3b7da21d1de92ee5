"""Where the time of a request went, for the `server-timing` header (W3C Server Timing)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class ServerTiming:
    """Adds up the time spent in each phase of one request."""

    def __init__(self) -> None:
        self._milliseconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time until the end of the block, exceptions included."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._milliseconds[name] = self._milliseconds.get(name, 0) + (time.perf_counter() - started) * 1000

    def note(self, name: str) -> None:
        """Mention something that has no duration of its own, before what has."""
        self._milliseconds = {name: 0.0, **self._milliseconds}

    def forget(self, name: str) -> None:
        """Leave a phase out, as one that was none."""
        del self._milliseconds[name]

    def header(self) -> str:
        """Return the header's value, durations in milliseconds."""
        return ", ".join(f"{name};dur={milliseconds:.3f}" for name, milliseconds in self._milliseconds.items())
