"""The benchmark of numbers: its shares and times against their aims, and the number that it sends."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.numbers import __main__ as benchmark
from benchmarks.numbers import accuracy, times
from benchmarks.numbers.accuracy import EXACT, PAGE, ROWS, Share, row_line, shares
from benchmarks.numbers.times import READER, REQUEST, Time, figures, line_of_number, time_of
from benchmarks.serving import events
from digits.model.identity import MANIFEST_FILE
from digits.model.manifest import LineRow, LineTable, Manifest
from digits.pictures.rows import LINE_HEIGHT
from digits.reading import Picture
from training.number_answers import NumberAnswers, RowAnswers
from training.numbers import KINDS, NO_NUMBER

PAGE_OF_BENCHMARKS = Path(__file__).parents[2] / "docs/benchmarks.md"
FIGURE, TIME = ([field.name for field in fields(kind)] for kind in (Share, Time))


def answers(right: Sequence[bool], least: Sequence[float], agreement: float = 1.0) -> NumberAnswers:
    rows = RowAnswers(np.array(right, np.bool_), np.array(least, np.float64), np.full(len(right), agreement))
    return NumberAnswers(rows.right, rows.confidence, rows.confidence, rows.agreement, rows)


def shares_of(**kinds: NumberAnswers) -> dict[str, Share]:
    """Return the shares where all kinds but some are read right and surely, ten of each."""
    sure = {kind: answers([True] * 10, [0.99] * 10) for kind in KINDS}
    return {share.name: share for share in shares({**sure, **kinds}, 0.9, 0.1)}


def test_where_all_is_right_and_sure_every_aim_is_met() -> None:
    found = shares_of()
    assert all(share.met for share in found.values())
    assert found["single rows, accepted"].count == 10 * len(ROWS) == 50
    assert {f"{kind}, exact" for kind in EXACT} < found.keys()


def test_a_row_that_is_wrong_and_accepted_is_a_share_of_the_accepted_ones() -> None:
    found = shares_of(touching=answers([False, False, *[True] * 8], [0.95, 0.5, *[0.99] * 8]))
    exact, accepted = found["touching, exact"], found["single rows, accepted"]
    wrong = found["accepted single rows, wrong"]
    assert (exact.hits, exact.met) == (8, False)
    assert (accepted.hits, accepted.met) == (49, True)
    assert (wrong.hits, wrong.count, wrong.met) == (1, 49, False)
    assert found["page, accepted and wrong"].met


def test_pages_and_rows_are_judged_apart() -> None:
    found = shares_of(page=answers([False] * 10, [0.99] * 10))
    assert (found["page, accepted and wrong"].hits, found["page, accepted and wrong"].met) == (10, False)
    assert found["accepted single rows, wrong"].hits == 0


def test_what_the_classifier_contradicts_is_not_accepted_and_of_nothing_there_is_no_share() -> None:
    found = shares_of(**{kind: answers([True] * 10, [0.99] * 10, agreement=0.05) for kind in ROWS})
    assert (found["single rows, accepted"].hits, found["single rows, accepted"].met) == (0, False)
    assert "accepted single rows, wrong" not in found


def test_aims_are_for_the_kinds_that_hold_numbers() -> None:
    assert {*EXACT, NO_NUMBER} == set(KINDS)
    assert {*ROWS, PAGE} == set(EXACT)


def test_a_share_is_told_with_its_interval() -> None:
    line = Share("page, exact", 930, 1000, "at least", 0.93).line()
    assert line == "| page, exact | at least 93 % | 93.00 % | 91.25..94.42 % | met |"
    assert Share("page, exact", 929, 1000, "at least", 0.93).line().endswith("| **missed** |")


def test_the_number_that_is_sent_is_one_row_and_as_a_line_about_as_wide_as_is_timed() -> None:
    event = events.of_number(times.SIDE)
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/v1/read"
    image = Picture.of_file(base64.b64decode(event["body"])).image
    assert image.pixels.shape == (400, 400)
    line = line_of_number()
    assert line.shape == (LINE_HEIGHT, times.LINE_WIDTH)
    inked = np.flatnonzero((line > 100).any(axis=0))
    assert 120 < np.ptp(inked) < times.LINE_WIDTH - 10  # all of it, and no enlarged paper


def test_times_of_a_round_are_told_with_their_ratios_and_phases() -> None:
    phases = "token;dur=0.1, decode;dur=1, rows;dur=3, inference;dur=2, encoding;dur=0.4"
    digit = {"seconds": [0.002] * 3, "headers": []}
    number = {"seconds": [0.008] * 3, "headers": [{"server-timing": phases}] * 3}
    found = figures({"classifier": 0.1, "reader": 0.8, "line": 1.2}, {"digit": digit, "number": number})
    assert found[READER] == 0.8
    assert found["reader / classifier"] == pytest.approx(8)
    assert found[REQUEST] == pytest.approx(8)
    assert found["request, number / digit"] == pytest.approx(4)
    split = [milliseconds for name, milliseconds in found.items() if name.startswith("of this, ")]
    assert sum(split) == pytest.approx(found[REQUEST])
    assert found["of this, framework, ms"] == pytest.approx(1.5)


def test_a_time_without_an_aim_misses_none() -> None:
    assert time_of(READER, [0.8, 0.9, 1.0]).met
    missed = time_of(READER, [1.1, 1.2, 1.3])
    assert not missed.met
    assert missed.line() == f"| {READER} | at most 1 | 1.2 | 1.15..1.25 | **missed** |"
    assert time_of("reader / classifier", [8.0]).line() == "| reader / classifier | – | 8 | 8..8 |  |"


TABLE = LineTable(
    sha256="0" * 64,
    rows=[LineRow(name=PAGE, count=10, exact=1, exact_interval=(0.7, 1), accepted=1, wrong_accepted=0)],
    expected_calibration_error=0.01,
)


def fake(monkeypatch: pytest.MonkeyPatch, **kinds: NumberAnswers) -> None:
    """Have the command find a model whose answers are these."""
    sure = {kind: answers([True] * 10, [0.99] * 10) for kind in KINDS} | kinds
    record = SimpleNamespace(acceptance_threshold=0.9, agreement_threshold=0.1)
    manifest = SimpleNamespace(version="a version", recipe=SimpleNamespace(name="default"))
    numbers = SimpleNamespace(get=lambda: SimpleNamespace(record=record))
    monkeypatch.setattr(
        "benchmarks.numbers.__main__.model_of", lambda _: SimpleNamespace(manifest=manifest, numbers=numbers)
    )
    monkeypatch.setattr("benchmarks.numbers.__main__.folder_of", lambda _: None)
    monkeypatch.setattr(accuracy, "read_kinds", lambda *_: (TABLE, sure))
    monkeypatch.setattr(accuracy, "agreement", lambda *_: Share("alike", 99, 100, "at least", 0.99))
    monkeypatch.setattr(times, "measure", lambda *_: [time_of(READER, [0.9])])


def run(tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    file = tmp_path / "numbers.json"
    status = benchmark.main(["--data", "embedded", "--json", str(file), *options])
    return status, json.loads(file.read_text())


def test_the_command_writes_what_it_prints_and_tells_missed_aims_by_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(monkeypatch)
    status, document = run(tmp_path)
    assert (status, document["digits"], len(document["times"])) == (0, "test", 1)
    printed = capsys.readouterr().out
    assert row_line(TABLE.rows[0]) in printed
    assert time_of(READER, [0.9]).line() in printed
    assert "11 of 11 aims met" in printed
    fake(monkeypatch, page=answers([False] * 10, [0.0] * 10))
    status, document = run(tmp_path, "--holdout")
    assert (status, document["digits"], document["times"]) == (1, "holdout", [])
    assert [figure["name"] for figure in document["figures"] if not figure["met"]] == ["page, exact"]


def test_a_trained_model_reads_pictures_of_all_kinds(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the pictures are kept
    status, document = run(tmp_path, "--model", str(trained), "--holdout", "--count", "2")
    assert [row["name"] for row in document["rows"]] == list(KINDS)
    assert {row["count"] for row in document["rows"]} == {2}
    counts = {figure["name"]: figure["count"] for figure in document["figures"]}
    assert counts["single rows, accepted"] == 10
    assert counts["clean digits that both networks read alike"] == 20
    assert status == int(not all(figure["met"] for figure in document["figures"]))


def test_a_model_without_a_reader_is_an_error_of_a_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copytree(trained, tmp_path / "version")
    manifest = Manifest.from_json((folder / MANIFEST_FILE).read_bytes()).model_copy(update={"reader": None})
    (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    assert benchmark.main(["--model", str(folder), "--data", "embedded", "--count", "1"]) == 2
    assert capsys.readouterr().err.endswith("has no reader of numbers\n")


@pytest.mark.skipif(not benchmark.RESULTS.exists(), reason=f"needs {benchmark.RESULTS.name}: `make bench-numbers`")
def test_the_page_of_benchmarks_shows_what_was_measured() -> None:
    page, results = PAGE_OF_BENCHMARKS.read_text(), json.loads(benchmark.RESULTS.read_text())
    lines = [row_line(LineRow(**row)) for row in results["rows"]]
    lines += [Share(**{name: figure[name] for name in FIGURE}).line() for figure in results["figures"]]
    lines += [Time(**{name: time[name] for name in TIME}).line() for time in results["times"]]
    assert not [line for line in lines if line not in page]
