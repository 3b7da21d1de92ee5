"""Points in time as a container knows them that Lambda may freeze."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A point in time by two clocks, in seconds.

    The monotonic one may stand still while Lambda freezes a container; the wall clock may be set.
    """

    monotonic: float
    wall: float

    def until(self, later: Moment) -> float:
        """Return the seconds up to a later moment: the larger of what the two clocks say."""
        return max(later.monotonic - self.monotonic, later.wall - self.wall)


def now() -> Moment:
    """Return this moment."""
    return Moment(time.monotonic(), time.time())
