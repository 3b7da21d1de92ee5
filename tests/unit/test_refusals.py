"""What must be refused: always the same, other pictures for another part, and kept."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from training import refusals
from training.dataset import load_subset
from training.forms import Forms
from training.outliers import FAMILIES
from training.refusals import BLANK_SHEETS, SEVERAL_DIGITS, blank_sheet, judging_outliers, several_digits

PART = load_subset().holdout.sample(40)
TEST_PART = load_subset().test.sample(40)


def test_what_must_be_refused_is_always_the_same() -> None:
    for index in (0, 5):
        np.testing.assert_array_equal(blank_sheet(index), blank_sheet(index))
        np.testing.assert_array_equal(several_digits(PART, index), several_digits(PART, index))
    assert blank_sheet(0).shape != blank_sheet(8).shape
    assert blank_sheet(0).shape != blank_sheet(0, seed=1).shape


def test_there_are_as_many_of_each_kind_and_others_for_another_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "PICTURES_PER_KIND", 3)
    ours, theirs = (judging_outliers(part, tmp_path) for part in (PART, TEST_PART))
    assert {name: len(forms) for name, forms in ours.items()} == dict.fromkeys(
        [*FAMILIES, BLANK_SHEETS, SEVERAL_DIGITS], 3
    )
    for name in FAMILIES:
        assert ours[name].readable.all()
        assert (ours[name].images != theirs[name].images).any(), name


def test_what_must_be_refused_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "PICTURES_PER_KIND", 2)
    said: list[str] = []
    made = judging_outliers(PART, tmp_path, said.append)
    assert len(said) == 2

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(refusals, "bring_all", refuse)
    kept = judging_outliers(PART, tmp_path, said.append)
    assert len(said) == 2
    for name, forms in made.items():
        for field in fields(Forms):
            np.testing.assert_array_equal(getattr(forms, field.name), getattr(kept[name], field.name))
    with pytest.raises(AssertionError, match="made again"):
        judging_outliers(TEST_PART, tmp_path)
