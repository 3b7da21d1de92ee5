"""Training progress: on a terminal one line that is updated, elsewhere plain lines."""

from __future__ import annotations

import time
from typing import TextIO

from training.fit import Progress

_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 30.0


class ProgressLine:
    """Prints progress after every epoch, and between: every tenth of a second on a terminal, else every half minute."""

    def __init__(self, out: TextIO) -> None:
        """Bind a stream."""
        self._out = out
        self._terminal = out.isatty()
        self._printed = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Print a line if one is due."""
        now = time.monotonic()
        pause = _TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS
        if progress.epoch_ended or now - self._printed >= pause:
            self._printed = now
            self._print(describe(progress), lasting=progress.epoch_ended or not self._terminal)

    def _print(self, line: str, lasting: bool) -> None:
        start, end = ("\r\033[K" if self._terminal else ""), ("\n" if lasting else "")
        self._out.write(start + line + end)
        self._out.flush()


def describe(progress: Progress) -> str:
    """Return network, epoch, step, loss, holdout accuracy and time left as one line."""
    holdout = f"{progress.holdout_accuracy:.2%}" if progress.holdout_accuracy is not None else "–"
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    step = f"{progress.step:>{len(str(progress.steps))}}/{progress.steps}"
    return (
        f"{progress.network}  epoch {progress.epoch}/{progress.epochs}  step {step}  "
        f"loss {progress.loss:.4f}  holdout {holdout:>6}  {minutes}:{seconds:02} left"
    )
