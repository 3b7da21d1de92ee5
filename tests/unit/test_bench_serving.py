"""The serving benchmark's committed results."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.serving import costs
from benchmarks.serving.__main__ import RESULTS, TABLES
from benchmarks.serving.verdicts import Verdict

ROOT = Path(__file__).parents[2]


def test_the_page_of_benchmarks_shows_what_was_measured() -> None:
    page, results = (ROOT / "docs/benchmarks.md").read_text(), json.loads(RESULTS.read_text())
    for figure in results["figures"]:
        figure.pop("met")
        assert Verdict(**figure).line() in page
    for line in costs.lines(results["cost"]):
        assert line in page
    for name in TABLES.keys() & results.keys():  # a run before some table was thought of has none
        assert not [line for line in TABLES[name](results[name]) if line not in page]
