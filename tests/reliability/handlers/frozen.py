"""The product's handler in a container that knows the time as a frozen one does; found without the tests' packages.

The file that DIGITS_FROZEN_CLOCKS names holds two numbers: by how many seconds the monotonic clock lags behind, which
stood still in each freeze, and by how many the wall clock is ahead, as each freeze is told to be longer than it was.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

_CLOCKS = struct.Struct("<dd")

with Path(os.environ["DIGITS_FROZEN_CLOCKS"]).open("r+b") as file:
    _memory = mmap.mmap(file.fileno(), _CLOCKS.size)
_monotonic, _wall = time.monotonic, time.time
time.monotonic = lambda: _monotonic() - _CLOCKS.unpack_from(_memory)[0]
time.time = lambda: _wall() + _CLOCKS.unpack_from(_memory)[1]

from functions.predict_api.handler import handler  # noqa: E402, F401
