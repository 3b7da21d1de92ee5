"""Another handler, and a line of the log that tells what its init and its first invocation took of the processor.

It runs in the artifact's interpreter, which has nothing else of this package: the other handler is named by the
environment, in `MEASURED_HANDLER`, as Lambda names handlers.
"""

from __future__ import annotations

import importlib
import os
import time
from typing import Any

_module, _, _function = os.environ["MEASURED_HANDLER"].rpartition(".")
_measured = getattr(importlib.import_module(_module), _function)
_init = [time.process_time()]  # of the whole process, until it was told


def handler(event: Any, context: Any) -> Any:
    """Answer as the other handler does."""
    if not _init:
        return _measured(event, context)
    started = time.process_time()
    answer = _measured(event, context)
    first = time.process_time() - started
    print(f"processor seconds: init {_init.pop():.6f}, first invocation {first:.6f}", flush=True)
    return answer
