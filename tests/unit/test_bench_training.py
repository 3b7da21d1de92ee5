"""The training benchmark's table: means, ratios to the yardstick, and what never passed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training import RESULTS, ReaderRun, Run, _reader_line, _sharing, _summaries, _table
from training.recipes import RECIPES

PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"


def run(recipe: str, seed: int, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "seconds_to_published": 10.0,
        "total_seconds": 20.0,
        "test_count": 10_000,
        "test_accuracy": 0.995,
        "test_accuracy_by_epoch": [0.99, 0.995],
        "holdout_accuracy": 0.994,
        "test_calibration_error": 0.002,
        "parameters": 1000,
        "size_bytes": 4000,
    }
    return Run(recipe, seed, **fields | changes)


def test_recipes_are_compared_with_the_yardstick() -> None:
    runs = [run("quick", 1), run("quick", 2, seconds_to_published=None, test_accuracy=0.99, total_seconds=30.0)]
    runs.append(run("reference", 1, seconds_to_published=150.0, total_seconds=250.0))
    quick, reference = _summaries(runs)
    assert (quick["passed"], quick["seeds"]) == (1, [1, 2])
    assert quick["speedup_to_published"] == 15
    assert quick["share_of_reference_total"] == pytest.approx(0.1)
    assert quick["test_accuracy_mean"] == pytest.approx(0.9925)
    # All seeds read the same 10,000 digits.
    assert quick["test_accuracy_interval"] == pytest.approx((0.99061, 0.99401), abs=1e-4)
    assert reference["share_of_reference_total"] == 1
    head, first, _ = _table([quick, reference]).splitlines()
    assert "1/2" in first
    assert len(head) == len(first)


def test_without_the_yardstick_there_are_no_ratios() -> None:
    (only,) = _summaries([run("best", 1, seconds_to_published=None)])
    assert only["speedup_to_published"] is None
    assert only["share_of_reference_total"] is None
    assert only["test_accuracy_deviation"] is None
    assert "0/1" in _table([only])


def test_a_reader_that_recipes_share_is_trained_once() -> None:
    assert [[recipe.name for recipe in sharing] for sharing in _sharing(list(RECIPES.values()))] == [
        ["quick"],
        ["default", "best"],
    ]
    assert _sharing([RECIPES["reference"]]) == []


@pytest.mark.parametrize(
    ("recipes", "seconds", "verdict"),
    [
        (["default", "best"], 600.0, "aim at most 600 s: met"),
        (["default"], 601.0, "aim at most 600 s: MISSED"),
        (["quick"], 601.0, "to draw 80,000 lines; 97.00% of"),
    ],
)
def test_the_time_of_a_reader_is_with_its_lines_and_that_of_default_has_an_aim(
    recipes: list[str], seconds: float, verdict: str
) -> None:
    each = ReaderRun(recipes, 1, 80_000, 90.0, seconds, 0.97, 226_000, 907_000)
    line = _reader_line(each)
    assert f"{seconds:.0f} s, of which 90 to draw" in line
    assert verdict in line


@pytest.mark.parametrize("row", json.loads(RESULTS.read_text())["recipes"], ids=lambda row: row["recipe"])
def test_the_page_of_benchmarks_shows_what_was_measured(row: dict[str, Any]) -> None:
    low, high = row["test_accuracy_interval"]
    deviation = row["test_accuracy_deviation"]
    accuracy = f"{100 * row['test_accuracy_mean']:.3f} %" + (f" ± {100 * deviation:.2f}" if deviation else "")
    line = (
        f"| `{row['recipe']}` | {row['seconds_to_published_mean']:.1f} | {row['speedup_to_published']:.1f} "
        f"| {row['total_seconds_mean']:.1f} | {row['share_of_reference_total']:.2f} | {accuracy} "
        f"| {100 * low:.2f}..{100 * high:.2f} % | {row['size_bytes']:,} |"
    )
    assert line in PAGE.read_text()
