"""Numbers read out of pictures, as answers, and where the time of a request went."""

from __future__ import annotations

import re
from collections.abc import Callable

from digits import forms, numbers
from digits.errors import FormFieldError, InputError
from digits.model.identity import READER_FILE
from digits.model.manifest import Manifest
from digits.model.proof import LoadedModel
from digits.numbers import ANY, MOST_DIGITS, Found, Hints, Lengths, NumberReading
from digits.pictures.rows import MOST_ROWS
from digits.reading import Picture
from functions.predict_api import problems
from functions.predict_api.errors import FieldError, QueryError
from functions.predict_api.fields import FormPayload
from functions.predict_api.schemas import (
    FieldNumber,
    Form,
    ModelReference,
    Number,
    NumberDigit,
    NumberRow,
    Problem,
    ReaderSummary,
)
from functions.predict_api.telemetry import ServerTiming

# A field with a shorter side than this, in pixels of the picture as sent, has no size.
LEAST_SIDE = 0.5
# Fields may reach beyond the page by this share of it, as boxes are rounded, and cover this share of each other.
BEYOND = 0.005
MOST_OVERLAP = 0.1
_LENGTH = r"[0-9]{1,2}(-[0-9]{1,2})?"


def hints_of(length: str | None, rows: int | None) -> Hints:
    """Return what a request says of its pictures.

    Args:
        length: how many digits each row has: `5`, or `4-6`.
        rows: how many rows there are.

    Raises:
        QueryError: that cannot be.
    """
    if rows is not None and not 1 <= rows <= MOST_ROWS:
        raise QueryError(f"'rows' must be a number from 1 to {MOST_ROWS}")
    return Hints(ANY if length is None else _lengths_of(length), rows)


def _lengths_of(text: str) -> Lengths:
    least, _, most = text.partition("-")
    if re.fullmatch(_LENGTH, text) and 1 <= int(least) <= int(most or least) <= MOST_DIGITS:
        return Lengths(int(least), int(most or least))
    raise QueryError(f"'length' must be a number of digits from 1 to {MOST_DIGITS}, or a range like 4-6")


def find_each(readers: tuple[Callable[[], Picture], ...], timing: ServerTiming) -> list[Found | InputError]:
    """Find the rows of pictures that do not sink each other; an error stands in the place of its picture."""
    outcomes: list[Found | InputError] = []
    for reader in readers:
        try:
            with timing.phase("decode"):
                picture = reader()
            with timing.phase("rows"):
                outcomes.append(numbers.find(picture))
        except InputError as error:
            outcomes.append(error)
    return outcomes


def read_each(
    found: list[Found | InputError],
    loaded: LoadedModel,
    hints: Hints,
    request_id: str,
    timing: ServerTiming,
) -> list[Number | Problem]:
    """Read the rows of pictures; a problem stands in the place of what holds no digit."""
    model = _reference(loaded)
    answers: list[Number | Problem] = []
    for each in found:
        try:
            if isinstance(each, InputError):
                raise each
            with timing.phase("inference"):
                read = numbers.read(each, loaded, hints)
            with timing.phase("encoding"):
                answers.append(_number(read, model, request_id))
        except InputError as error:
            answers.append(Problem.model_validate(problems.describe(error, request_id)))
    return answers


def read_form(payload: FormPayload, load: Callable[[], LoadedModel], request_id: str, timing: ServerTiming) -> Form:
    """Read the fields of a form.

    Args:
        load: returns the model, for a picture and fields that can be used.

    Raises:
        InputError: the picture cannot be used, or a field of it cannot be.
        UnavailableError: the model or its reader cannot be had.
    """
    with timing.phase("decode"):
        picture = payload.reader()
    fields = _fields_of(payload, picture)
    loaded = load()
    try:
        with timing.phase("inference"):
            read = forms.read_form(picture, fields, loaded)
    except FormFieldError as error:
        index = next(number for number, field in enumerate(fields) if field.name == error.name)
        raise FieldError(str(error), f"{payload.place}/{index}") from error
    return Form(
        fields={name: _told(reading) for name, reading in read.fields.items()},
        input_sha256=read.sha256,
        model=_reference(loaded),
        request_id=request_id,
    )


def describe_reader(manifest: Manifest) -> ReaderSummary | None:
    """Return what is published of the reader; None for a version that has none."""
    record = manifest.reader
    if record is None or READER_FILE not in manifest.files:
        return None
    return ReaderSummary(
        recipe=record.recipe.name,
        parameter_count=record.recipe.parameter_count,
        size_bytes=manifest.files[READER_FILE].size_bytes,
        line_form=record.line_form,
        acceptance_threshold=record.acceptance_threshold,
        agreement_threshold=record.agreement_threshold,
        exact={row.name: row.exact for row in record.test.rows},
    )


def _fields_of(payload: FormPayload, picture: Picture) -> list[forms.Field]:
    """Return the fields, their boxes as shares of the page.

    Raises:
        FieldError: one of them cannot be.
    """
    image = picture.image
    height, width = (side * image.scale for side in image.pixels.shape)
    fields: list[forms.Field] = []
    for index, field in enumerate(payload.fields):
        place = f"{payload.place}/{index}"
        if any(field.name == other.name for other in fields):
            raise FieldError(f"two fields have the name {field.name!r}", f"{place}/name")
        units = (1, 1) if max(field.box) <= 1 else (width, height)
        left, top, wide, high = (side / units[number % 2] for number, side in enumerate(field.box))
        if not (wide * width >= LEAST_SIDE and high * height >= LEAST_SIDE):
            raise FieldError(f"the box of {field.name!r} has no size", f"{place}/box")
        if not (min(left, top) >= 0 and max(left, top) < 1 and max(left + wide, top + high) <= 1 + BEYOND):
            raise FieldError(f"the box of {field.name!r} is not on the page", f"{place}/box")
        over = next((other for other in fields if _overlap((left, top, wide, high), other.box) > MOST_OVERLAP), None)
        if over:
            raise FieldError(f"the boxes of {over.name!r} and {field.name!r} overlap", f"{place}/box")
        try:
            lengths = ANY if field.length is None else _lengths_of(str(field.length))
        except QueryError as error:
            raise FieldError(str(error), f"{place}/length") from error
        fields.append(forms.Field(field.name, (left, top, wide, high), Hints(lengths)))
    return fields


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return how much of the smaller of two boxes the other one covers."""
    sides = [min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    return max(0.0, sides[0]) * max(0.0, sides[1]) / min(one[2] * one[3], other[2] * other[3])


def _reference(loaded: LoadedModel) -> ModelReference:
    return ModelReference(version=loaded.manifest.version, accuracy=loaded.manifest.test.accuracy)


def _number(read: NumberReading, model: ModelReference, request_id: str) -> Number:
    told = _told(read)
    return Number(**dict(told), input_sha256=read.sha256, model=model, request_id=request_id)


def _told(read: NumberReading) -> FieldNumber:
    return FieldNumber(
        text=read.text,
        conf=read.conf,
        accepted=read.accepted,
        rows=[
            NumberRow(
                text=row.text,
                conf=row.conf,
                accepted=row.accepted,
                box=list(row.box),
                digits=[
                    NumberDigit(
                        pred=digit.pred,
                        conf=digit.conf,
                        probabilities=digit.probabilities.tolist(),
                        box=list(digit.box),
                    )
                    for digit in row.digits
                ],
            )
            for row in read.rows
        ],
        warnings=list(read.warnings),
    )
