"""The manifest: what earlier releases wrote stays readable."""

from __future__ import annotations

import json

import pytest

from digits.errors import CorruptModelError
from digits.model.manifest import Manifest

SINCE = ("rejection_threshold", "mixture", "holdout_outliers", "test_outliers", "reader")


def test_a_trained_model_says_all_there_is_to_say(version: tuple[Manifest, dict[str, bytes]]) -> None:
    manifest = version[0]
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.mixture is not None
    assert sum(part.weight for part in manifest.mixture.parts) == pytest.approx(1)
    assert manifest.mixture.accepted_accuracy is not None
    assert manifest.mixture.accepted_accuracy >= 0.995
    assert manifest.rejection_threshold is not None
    assert manifest.acceptance_threshold is not None
    assert manifest.rejection_threshold <= manifest.acceptance_threshold
    for outliers in (manifest.holdout_outliers, manifest.test_outliers):
        assert outliers is not None
        assert {True, False} == {row.trained for row in outliers}
        for row in outliers:
            assert sum(row.refused.values()) + row.answered + row.accepted == pytest.approx(1)


def test_a_manifest_of_an_earlier_release_is_readable(version: tuple[Manifest, dict[str, bytes]]) -> None:
    document = json.loads(version[0].to_json()) | {"schema_version": 1}
    for name in SINCE:
        del document[name]
    for table in ("holdout_robustness", "test_robustness"):
        for row in document[table]["rows"]:
            del row["accepted"], row["wrong_accepted"]
    earlier = Manifest.from_json(json.dumps(document).encode())
    assert [getattr(earlier, name) for name in SINCE] == [None] * len(SINCE)
    assert earlier.holdout_robustness is not None
    assert {(row.accepted, row.wrong_accepted) for row in earlier.holdout_robustness.rows} == {(None, None)}
    assert earlier.acceptance_threshold == version[0].acceptance_threshold


def test_a_threshold_that_is_no_share_is_refused(version: tuple[Manifest, dict[str, bytes]]) -> None:
    document = json.loads(version[0].to_json()) | {"rejection_threshold": 1.5}
    with pytest.raises(CorruptModelError, match="rejection_threshold"):
        Manifest.from_json(json.dumps(document).encode())
