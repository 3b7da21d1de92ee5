"""The programs of the environment that Python runs in, wherever it was started from."""

from __future__ import annotations

import sys
from pathlib import Path


def program(name: str) -> str:
    """Return the path of a program that is installed with this interpreter; PATH need not lead to it."""
    return str(Path(sys.executable).with_name(name))
