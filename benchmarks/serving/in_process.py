"""Call a handler on one core, without a server or an emulator; run as a script by the artifact's interpreter.

Arguments: `module.function`, as Lambda names handlers, and how long to call it with each event, in seconds. Standard
input: a JSON object of events by name. Standard output, its last line: the same names, each with the `seconds` of all
calls and the `headers` of the answers.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

_LEAST_CALLS, _MOST_CALLS = 7, 200


def main() -> None:
    """Measure as the module's docstring says."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    module, _, function = sys.argv[1].rpartition(".")
    handler = getattr(importlib.import_module(module), function)
    events = json.load(sys.stdin)
    print(json.dumps({name: _measure(handler, event, float(sys.argv[2])) for name, event in events.items()}))


def _measure(handler: Any, event: Any, seconds: float) -> dict[str, Any]:
    context = SimpleNamespace(aws_request_id="benchmark")
    answer = handler(event, context)  # the first call loads the model and allocates its tensors
    assert answer["statusCode"] == 200, answer
    calls: list[float] = []
    headers = []
    while len(calls) < _LEAST_CALLS or (sum(calls) < seconds and len(calls) < _MOST_CALLS):
        started = time.perf_counter()
        answer = handler(event, context)
        calls.append(time.perf_counter() - started)
        headers.append(answer.get("headers", {}))
    return {"seconds": calls, "headers": headers}


if __name__ == "__main__":
    main()
