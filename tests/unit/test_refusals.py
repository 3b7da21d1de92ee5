"""Pictures that must be refused: always the same."""

from __future__ import annotations

import numpy as np

from training.dataset import load_subset
from training.refusals import BLANK_SHEETS, SEVERAL_DIGITS, blank_sheet, refused_pictures, several_digits

PART = load_subset().holdout.sample(40)


def test_what_must_be_refused_is_always_the_same() -> None:
    for index in (0, 5):
        np.testing.assert_array_equal(blank_sheet(index), blank_sheet(index))
        np.testing.assert_array_equal(several_digits(PART, index), several_digits(PART, index))
    assert blank_sheet(0).shape != blank_sheet(8).shape


def test_there_are_as_many_of_each_kind() -> None:
    pictures = refused_pictures(PART, 3)
    assert {name: len(forms) for name, forms in pictures.items()} == {BLANK_SHEETS: 3, SEVERAL_DIGITS: 3}
