"""Call a handler on one core, without a server or an emulator; run as a script by the artifact's interpreter.

Arguments: `module.function`, as Lambda names handlers, and how long to call it with each event, in seconds. Standard
input: a JSON object of events by name; in the place of an event there may be a list, of which each is sent once.
Standard output, its last line: the same names, each with the `seconds` of all calls but the first and the `headers` of
the answers.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

_LEAST_CALLS, _MOST_CALLS = 7, 200
_MILLISECONDS = 900_000  # that an invocation has: as many as Lambda allows


def main() -> None:
    """Measure as the module's docstring says."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    module, _, function = sys.argv[1].rpartition(".")
    handler = getattr(importlib.import_module(module), function)
    events = json.load(sys.stdin)
    print(json.dumps({name: _measure(handler, event, float(sys.argv[2])) for name, event in events.items()}))


def _measure(handler: Any, event: Any, seconds: float) -> dict[str, Any]:
    context = SimpleNamespace(aws_request_id="benchmark", get_remaining_time_in_millis=lambda: _MILLISECONDS)
    events = iter(event) if isinstance(event, list) else itertools.repeat(event)
    _check(handler(next(events), context))  # the first call loads the model and allocates its tensors
    calls: list[float] = []
    headers = []
    for each in events:
        if len(calls) >= _LEAST_CALLS and (sum(calls) >= seconds or len(calls) >= _MOST_CALLS):
            break
        started = time.perf_counter()
        answer = handler(each, context)
        calls.append(time.perf_counter() - started)
        _check(answer)
        headers.append(answer.get("headers", {}))
    return {"seconds": calls, "headers": headers}


def _check(answer: Any) -> None:
    """Make sure that a request was answered, or a batch read."""
    assert answer.get("statusCode") == 200 or answer.get("outcome") == "done", answer


if __name__ == "__main__":
    main()
