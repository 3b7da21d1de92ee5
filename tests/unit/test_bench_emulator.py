"""What the log of the runtime interface emulator tells of a cold start, and of the processor's part in it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from benchmarks.emulator import Phase, artifact_environment, cold_phases
from benchmarks.serving import rounds
from digits.errors import OperationError
from local.build import BATCH, FUNCTION
from tests.template import TEMPLATE

LOG = """\
25 Nov 2026 21:47:10,980 [INFO] (rapid) exec 'python3.13' (cwd=/var/task, handler=empty.handler)
START RequestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47 Version: $LATEST
25 Nov 2026 21:47:10,990 [INFO] (rapid) INIT START(type: on-demand, phase: init)
25 Nov 2026 21:47:11,159 [INFO] (rapid) INIT RTDONE(status: success)
25 Nov 2026 21:47:11,159 [INFO] (rapid) INIT REPORT(durationMs: 169.173000)
25 Nov 2026 21:47:11,159 [INFO] (rapid) INVOKE START(requestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47)
{"message": "a line of the function's own, (with parentheses)"}
processor seconds: init 0.141500, first invocation 0.000750
25 Nov 2026 21:47:11,160 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 0.993000ms)
END RequestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47
REPORT RequestId: ca3f41d3-f067-4e5d-a0d2-9196a2094c47	Init Duration: 0.39 ms	Duration: 171.05 ms
25 Nov 2026 21:47:11,161 [INFO] (rapid) INVOKE START(requestId: 20bd6d2c-6f5d-4a54-89a4-1a0203b0a640)
25 Nov 2026 21:47:11,162 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 1.313000ms)
"""


def test_init_and_the_first_invocation_are_told_apart_with_what_they_took_of_the_processor() -> None:
    init, first = cold_phases(LOG)
    assert (init.seconds, first.seconds) == pytest.approx((0.169173, 0.000993))
    assert (init.processor_seconds, first.processor_seconds) == (0.1415, 0.00075)
    assert first.waiting_seconds == pytest.approx(0.000243)
    assert Phase(0.2, 0.3).waiting_seconds == 0  # of two threads at work


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (LOG.partition("INVOKE START")[0], "no init with an invocation"),
        (LOG.replace("processor seconds", ""), "does not tell what init and first invocation took of the processor"),
    ],
    ids=["no invocation", "no processor"],
)
def test_a_log_without_one_of_them_is_an_error(log: str, problem: str) -> None:
    with pytest.raises(OperationError, match=problem):
        cold_phases(log)


def test_the_handler_that_wraps_another_one_tells_of_its_first_invocation_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(rounds.MEASURED, "benchmarks.handlers.empty.handler")
    wrapped = importlib.import_module("benchmarks.handlers.phases")
    monkeypatch.delitem(sys.modules, "benchmarks.handlers.phases")
    assert [wrapped.handler({}, None)["statusCode"] for _ in range(2)] == [200, 200]
    (line,) = capsys.readouterr().out.splitlines()
    init, first = cold_phases(LOG.replace("processor seconds: init 0.141500, first invocation 0.000750", line))
    assert init.processor_seconds > first.processor_seconds >= 0


@pytest.mark.parametrize("name", [FUNCTION, BATCH])
def test_the_artifact_gets_the_threads_that_the_template_gives_it(name: str, tmp_path: Path) -> None:
    resource = yaml_parse(TEMPLATE.read_text())["Resources"][name]
    wanted = str(resource["Properties"]["Environment"]["Variables"]["OPENBLAS_NUM_THREADS"])
    assert artifact_environment(tmp_path, {}, name=name)["OPENBLAS_NUM_THREADS"] == wanted
