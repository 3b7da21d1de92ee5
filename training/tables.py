"""The tables of the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from digits.model.manifest import LineRow, Manifest, Metrics, ReaderRecord, Robustness
from training.distortions import ROWS
from training.markup import table
from training.robustness import clean_row, met, points

if TYPE_CHECKING:
    from training.export import Candidate


def facts(manifest: Manifest) -> str:
    """Return what the version was made from."""
    data, recipe, training = manifest.dataset, manifest.recipe, manifest.training
    known = {
        "recipe": f"{recipe.name}, {recipe.parameter_count:,} parameters, seed {recipe.seed}",
        "data": f"{data.name} from {data.source}: {data.training_count:,} training digits, "
        f"{data.holdout_count:,} holdout, {data.test_count:,} test",
        "time": f"{manifest.wall_seconds:g} s from arrays in memory to the exported model",
        "code": manifest.code_revision or "not known",
        "libraries": ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()),
        "made": f"{manifest.created_at:%d %B %Y, %H:%M} UTC",
    }
    if data.extra:
        known["extra data"] = (
            f"{data.extra.count:,} digits of {data.extra.source}, among the training digits "
            f"({data.extra.duplicates:,} known already, {data.extra.refused:,} refused)"
        )
    if training and training.stopped_by:
        known["stopped early"] = f"by {training.stopped_by}; the weights are those of epoch {training.chosen_epoch}"
    return f'<div class="facts">{table(None, ((name, escape(fact)) for name, fact in known.items()))}</div>'


def parts(manifest: Manifest) -> str:
    """Return the metrics on holdout and test digits."""

    def row(name: str, metrics: Metrics) -> tuple[str, ...]:
        low, high = metrics.accuracy_interval
        return (
            name,
            f"{metrics.count:,}",
            f"{metrics.accuracy:.2%}",
            f"{low:.2%} to {high:.2%}",
            f"{metrics.negative_log_likelihood:.4f}",
            f"{metrics.expected_calibration_error:.2%}",
        )

    head = ("digits", "count", "accuracy", "95 % interval", "negative log-likelihood", "calibration error")
    return table(head, [row("holdout", manifest.holdout), row("test", manifest.test)])


def rows_count(manifest: Manifest) -> int:
    """Return the most digits that a row of the robustness table has."""
    return manifest.holdout_robustness.count if manifest.holdout_robustness else 0


def robustness(manifest: Manifest) -> str:
    """Return the robustness table, on holdout and test digits."""
    both: list[Robustness] = [each for each in (manifest.holdout_robustness, manifest.test_robustness) if each]
    clean = [clean_row(each) for each in both]
    rows = []
    for on_holdout, on_test in zip(*(each.rows for each in both), strict=True):
        verdict = "met" if met(on_holdout, clean[0]) else '<span class="missed">missed</span>'
        cells = [escape(on_holdout.name)]
        for row, reference in zip((on_holdout, on_test), clean, strict=True):
            cells += [f"{row.accuracy:.2%}", f"{points(row, reference):+.2f}", f"{sum(row.refused.values()):.2%}"]
            cells += ["–" if share is None else f"{share:.2%}" for share in (row.accepted, row.wrong_accepted)]
        error = on_test.expected_calibration_error
        cells += [ROWS[on_holdout.name].aim, verdict, "–" if error is None else f"{error:.2%}"]
        rows.append(tuple(cells))
    shares = ("points", "refused", "accepted", "accepted and wrong")
    head = ("row", "holdout", *shares, "test", *shares, "aim", "", "calibration error, test")
    return f'<div class="wide">{table(head, rows)}</div>'


def candidates(measured: Sequence[Candidate]) -> str:
    """Return what each way to export the network would cost and bring."""
    head = (
        "",
        "bytes",
        "accuracy",
        "calibration error",
        "difference from Keras",
        "digits read differently",
        "parity",
        "one image",
        "in batches",
    )
    rows = [
        (
            each.name,
            f"{each.size_bytes:,}",
            f"{each.accuracy:.2%}",
            f"{each.expected_calibration_error:.2%}",
            f"{each.largest_difference:.1g}",
            f"{each.different_digits}",
            "kept" if each.keeps_parity else "lost",
            f"{1e6 * each.single_seconds:.0f} µs",
            f"{1e6 * each.batch_seconds:.1f} µs",
        )
        for each in measured
    ]
    return f'<div class="wide">{table(head, rows)}</div>'


# Of the pictures of a kind this share is to be read wholly right; None where there is no number.
NUMBER_AIMS = {
    "separated": 0.985,
    "touching": 0.96,
    "in cells": 0.97,
    "ruled": 0.97,
    "photographed": 0.96,
    "page": 0.93,
}


def numbers(reader: ReaderRecord) -> str:
    """Return how well numbers are read, on holdout and test."""

    def row(on_holdout: LineRow, on_test: LineRow) -> tuple[str, ...]:
        aim = NUMBER_AIMS.get(on_holdout.name)
        low, high = on_test.exact_interval
        return (
            escape(on_holdout.name),
            *(f"{share:.1%}" for share in (on_holdout.exact, on_holdout.accepted, on_holdout.wrong_accepted)),
            f"{on_test.exact:.1%} ({low:.1%} to {high:.1%})",
            *(f"{share:.1%}" for share in (on_test.accepted, on_test.wrong_accepted)),
            f"{aim:.1%}" if aim else "–",
            "" if aim is None or on_holdout.exact >= aim else '<span class="missed">missed</span>',
        )

    shares = ("accepted", "wrong and accepted")
    head = ("kind", "holdout, exact", *shares, "test, exact", *shares, "aim", "")
    return table(head, [row(*pair) for pair in zip(reader.holdout.rows, reader.test.rows, strict=True)])
