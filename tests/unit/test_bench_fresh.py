"""The serving benchmark's starts on a fresh machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.emulator import Phase
from benchmarks.serving import fresh, rounds
from benchmarks.serving.rounds import Round
from benchmarks.serving.yardsticks import Candidate

CANDIDATES = {name: Candidate([], f"{name}.handler", {}, 300, (b"heavy",)) for name in (*fresh.NAMES, "distant")}


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started, where only the caches of a file of ours are emptied."""
    drop, names = tmp_path / "drop_caches", []
    drop.touch()

    def run(candidate: Candidate) -> Round:
        assert (candidate.requests, candidate.heavy) == (0, ())
        names.append(candidate.handler.partition(".")[0])
        assert drop.read_text() == "3"
        drop.write_text("")
        return Round(float(len(names)), Phase(0, 0), Phase(0, 0), [], 0)

    monkeypatch.setattr(fresh, "DROP_CACHES", drop)
    monkeypatch.setattr("os.sync", lambda: None)
    monkeypatch.setattr(rounds, "run", run)
    return names


def test_caches_are_emptied_before_each_start(started: list[str]) -> None:
    found = fresh.measure(CANDIDATES)
    assert started == list(fresh.NAMES)
    assert found == {"empty": 1, "hello": 2, "ours": 3, "tensorflow": 4}
    *_, row = fresh.lines(found)
    assert row == "| first start on a fresh machine | 1.00 s | 2.00 s | 3.00 s | 4.00 s |"


def test_where_caches_cannot_be_emptied_the_row_says_so(
    started: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "DROP_CACHES", tmp_path / "no folder/drop_caches")
    assert fresh.measure(CANDIDATES) is None
    assert not started
    *_, row = fresh.lines(None)
    assert row.count("not measured") == 4
