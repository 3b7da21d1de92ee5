"""How the process keeps its memory."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# glibc's parameters, as its malloc.h numbers them.
_TRIM_THRESHOLD, _TOP_PAD = -1, -2
_KEPT = 1 << 30
_MORE = 1 << 26


def keep_freed_memory() -> None:
    """Let freed memory be used again, up to a gibibyte of it, instead of giving it back to the system at once.

    Every step of a training frees and asks for the same large blocks. The system clears all pages that it hands out,
    which takes half of the time.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_TRIM_THRESHOLD, _KEPT)
            mallopt(_TOP_PAD, _MORE)
