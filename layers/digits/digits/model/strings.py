"""Strings of digits out of a reader's logits: which are likely, how likely, and where each digit is.

The reader says for every second column which digit is there, or none (CTC: Graves et al., "Connectionist Temporal
Classification", 2006). A digit may go on over some columns, and two equal ones have a blank between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.model.contract import BLANK, CLASSES

type Floats = NDArray[np.floating]
# A string, and how likely it is that it has been read so far and a blank came last, or its last digit.
type Followed = tuple[tuple[int, ...], tuple[float, float]]

# A column that is blank with this probability says nothing: runs of such columns count as one.
CERTAIN = 0.9995
# How many strings are followed from column to column, and the least probability of a digit that is followed.
BEAM = 12
LEAST = 1e-4
# How many strings of each length are followed where lengths are asked for, and how likely beside the likeliest of them.
OF_EACH_LENGTH = 4
LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Columns:
    """What the reader says of a line, column by column.

    Attributes:
        probabilities: float64 (n, 11), of the digits and the blank; each row sums to 1.
        places: where each is among the reader's columns: float64 (n,).
    """

    probabilities: NDArray[np.float64]
    places: NDArray[np.float64]

    @classmethod
    def of(cls, logits: Floats) -> Columns:
        """Take the reader's logits of one line, float32 (columns, 11)."""
        shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        places = np.arange(len(probabilities), dtype=np.float64)
        certain = probabilities[:, BLANK] >= CERTAIN
        kept = ~(certain & np.concatenate([[False], certain[:-1]]))
        return cls(probabilities[kept], places[kept])


def greedy(logits: Floats) -> list[int]:
    """Return the digits of the most likely path: repetitions count once, blanks not at all.

    Args:
        logits: float32 (columns, 11).
    """
    path = logits.argmax(axis=1)
    kept = path[np.concatenate([[True], path[1:] != path[:-1]])]
    digits: list[int] = kept[kept != BLANK].tolist()
    return digits


def likely_strings(columns: Columns, longest: int | None = None) -> list[tuple[int, ...]]:
    """Return likely strings, the likeliest first (prefix beam search: Hannun et al., 2014).

    Args:
        longest: if given, the likely strings of each length up to this, although others may be far likelier.
    """
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for row in columns.probabilities.tolist():
        blank = row[BLANK]
        digits = [digit for digit in range(BLANK) if row[digit] > LEAST]
        grown: dict[tuple[int, ...], tuple[float, float]] = {}
        for string, (after_blank, after_digit) in beam.items():
            both = after_blank + after_digit
            last = string[-1] if string else BLANK
            known = grown.get(string, (0.0, 0.0))
            grown[string] = known[0] + both * blank, known[1] + (after_digit * row[last] if string else 0.0)
            for digit in digits:
                longer = (*string, digit)
                known = grown.get(longer, (0.0, 0.0))
                grown[longer] = known[0], known[1] + (after_blank if digit == last else both) * row[digit]
        ranked = sorted(grown.items(), key=lambda each: -sum(each[1]))
        best = ranked[:BEAM] if longest is None else _best_of_each_length(ranked, longest)
        most = sum(best[0][1]) or 1.0
        beam = {string: (one / most, other / most) for string, (one, other) in best}
    return list(beam)


def _best_of_each_length(ranked: list[Followed], longest: int) -> list[Followed]:
    allowed = [each for each in ranked if len(each[0]) <= longest]
    least, seen = LEAST_SHARE * sum(allowed[0][1]), Counter[int]()
    best = []
    for string, likely in allowed:
        seen[len(string)] += 1
        if seen[len(string)] <= OF_EACH_LENGTH and sum(likely) >= least:
            best.append((string, likely))
    return best


def probabilities_of(columns: Columns, strings: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return how likely strings of one length are, each wherever its digits may be: float64 (n,)."""
    labels = np.array(strings, np.intp).reshape(len(strings), -1)
    states, skips = _states(labels)
    emitted = columns.probabilities[:, states]
    at, scale = np.zeros(states.shape), 0.0
    at[:, :2] = emitted[0, :, :2]
    for number in range(1, len(emitted)):
        at = _onward(at, skips) * emitted[number]
        most = at.max()
        if most <= 0:
            return np.zeros(len(labels))
        at, scale = at / most, scale + np.log(most)
    result: NDArray[np.float64] = at[:, -2:].sum(axis=1) * np.exp(scale)
    return np.minimum(result, 1.0)


def alternatives(columns: Columns, string: Sequence[int]) -> NDArray[np.float64]:
    """Return the probabilities of the ten digits at each place of a string, as the others stay: (length, 10)."""
    length = len(string)
    others = np.repeat(np.array(string, np.intp)[None], len(CLASSES) * length, axis=0)
    for place in range(length):
        others[len(CLASSES) * place : len(CLASSES) * (place + 1), place] = np.arange(len(CLASSES))
    likely = probabilities_of(columns, others.tolist()).reshape(length, len(CLASSES))
    result: NDArray[np.float64] = likely / np.maximum(likely.sum(axis=1, keepdims=True), 1e-300)
    return result


def places_of(columns: Columns, string: Sequence[int]) -> NDArray[np.float64]:
    """Return where the digits of a string are, in the reader's columns: the means of their posteriors."""
    states, skips = _states(np.array([string], np.intp))
    emitted = columns.probabilities[:, states[0]]
    count, width = emitted.shape
    forward, backward = np.zeros((count, width)), np.zeros((count, width))
    forward[0, :2], backward[-1, -2:] = emitted[0, :2], 1
    turned = np.concatenate([skips[:, 2:], np.zeros((1, 2), np.bool_)], axis=1)[:, ::-1]
    for number in range(1, count):
        forward[number] = _onward(forward[number - 1 : number], skips)[0] * emitted[number]
        forward[number] /= max(forward[number].max(), 1e-300)
        after = (backward[-number] * emitted[-number])[None, ::-1]
        backward[-number - 1] = _onward(after, turned)[0, ::-1]
        backward[-number - 1] /= max(backward[-number - 1].max(), 1e-300)
    there = forward * backward
    there = (there / np.maximum(there.sum(axis=1, keepdims=True), 1e-300))[:, 1::2]
    result: NDArray[np.float64] = columns.places @ there / np.maximum(there.sum(axis=0), 1e-300)
    return result


def _states(labels: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the digits with blanks around them, (n, 2 length + 1), and which may follow without one."""
    count, length = labels.shape
    states = np.full((count, 2 * length + 1), BLANK)
    states[:, 1::2] = labels
    skips = np.zeros(states.shape, np.bool_)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return states, skips


def _onward(at: NDArray[np.float64], skips: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how likely each state is in the next column, before what that column shows."""
    moved = at.copy()
    moved[:, 1:] += at[:, :-1]
    moved[:, 2:] += np.where(skips[:, 2:], at[:, :-2], 0)
    return moved
