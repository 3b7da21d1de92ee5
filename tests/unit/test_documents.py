"""JSON bodies, guarded and validated."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from functions.predict_api.documents import Otherwise, parse_object, pointer, validate
from functions.predict_api.errors import FieldError, MalformedRequestError


class Inner(BaseModel):
    """A part."""

    size: Annotated[int, Field(ge=0)] = 0


class Outer(BaseModel):
    """A whole."""

    items: list[Inner] = []
    name: Annotated[str, Field(max_length=3), Otherwise("a name has up to three letters")] = ""


@pytest.mark.parametrize("data", [b'{"a": [1, {"b": 2}]}', b'\xef\xbb\xbf{"a": [1, {"b": 2}]}'])
def test_an_object_is_parsed_up_to_the_limit_of_its_marks(data: bytes) -> None:
    assert parse_object(data, 4, "too many") == {"a": [1, {"b": 2}]}
    with pytest.raises(MalformedRequestError, match=r"^too many$"):
        parse_object(data, 3, "too many")


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"7", b"null", b"{}{}", b'{"a": NaN}', b"\xff", b"[" * 90_000])
def test_what_is_no_object_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="JSON"):
        parse_object(data, 1_000_000, "too many")


def test_the_first_finding_tells_its_place() -> None:
    with pytest.raises(FieldError, match=r"^'size': Input should be") as caught:
        validate(Outer.model_validate, {"items": [{}, {"size": -1}], "name": 7}, "/params")
    assert caught.value.pointer == "/params/items/1/size"


@pytest.mark.parametrize("name", [7, None, "long"])
def test_a_field_says_its_own_message_whatever_is_wrong(name: object) -> None:
    with pytest.raises(FieldError, match=r"^a name has up to three letters$") as caught:
        validate(Outer.model_validate, {"name": name})
    assert caught.value.pointer == "/name"


def test_tags_of_unions_are_no_places() -> None:
    with pytest.raises(FieldError) as caught:
        validate(Outer.model_validate, {"items": [7]}, tags=frozenset({"items"}))
    assert caught.value.pointer == "/0"
    assert pointer("inputs", 0, "data") == "/inputs/0/data"
    assert pointer() == ""
