"""Strings out of logits: against all paths, counted one by one."""

from __future__ import annotations

from itertools import groupby, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from digits.model.contract import BLANK
from digits.model.strings import Columns, alternatives, greedy, likely_strings, places_of, probabilities_of
from digits.numbers import ANY, Lengths, read_line

KNOWN = (0, 7, BLANK)  # the others are out of the question, so that there are few paths


def logits_of(columns: int, seed: int = 1) -> np.ndarray:
    logits = np.full((columns, 11), -50.0, np.float32)
    logits[:, KNOWN] = np.random.default_rng(seed).normal(0, 2, (columns, len(KNOWN)))
    return logits


def string_of(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(digit for digit, _ in groupby(path) if digit != BLANK)


def every_string(columns: Columns) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = {}
    for path in product(KNOWN, repeat=len(columns.probabilities)):
        likely = float(np.prod(columns.probabilities[np.arange(len(path)), path]))
        found[string_of(path)] = found.get(string_of(path), 0.0) + likely
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_string_is_as_likely_as_all_of_its_paths_together(seed: int) -> None:
    columns = Columns.of(logits_of(6, seed))
    found = every_string(columns)
    assert sum(found.values()) == pytest.approx(1, abs=1e-9)
    for string in ((), (0,), (7, 7), (0, 7, 0)):
        assert probabilities_of(columns, [string])[0] == pytest.approx(found[string], rel=1e-6)
    assert likely_strings(columns)[0] == max(found, key=lambda string: found[string])


def unsure_logits(extra: float) -> np.ndarray:
    """Logits of 2, 0, 4 and 6, each with a doubt of 40 %, and of a 1 behind them that is there so likely."""
    logits = np.full((11, 11), -50.0, np.float32)
    logits[::2, BLANK] = 0
    for place, (digit, other) in enumerate([(2, 7), (0, 6), (4, 9), (6, 5)]):
        logits[2 * place + 1, [digit, other]] = np.log([0.6, 0.4])
    logits[9, [1, BLANK]] = np.log([extra, 1 - extra])
    return logits


def test_the_likeliest_string_of_a_length_is_found_although_many_longer_ones_are_likelier() -> None:
    columns = Columns.of(unsure_logits(0.95))
    assert {len(string) for string in likely_strings(columns)} == {5}
    strings = likely_strings(columns, 4)
    assert max(map(len, strings)) == 4
    assert next(string for string in strings if len(string) == 4) == (2, 0, 4, 6)
    assert likely_strings(columns, 40)[0] == (2, 0, 4, 6, 1)


@pytest.mark.parametrize("lengths", [Lengths(4, 4), Lengths(3, 4)])
def test_a_line_is_read_with_the_length_that_was_asked_for(lengths: Lengths) -> None:
    assert read_unsure(0.95, lengths) == (2, 0, 4, 6)


def test_a_length_that_is_out_of_the_question_is_not_read() -> None:
    assert read_unsure(0.999, Lengths(4, 4)) is None
    assert read_unsure(0.95, Lengths(9, 9)) is None
    assert read_unsure(0.95, ANY) == (2, 0, 4, 6, 1)


def read_unsure(extra: float, lengths: Lengths) -> tuple[int, ...] | None:
    reader: Any = SimpleNamespace(logits=lambda _: unsure_logits(extra)[None])
    reading = read_line(np.zeros((32, 22), np.uint8), reader, lengths)
    return reading.string if reading else None


def test_two_equal_digits_need_a_blank_between_them() -> None:
    logits = np.full((3, 11), -50.0, np.float32)
    logits[[0, 2], 7] = 50
    logits[1, BLANK] = 50
    assert greedy(logits) == [7, 7]
    assert likely_strings(Columns.of(logits))[0] == (7, 7)
    logits[1] = logits[0]
    assert greedy(logits) == [7]


def test_columns_that_are_blank_for_certain_change_hardly_anything() -> None:
    logits = logits_of(5)
    paper = np.full((30, 11), -50.0, np.float32)
    paper[:, BLANK] = 50
    alone, among = Columns.of(logits), Columns.of(np.concatenate([paper, logits, paper]))
    assert len(among.places) == len(alone.places) + 2
    for string in ((0,), (7, 0)):
        assert probabilities_of(among, [string])[0] == pytest.approx(probabilities_of(alone, [string])[0], rel=1e-6)
    np.testing.assert_allclose(places_of(among, (7, 0)), places_of(alone, (7, 0)) + 30, atol=1e-6)


def test_each_place_has_ten_alternatives_that_add_up() -> None:
    columns = Columns.of(logits_of(6))
    others = alternatives(columns, (0, 7))
    assert others.shape == (2, 10)
    np.testing.assert_allclose(others.sum(axis=1), 1)
    found = every_string(columns)
    assert others[1, 7] == pytest.approx(found[0, 7] / (found[0, 7] + found[0, 0]), rel=1e-6)


def test_digits_are_where_the_columns_say() -> None:
    logits = np.full((9, 11), -50.0, np.float32)
    logits[:, BLANK] = 0
    logits[2, 0], logits[[5, 6], 7] = 20, 20
    np.testing.assert_allclose(places_of(Columns.of(logits), (0, 7)), [2, 5.5], atol=0.01)


def test_a_string_that_does_not_fit_has_no_probability() -> None:
    columns = Columns.of(logits_of(2))
    assert probabilities_of(columns, [(0, 7, 0)]).tolist() == [0]
