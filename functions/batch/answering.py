"""Pictures to the answers that stand in the lines of a result: what the API says of them, for many at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import Any, Protocol

from pydantic import BaseModel

from digits.errors import InputError
from digits.model.manifest import Manifest
from digits.model.proof import LoadedModel, prove
from digits.numbers import NO_HINTS, Hints
from digits.reading import Prepared
from functions.batch.contents import Content, Item, Request
from functions.predict_api import numbers, prediction
from functions.predict_api.errors import FieldError
from functions.predict_api.numbers import hints_of
from functions.predict_api.telemetry import ServerTiming

DIGITS, NUMBERS = "digits", "numbers"
MOST_AT_ONCE = 256
NUMBERS_AT_ONCE = 16  # of those that a process reads beside others, as each takes as long as a hundred digits
_DECIMALS = 6
# What the API says of itself and of the request, and not of the picture; the line has its own.
_LEFT_OUT = {"request_id", "model", "input_sha256", "errors"}

# A JSON object: what a line of a result says of its picture.
type Answer = bytes


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        kind: `digits`, one in each picture, or `numbers`, rows of digits.
        length: of numbers, how many digits a row has, as `/v1/read` takes it.
    """

    kind: str = DIGITS
    length: str | None = None

    def hints(self) -> Hints:
        """Return what is known of the numbers; raises InputError."""
        return NO_HINTS if self.length is None else hints_of(self.length, None)


class Answering(Protocol):
    """Something that reads pictures."""

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """Return an answer to each picture, in order, or what is wrong with it as its `problem`, as JSON."""


# Returns what reads pictures, given a model's version, and None for the one to begin with; and the version and accuracy
# of that model.
type Answers = Callable[[str | None, Reading], tuple[Answering, str, float]]


class ModelAnswering:
    """A model of this process."""

    def __init__(self, model: LoadedModel, reading: Reading) -> None:
        """Take a model.

        Raises:
            NoReaderError: it reads no numbers, and those are to be read.
            InputError: the numbers cannot have such a length.
        """
        self._model, self._kind, self._hints = model, reading.kind, reading.hints()
        if self._kind == NUMBERS:
            model.numbers.get()

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """See `Answering`."""
        if self._kind == NUMBERS:
            return ((item, self._number(item)) for item in items)
        return self._digits(items)

    def _digits(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        timing = ServerTiming()
        # What a picture came in is let go as soon as it is prepared: 256 large ones would fill the memory.
        every = ((item.let_go(), prepared) for item in items for prepared in [_prepared(item, timing)])
        for chunk in batched(every, MOST_AT_ONCE, strict=False):
            prepared = [each for _, each in chunk]
            told = prediction.predict(prepared, self._model, "", explain=False, timing=timing)
            yield from ((item, _told(each)) for (item, _), each in zip(chunk, told, strict=True))

    def _number(self, item: Item) -> Answer:
        timing, content = ServerTiming(), item.content
        if isinstance(content, Request) and content.form:
            try:
                return _told(numbers.read_form(content.form, lambda: self._model, "", timing))
            except InputError as error:
                return problem_of(error)
        found = numbers.find_each((content.picture,), timing)
        (number,) = numbers.read_each(found, self._model, self._hints, "", timing)
        return _told(number)


def copy_of(model: LoadedModel, reading: Reading) -> Callable[[], ModelAnswering]:
    """Return what makes a `ModelAnswering` in another process: it can be pickled."""
    reader = model.numbers.get().network.model if reading.kind == NUMBERS else None
    return partial(_copied, model.manifest, model.classifier.model, reader, reading)


def _copied(manifest: Manifest, model: bytes, reader: bytes | None, reading: Reading) -> ModelAnswering:
    proved = prove(manifest, model, reader=None if reader is None else lambda: reader)
    return ModelAnswering(proved, reading)


def _prepared(item: Item, timing: ServerTiming) -> Prepared | InputError:
    try:
        refuse_form(item.content)
        return prediction.prepare(item.content.picture, timing)
    except InputError as error:
        error.__traceback__ = error.__cause__ = error.__context__ = None  # whose frames hold the picture
        return error


def _told(document: BaseModel) -> Answer:
    return answer_of(document.model_dump(exclude_none=True))


def problem_of(error: InputError) -> Answer:
    """Return what a line says of a picture that cannot be read."""
    return _told(prediction.problem_of(error, "", explain=False))


def refuse_form(content: Content) -> None:
    """Let a picture of a digit pass; raises InputError of a form."""
    if isinstance(content, Request) and content.form:
        raise FieldError("forms are read where numbers are", "/fields")


def answer_of(document: dict[str, Any]) -> Answer:
    """Return what a line of a result says, of what the API answers."""
    told = {name: _rounded(value) for name, value in document.items() if name not in _LEFT_OUT}
    return encoded({"problem": told} if "status" in told else told)


def encoded(document: dict[str, Any]) -> bytes:
    """Return a document as JSON; what is no character, as names of files may have, as a question mark."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _rounded(value: Any) -> Any:
    """Return a value with its probabilities in six decimals, which halves a line."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value
