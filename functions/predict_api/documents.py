"""JSON bodies to pydantic models: guarded against what costs memory, each finding with the pointer to its place."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema, from_json

from functions.predict_api.errors import FieldError, MalformedRequestError

# pydantic's name for findings whose message stands alone.
WHOLE_MESSAGE = "whole_message"


@dataclass(frozen=True)
class Otherwise:
    """An annotation: what is said of a field that is wrong, whatever it is that is wrong with it."""

    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Put the message in place of all that pydantic finds."""
        return core_schema.custom_error_schema(
            handler(source), custom_error_type=WHOLE_MESSAGE, custom_error_message=self.message
        )


def parse_object(data: bytes, most_marks: int, otherwise: str) -> dict[str, Any]:
    """Return a JSON object.

    Args:
        most_marks: of its commas and opening brackets. A number may cost 16 times its bytes in memory, an
            array or an object more, so that a small body could fill it.
        otherwise: what is said of a document that has more of them.

    Raises:
        MalformedRequestError: it is none, or one whose structure is out of all proportion.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > most_marks:
        raise MalformedRequestError(otherwise)
    try:
        document = from_json(data.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise MalformedRequestError(f"the body is not a JSON document: {error}") from error
    if not isinstance(document, dict):
        raise MalformedRequestError("the body must be a JSON object")
    return document


def validate[T](validator: Callable[[Any], T], value: Any, place: str = "", tags: frozenset[str] = frozenset()) -> T:
    """Return what a validator of pydantic makes of a part of a document.

    Args:
        place: JSON pointer to the part.
        tags: parts of pydantic's paths that tell a member of a union, and no place.

    Raises:
        FieldError: the first finding.
    """
    try:
        return validator(value)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = [str(part) for part in finding["loc"] if part not in tags]
        message = finding["msg"] if finding["type"] == WHOLE_MESSAGE else f"{path[-1]!r}: {finding['msg']}"
        raise FieldError(message, place + pointer(*path)) from error


def pointer(*path: str | int) -> str:
    """Return a JSON pointer (RFC 6901); no part may hold a slash or a tilde."""
    return "".join(f"/{part}" for part in path)
