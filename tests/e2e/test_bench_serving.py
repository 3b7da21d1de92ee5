"""The serving benchmark as a whole, cut short: that it runs and writes, never how fast."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.emulator import artifact_environment, is_supported
from benchmarks.serving import fresh, load
from benchmarks.serving.__main__ import TABLES, Effort, run
from benchmarks.serving.verdicts import Verdict
from benchmarks.serving.yardsticks import lay_out
from digits.errors import OperationError
from local.build import FUNCTION

SHORT = Effort(rounds=1, requests=16, counts=(1, 4), sides=(28, 64), concurrencies=(1, 2))


def test_the_benchmark_measures_every_figure_and_writes_it(
    build: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_supported():
        pytest.skip("needs Linux on x86_64: the emulator runs nowhere else")
    monkeypatch.setattr(fresh, "DROP_CACHES", tmp_path / "no folder/drop_caches")  # those of this machine stay
    status = run(SHORT, trained.parent, tmp_path / "serving.json")
    printed, results = capsys.readouterr().out, json.loads((tmp_path / "serving.json").read_text())
    verdicts = [Verdict(**{key: value for key, value in each.items() if key != "met"}) for each in results["figures"]]
    assert len(verdicts) == 19
    assert all(verdict.line() in printed for verdict in verdicts)
    assert status == int(not all(verdict.met for verdict in verdicts))
    assert all(value > 0 for name in ("images", "side", "phases") for value in results["curves"][name].values())
    for measured in results["rounds"].values():
        (cold,), (init,), (first,) = (measured[f"{name}_seconds"] for name in ("cold", "init", "first_invocation"))
        assert min(init, first) > 0
        assert init + first < cold  # which holds the emulator's own start besides
        assert min(*measured["init_processor_seconds"], *measured["first_invocation_processor_seconds"]) >= 0
        assert ("store_requests" in measured) is (measured is results["rounds"]["distant"])
    (in_all,), (in_a_row,) = (
        results["rounds"]["distant"][name] for name in ("store_requests", "store_requests_in_a_row")
    )
    assert 1 <= in_a_row <= in_all
    assert results["cost_basis"] in printed
    assert all(source in printed for source in results["cost_sources"].values())
    for name, lines in TABLES.items():
        assert "\n".join(lines(results[name])) in printed
    assert results["fresh"] is None
    assert all(each["p99_milliseconds"] >= each["p50_milliseconds"] > 0 for each in results["kinds"].values())
    assert all(each["median"] > 0 for each in results["throughput"].values())
    assert results["curves"]["concurrency"]["2"]["requests_per_second"] > 0
    assert (tmp_path / "serving.png").read_bytes().startswith(b"\x89PNG")


def test_the_server_that_is_measured_finds_no_function_but_the_built_one(
    build_copy: Path, runtime_client: Path, tmp_path: Path
) -> None:
    (tmp_path / "laid-out").mkdir()
    laid_out = lay_out(tmp_path / "laid-out", {}, trained=tmp_path)
    shutil.rmtree(build_copy / FUNCTION / "functions")
    incomplete = replace(laid_out, ours=artifact_environment(runtime_client, {}, build_copy))
    with pytest.raises(OperationError, match="nothing listens"):
        load.measure(incomplete, (1,))
