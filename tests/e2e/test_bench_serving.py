"""The serving benchmark as a whole, cut short: that it runs and writes, never how fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks.emulator import is_supported


def test_the_benchmark_measures_every_figure_and_writes_it(
    build: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not is_supported():
        pytest.skip("needs Linux on x86_64: the emulator runs nowhere else")
    short: dict[str, object] = {
        "OUTPUT": trained.parent,
        "RESULTS": tmp_path / "serving.json",
        "PLOTS": tmp_path / "serving.png",
        "ROUNDS": 1,
        "REQUESTS": 16,
        "COUNTS": (1, 4),
        "SIDES": (28, 64),
        "CONCURRENCIES": (1, 2),
    }
    for name, value in short.items():
        monkeypatch.setattr(serving, name, value)
    status = serving.main()
    printed, results = capsys.readouterr().out, json.loads((tmp_path / "serving.json").read_text())
    figures = [
        serving.Figure(**{key: value for key, value in each.items() if key != "met"}) for each in results["figures"]
    ]
    assert len(figures) == 12
    assert all(figure.line() in printed for figure in figures)
    assert status == int(not all(figure.met for figure in figures))
    assert all(value > 0 for name in ("images", "side", "phases") for value in results["curves"][name].values())
    assert results["curves"]["concurrency"]["2"]["requests_per_second"] > 0
    assert (tmp_path / "serving.png").read_bytes().startswith(b"\x89PNG")
