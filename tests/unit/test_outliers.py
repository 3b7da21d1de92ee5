"""Outliers: what is drawn is no digit, in canonical form, and made once."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from digits.pictures.canonical import SIDE, canonicalize, from_ink
from training import glyphs, outliers
from training.dataset import load_subset
from training.outliers import FAMILIES, outlier_digits
from training.remnants import enlarged

DIGITS = load_subset().training.sample(100)
LOOK_LIKE_DIGITS = set("0123456789IOSZBblosqgyz|/\\()^")
TABLES = (glyphs.LETTERS, glyphs.SIGNS, glyphs.TICKS, glyphs.SHAPES)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_draws_what_has_a_canonical_form(name: str) -> None:
    ink = FAMILIES[name].draw(np.random.default_rng(3), DIGITS)
    assert ink.dtype == np.float32
    assert 0 <= ink.min() < ink.max() <= 1 + 1e-6
    pixels = from_ink(ink)
    assert pixels.shape == (SIDE, SIDE)
    rows, columns = np.nonzero(pixels)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 >= 15


def test_ink_cut_out_looks_as_the_service_sees_it() -> None:
    differences = []
    for image in DIGITS.images[::10]:
        ink = enlarged(image)
        picture = 255 - (255 * np.pad(ink, 30)).clip(0, 255).astype(np.uint8)
        differences.append(np.abs(canonicalize(picture).pixels.astype(int) - from_ink(ink)).mean())
    assert np.median(differences) < 4  # a centre may be rounded the other way


def test_some_families_judge_and_are_not_trained_on(tmp_path: Path) -> None:
    judging = {name for name, family in FAMILIES.items() if family.judge}
    assert {"other letters", "other signs", "stars and polygons"} <= judging
    assert all(family.judge == (family.weight == 0) for family in FAMILIES.values())
    trained = set(outlier_digits(DIGITS, 200, 1, tmp_path).family)
    assert trained == FAMILIES.keys() - judging
    counts = np.unique_counts(outlier_digits(DIGITS, 2 * len(FAMILIES), 1, tmp_path, judging=True).family)
    assert set(counts.values) == FAMILIES.keys()
    assert set(counts.counts) == {2}


def test_letters_and_signs_that_judge_are_in_no_print_that_is_trained_on() -> None:
    assert outliers.JUDGING_LETTERS
    assert not set(outliers.JUDGING_LETTERS) & set(outliers._LETTERS)
    assert not set("&#{}€") & set(outliers._SIGNS)
    assert set(outliers.JUDGING_LETTERS) < glyphs.LETTERS.keys()
    assert set(outliers.JUDGING_SIGNS) < glyphs.SIGNS.keys()


def test_no_outlier_is_a_letter_or_a_sign_that_looks_like_a_digit() -> None:
    assert not set(outliers._LETTERS + outliers._CAPITALS + outliers._SIGNS) & LOOK_LIKE_DIGITS
    assert not glyphs.LETTERS.keys() & LOOK_LIKE_DIGITS


def test_a_glyph_is_strokes_within_its_square() -> None:
    for glyph in (glyph for table in TABLES for ways in table.values() for glyph in ways):
        assert re.fullmatch(r"[~o]?\d\d( \d\d)+(; [~o]?\d\d( \d\d)+)*", glyph), glyph
        for stroke in glyphs.strokes(glyph):
            assert stroke.shape[1] == 2
            assert -0.3 <= stroke.min() <= stroke.max() <= 1.3


def test_outliers_are_kept_and_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = outlier_digits(DIGITS, 30, 1, tmp_path / "kept", said.append)
    np.testing.assert_array_equal(outlier_digits(DIGITS, 30, 1, tmp_path / "elsewhere").images, made.images)
    assert (outlier_digits(DIGITS, 30, 2, tmp_path / "kept").images != made.images).any()
    monkeypatch.setattr(outliers, "_drawn", None)
    again = outlier_digits(DIGITS, 30, 1, tmp_path / "kept", said.append)
    np.testing.assert_array_equal(again.images, made.images)
    np.testing.assert_array_equal(again.family, made.family)
    assert len(said) == 1


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    made = outlier_digits(DIGITS, 5, 1, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(outlier_digits(DIGITS, 5, 1, tmp_path).images, made.images)


def test_where_nothing_can_be_kept_outliers_are_made_all_the_same(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    said: list[str] = []
    assert len(outlier_digits(DIGITS, 5, 1, blocked, said.append)) == 5
    assert [line.split(":")[1].split()[0] for line in said] == ["drawing", "not"]
