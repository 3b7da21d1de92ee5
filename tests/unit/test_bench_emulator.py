"""What the runtime interface emulator's log tells of a cold start."""

from __future__ import annotations

import pytest

from benchmarks.emulator import cold_phases
from digits.errors import OperationError

LOG = """\
25 Nov 2026 21:47:10,980 [INFO] (rapid) exec 'python3.13' (cwd=/var/task, handler=empty.handler)
START RequestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47 Version: $LATEST
25 Nov 2026 21:47:10,990 [INFO] (rapid) INIT START(type: on-demand, phase: init)
25 Nov 2026 21:47:11,159 [INFO] (rapid) INIT RTDONE(status: success)
25 Nov 2026 21:47:11,159 [INFO] (rapid) INIT REPORT(durationMs: 169.173000)
25 Nov 2026 21:47:11,159 [INFO] (rapid) INVOKE START(requestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47)
{"message": "a line of the function's own, (with parentheses)"}
25 Nov 2026 21:47:11,160 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 0.993000ms)
END RequestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47
REPORT RequestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47	Init Duration: 0.39 ms	Duration: 171.05 ms
25 Nov 2026 21:47:11,161 [INFO] (rapid) INVOKE START(requestId: 20bd6d2c-6f5d-4a54-89a4-1a0203b0a640)
25 Nov 2026 21:47:11,162 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 1.313000ms)
"""


def test_init_and_the_first_invocation_are_told_apart() -> None:
    assert cold_phases(LOG) == pytest.approx((0.169173, 0.000993))


def test_a_log_without_an_invocation_is_an_error() -> None:
    with pytest.raises(OperationError, match="no init with an invocation"):
        cold_phases(LOG.partition("INVOKE START")[0])
