"""Results that take time to make, kept in a folder for later runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError
from training.dataset import read_arrays


def read(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that an earlier run kept; None if there are none, or they cannot be read."""
    try:
        return read_arrays(path.read_bytes(), str(path))
    except (OSError, DataError):
        return None


def write(path: Path, arrays: Mapping[str, NDArray[Any]], failed: Callable[[str], None]) -> None:
    """Keep arrays, whole or not at all.

    Args:
        failed: called with the reason if they cannot be kept.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            np.savez_compressed(partial, allow_pickle=False, **arrays)
            partial.replace(path)
    except OSError as error:
        failed(str(error))
