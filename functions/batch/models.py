"""The models that a warm container has, and what reads pictures with them."""

from __future__ import annotations

import os
from collections.abc import Callable

from digits.model.proof import LoadedModel
from functions.batch.answering import (
    MOST_AT_ONCE,
    NUMBERS,
    NUMBERS_AT_ONCE,
    Answering,
    ModelAnswering,
    Reading,
    copy_of,
)
from functions.batch.parallel import ParallelAnswering, processors


def answering_with(model: LoadedModel, reading: Reading) -> Answering:
    """Return what reads pictures with a model, on all processors that there are.

    Raises:
        NoReaderError, InputError: see `ModelAnswering`.
    """
    here, others = ModelAnswering(model, reading), processors(os.environ) - 1
    if not others:
        return here
    at_once = NUMBERS_AT_ONCE if reading.kind == NUMBERS else MOST_AT_ONCE
    return ParallelAnswering(here, copy_of(model, reading), others, at_once)


class Models:
    """The last model that was used, and what reads with it; each run goes on with the version that it began with."""

    def __init__(self, load: Callable[[str | None], LoadedModel]) -> None:
        """Take what loads a version, or None for the one to begin with, as `Registry.load` does."""
        self._load = load
        self._loaded: LoadedModel | None = None
        self._last: tuple[str, Reading, Answering] | None = None

    def answering(self, version: str | None, reading: Reading) -> tuple[Answering, str, float]:
        """Return what reads pictures, and the version and accuracy of its model.

        Args:
            version: None takes the one that is live.

        Raises:
            NoModelError, UnknownVersionError, CorruptModelError, StoreError: it cannot be had.
            NoReaderError, InputError: see `ModelAnswering`.
        """
        if version is None or self._loaded is None or self._loaded.manifest.version != version:
            self._loaded = self._load(version)
        manifest = self._loaded.manifest
        if self._last is None or self._last[:2] != (manifest.version, reading):
            self.close()
            self._last = manifest.version, reading, answering_with(self._loaded, reading)
        return self._last[2], manifest.version, manifest.test.accuracy

    def close(self) -> None:
        """End the processes beside this one."""
        if self._last and isinstance(self._last[2], ParallelAnswering):
            self._last[2].close()
        self._last = None
