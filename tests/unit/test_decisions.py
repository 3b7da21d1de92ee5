"""Decisions as they are written, and as earlier releases wrote them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from digits.registry.decisions import Decision, Decisions, Scores

VERSION, OTHER = "20260101T000000Z-00000000", "20250101T000000Z-00000000"
SCORES = Scores(
    version=VERSION,
    holdout_accuracy=0.99,
    distorted_accuracy=0.95,
    holdout_calibration_error=0.001,
    distorted_calibration_error=0.01,
    test_accuracy=0.98,
)
DECISION = Decision(outcome="promote", decided_at=datetime(2026, 1, 1, tzinfo=UTC), live=OTHER, scores=[SCORES])


def test_decisions_survive_json() -> None:
    written = Decisions(version=VERSION, decisions=[DECISION]).to_json()
    assert Decisions.from_json(written).decisions == [DECISION]
    assert json.loads(written)["decisions"][0]["live"] == OTHER


def test_what_earlier_releases_wrote_can_be_read() -> None:
    text = Decisions(version=VERSION, decisions=[DECISION]).to_json().decode()
    for now, then in (
        ("live", "champion"),
        ("distorted_accuracy", "field_accuracy"),
        ("distorted_calibration_error", "field_calibration_error"),
    ):
        assert f'"{now}"' in text
        text = text.replace(f'"{now}"', f'"{then}"')
    assert Decisions.from_json(text.encode()).decisions == [DECISION]
