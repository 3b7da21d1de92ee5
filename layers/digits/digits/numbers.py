"""From a picture to the number on it: rows of digits, each read as a whole, digit by digit confirmed.

find          rows of a decoded picture, as lines for the reader: raises UnreadableDigitError
read_line     what the reader makes of a line: a string, how likely it is, its digits and their places
confirm       what the classifier says of the digits that stand alone
read          all of it for one picture
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digits.errors import TooMuchError, UnreadableDigitError
from digits.model.classifier import Classifier
from digits.model.contract import CLASSES, COLUMNS
from digits.model.proof import LoadedModel
from digits.model.reader import Reader
from digits.model.strings import Columns, alternatives, likely_strings, places_of, probabilities_of
from digits.pictures.canonical import TOUCHES_EDGE, from_strokes
from digits.pictures.components import find_components
from digits.pictures.rows import LINE_HEIGHT, LONGEST_LINE, Box, Row, Rows, find_rows
from digits.reading import Picture

type Pixels = NDArray[np.uint8]

MOST_DIGITS = 40  # in a row
# What counts as ink in a line, of 255.
INK = 100
# A component is a digit's own if this share of its width lies between the cuts; another one that has more than the
# second share of that room hangs together with a neighbour.
OWN = 0.7
FOREIGN = 0.2
# Off the middle between two digits, a cut costs so much ink a column.
OFF_MIDDLE = 0.15
# How much the classifier's say counts beside the reader's, whose errors are partly the same; and what it is at least.
SAY = 0.5
LEAST_SAY = 1e-5
UNSURE = 0.5  # how likely it is that there is no digit where something is that is no row
UNCONFIRMED = 3  # digits or more may all touch each other
# A string of the length that was asked for is at least so many times as likely as the likeliest of all.
LEAST_LIKELY = 0.01
OTHER_LENGTH = "other_length"
OTHER_ROWS = "other_rows"
LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Lengths:
    """How many digits a row may have."""

    least: int = 0
    most: int = LONGEST_LINE

    def allow(self, count: int) -> bool:
        """Return whether so many are allowed."""
        return self.least <= count <= self.most


ANY = Lengths()


@dataclass(frozen=True)
class Hints:
    """What is known of a picture before it is read.

    Attributes:
        lengths: how many digits each row has.
        rows: how many rows there are, which is only checked; None is not known.
    """

    lengths: Lengths = ANY
    rows: int | None = None


NO_HINTS = Hints()


@dataclass(frozen=True)
class LineReading:
    """What the reader makes of a line.

    Attributes:
        string: its digits.
        probability: how likely the string is.
        alternatives: the probabilities of the ten digits at each place, as the others stay: (length, 10).
        spans: first column of the line, and the one after the last, of each digit.
    """

    string: tuple[int, ...]
    probability: float
    alternatives: NDArray[np.float64]
    spans: list[tuple[int, int]]


def read_line(pixels: Pixels, reader: Reader, lengths: Lengths = ANY) -> LineReading | None:
    """Read a line.

    Args:
        pixels: uint8 (32, width), as `digits.pictures.rows` draws it.

    Returns:
        The likeliest string of a length that is allowed; None if no likely one is.

    Raises:
        TooMuchError: it has more digits than are read.
    """
    columns = Columns.of(reader.logits(pixels[None])[0])
    strings = likely_strings(columns)
    string = _allowed(strings, lengths)
    if string is None:
        string = _allowed(likely_strings(columns, lengths.most), lengths)
    if string is None:
        return None
    if len(string) > MOST_DIGITS:
        raise TooMuchError(f"a row has {len(string)} digits, where up to {MOST_DIGITS} are read")
    (probability,) = probabilities_of(columns, [string])
    if string != strings[0] and probability < LEAST_LIKELY * probabilities_of(columns, [strings[0]])[0]:
        return None
    if not string:
        return LineReading((), float(probability), np.zeros((0, len(CLASSES))), [])
    middles = COLUMNS * places_of(columns, string) + COLUMNS / 2 - 0.5
    return LineReading(string, float(probability), alternatives(columns, string), _spans(pixels, middles))


def _allowed(strings: Sequence[tuple[int, ...]], lengths: Lengths) -> tuple[int, ...] | None:
    return next((string for string in strings if lengths.allow(len(string))), None)


def own_digits(pixels: Pixels, reading: LineReading) -> list[Pixels | None]:
    """Return the digits of a line in canonical form, uint8 (28, 28); None for one that touches a neighbour."""
    labels, components = find_components(pixels >= INK)
    found: list[Pixels | None] = []
    for start, stop in reading.spans:
        own, free = [], True
        for each in components:
            shared = min(each.right, stop) - max(each.left, start)
            if shared >= OWN * each.width:
                own.append(each.label)
            elif shared >= FOREIGN * (stop - start):
                free = False
        ink = np.where(np.isin(labels[:, start:stop], own), pixels[:, start:stop], 0) if free and own else None
        try:
            found.append(None if ink is None else from_strokes(ink.astype(np.float32) / np.float32(255)))
        except UnreadableDigitError:
            found.append(None)
    return found


def confirm(
    lines: Sequence[Pixels], readings: Sequence[LineReading], classifier: Classifier
) -> list[tuple[LineReading, float]]:
    """Return readings with the classifier's say in them, and the least probability that it gives to a digit of each.

    Digits that touch a neighbour are left out, as it would see a part of that. Where nothing is left, it is 1 for three
    digits or more, which few other things look like, and else 0.
    """
    asked = [
        (number, place, image)
        for number, (pixels, reading) in enumerate(zip(lines, readings, strict=True))
        for place, image in enumerate(own_digits(pixels, reading))
        if image is not None
    ]
    confirmed = list(readings)
    alone = {number for number, _, _ in asked}
    least = [
        1.0 if number in alone or len(reading.string) >= UNCONFIRMED else 0.0 for number, reading in enumerate(readings)
    ]
    if asked:
        probabilities = classifier.predict(np.stack([image for _, _, image in asked]))
        for (number, place, _), of_digits in zip(asked, probabilities, strict=True):
            confirmed[number] = _weighed(confirmed[number], place, of_digits.astype(np.float64))
            least[number] = min(least[number], float(of_digits[confirmed[number].string[place]]))
    return list(zip(confirmed, least, strict=True))


def _weighed(reading: LineReading, place: int, of_digits: NDArray[np.float64]) -> LineReading:
    """Return a reading with what the classifier says of one of its digits: probabilities, (10,)."""
    before = reading.alternatives[place]
    both = before * np.maximum(of_digits, LEAST_SAY) ** SAY
    both /= both.sum()
    digit, alternatives = int(both.argmax()), reading.alternatives.copy()
    alternatives[place] = both
    probability = reading.probability * float(both[digit] / before[reading.string[place]])
    string = (*reading.string[:place], digit, *reading.string[place + 1 :])
    return replace(reading, string=string, probability=min(1.0, probability), alternatives=alternatives)


def _spans(pixels: Pixels, middles: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the columns of digits around their middles: cut where there is least ink, without paper."""
    ink = (pixels >= INK).sum(axis=0)
    cuts = [0]
    for left, right in pairwise(middles):
        low = max(cuts[-1], int(left + 0.2 * (right - left)))
        high = max(low + 1, min(len(ink), math.ceil(left + 0.8 * (right - left))))
        off = OFF_MIDDLE * np.abs(np.arange(low, high) - (left + right) / 2)
        cuts.append(low + int((ink[low:high] + off).argmin()))
    spans = []
    for start, stop in pairwise([*cuts, len(ink)]):
        inked = np.flatnonzero(ink[start:stop])
        spans.append((start + int(inked[0]), start + int(inked[-1]) + 1) if len(inked) else (start, stop))
    return spans


@dataclass(frozen=True)
class Digit:
    """A digit of a row.

    Attributes:
        probabilities: of the digits 0 to 9, as the rest of the row stays: (10,).
        box: left, top, width and height in pixels of the upright picture as sent.
    """

    pred: int
    probabilities: NDArray[np.float64]
    box: Box

    @property
    def conf(self) -> float:
        """The probability of the digit."""
        return float(self.probabilities[self.pred])


@dataclass(frozen=True)
class RowReading:
    """A row of digits.

    Attributes:
        conf: how likely the whole row is.
        accepted: whether that reaches the threshold of the model's manifest, the classifier does not contradict, and
            the row does not go on beyond the picture.
        box: as of a digit.
    """

    digits: tuple[Digit, ...]
    conf: float
    accepted: bool
    box: Box

    @property
    def text(self) -> str:
        """The digits."""
        return "".join(str(digit.pred) for digit in self.digits)


@dataclass(frozen=True)
class NumberReading:
    """The rows of a picture, from top to bottom.

    Attributes:
        warnings: `other_length`, no row reads well with the length that was asked for; `other_rows`, the picture has
            another number of rows; `left_out`, something was left out that may be a row; `touches_edge`, a row may go
            on beyond the picture.
        steps: what was done to the picture.
        sha256: of the picture.
        nothing: how likely it is that what was found and holds no row holds no digit.
        nothing_found: where there are no rows, whether there is surely nothing that might be one.
    """

    rows: tuple[RowReading, ...]
    warnings: tuple[str, ...]
    steps: tuple[str, ...]
    sha256: str
    nothing: float = 0.0
    nothing_found: bool = False

    @property
    def text(self) -> str:
        """The rows, a line each."""
        return "\n".join(row.text for row in self.rows)

    @property
    def conf(self) -> float:
        """How likely it is that all rows are right, or that there is nothing."""
        return math.prod(row.conf for row in self.rows) * self.nothing

    @property
    def accepted(self) -> bool:
        """Whether all rows are accepted, or nothing was found at all, and nothing warns against it."""
        return not self.warnings and (all(row.accepted for row in self.rows) if self.rows else self.nothing_found)


@dataclass(frozen=True)
class Found:
    """The rows of a picture as lines.

    Attributes:
        as_sent: returns a box of `rows` in pixels of the upright picture as sent.
        sha256: of the picture.
    """

    rows: Rows
    steps: tuple[str, ...]
    as_sent: Callable[[Box], Box]
    sha256: str


def find(picture: Picture) -> Found:
    """Find the rows of a picture.

    Raises:
        UnreadableDigitError: it shows none.
        TooMuchError: it shows too many.
    """
    rows = find_rows(picture.image.pixels)
    return Found(rows, (*picture.image.steps, *rows.steps), picture.image.as_sent, picture.sha256)


def read(found: Found, model: LoadedModel, hints: Hints = NO_HINTS) -> NumberReading:
    """Read the rows of a picture.

    Raises:
        UnreadableDigitError: `not_a_digit`, none of the rows holds a digit.
        TooMuchError: a row has more digits than are read.
        NoReaderError, CorruptModelError, StoreError: the reader cannot be had.
    """
    reading = read_rows(found, model, hints)
    if not reading.rows:
        raise UnreadableDigitError("what the picture shows looks like no digit", "not_a_digit")
    return reading


def read_rows(found: Found, model: LoadedModel, hints: Hints = NO_HINTS) -> NumberReading:
    """Read the rows of a picture as `read` does, but where there is no digit, return how likely that is."""
    reader = model.numbers.get()
    warnings: list[str] = []
    lines, readings, nothing = [], [], 1.0
    for row in found.rows.rows:
        hinted = read_line(row.pixels, reader.network, hints.lengths)
        reading = hinted or read_line(row.pixels, reader.network)
        if reading is None or not reading.string:
            nothing *= reading.probability if reading else 0.0
            continue
        if hinted is None:
            warnings.append(OTHER_LENGTH)
        lines.append(row)
        readings.append(reading)
    least, agreeing = reader.record.acceptance_threshold, reader.record.agreement_threshold
    if lines and (found.rows.left_out or nothing < (least or 1)):
        warnings.append(LEFT_OUT)
    if any(row.cut for row in lines):
        warnings.append(TOUCHES_EDGE)
    if hints.rows not in (None, len(lines)):
        warnings.append(OTHER_ROWS)
    confirmed = confirm([row.pixels for row in lines], readings, model.classifier)
    told = tuple(
        RowReading(
            digits=_digits(row, reading, found.as_sent),
            conf=reading.probability,
            accepted=least is not None and reading.probability >= least and agrees >= agreeing and not row.cut,
            box=found.as_sent(row.box),
        )
        for row, (reading, agrees) in zip(lines, confirmed, strict=True)
    )
    return NumberReading(told, tuple(dict.fromkeys(warnings)), found.steps, found.sha256, nothing)


def nothing_there(picture_sha256: str, model: LoadedModel, *, surely: bool) -> NumberReading:
    """Return the reading of a place where no row was found.

    Args:
        surely: whether it is paper and nothing else; then the reading is as sure as the reader is of an empty line, and
            otherwise `UNSURE` of that.
    """
    line = np.zeros((LINE_HEIGHT, 2 * LINE_HEIGHT), np.uint8)
    reading = read_line(line, model.numbers.get().network, Lengths(0, 0))
    probability = (reading.probability if reading else 0.0) * (1 if surely else UNSURE)
    return NumberReading((), (), (), picture_sha256, probability, nothing_found=surely)


def _digits(row: Row, reading: LineReading, as_sent: Callable[[Box], Box]) -> tuple[Digit, ...]:
    return tuple(
        Digit(pred, probabilities, as_sent(row.box_of(*span)))
        for pred, probabilities, span in zip(reading.string, reading.alternatives, reading.spans, strict=True)
    )
