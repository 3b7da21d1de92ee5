"""Request bodies to pictures, whichever of the ways in they came."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from digits.errors import ImageError
from digits.pictures.canonical import SIDE
from digits.pictures.images import LONG_SIDE, MEDIA_TYPES
from digits.reading import Picture
from functions.predict_api.documents import parse_object, validate
from functions.predict_api.errors import BodyTooLargeError, FieldError, MalformedRequestError, MediaTypeError
from functions.predict_api.request_schemas import (
    MAX_INSTANCES,
    MULTIPART_TYPE,
    TAGS,
    Envelope,
    ImageRequest,
    InstancesRequest,
    PixelsRequest,
    TokenMember,
    any_request,
    picture_request,
)

if TYPE_CHECKING:
    from functions.predict_api.forms import Part

MAX_BODY_BYTES = 4_500_000
MAX_ANSWER_BYTES = 6_000_000  # of the 6 MiB that Lambda passes on, some are for headers
# Commas and opening brackets of as many instances, nested, as there may be, and of what is around them.
_MAX_JSON_MARKS = MAX_INSTANCES * (SIDE * SIDE + SIDE + 2) + 1_000
_TOKEN_NAME = b'"token"'
# Tokens have some 40 characters, and no quotes.
_TOKEN_VALUE = re.compile(rb'\s{0,1000}+:\s{0,1000}+("[^"]{1,1000}+")')
_MAX_TOKENS = MAX_INSTANCES + 1  # one of the envelope's own, and should its instances have some


@dataclass(frozen=True)
class Payload:
    """What a body asks for.

    Attributes:
        readers: one for each picture, in order; each decodes its picture or raises an InputError.
        several: whether the answer is a list, even of one.
    """

    readers: tuple[Callable[[], Picture], ...]
    several: bool


@dataclass(frozen=True)
class Body:
    """A request's body and what it says that it is.

    Attributes:
        sent: as it came, maybe compressed.
    """

    sent: bytes
    content_type: str
    encoding: str = ""

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in small letters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the body should be a request document; without a content type it should."""
        return self.media_type in ("", "application/json")

    @property
    def is_image(self) -> bool:
        """Whether the body should be an image file; of which format shows in the file."""
        return self.media_type.startswith("image/")

    @property
    def is_form(self) -> bool:
        """Whether the body should be a form with files."""
        return self.media_type == MULTIPART_TYPE

    @cached_property
    def data(self) -> bytes:
        """The body with its encoding undone, once; raises as `decompress` does."""
        if not self.encoding:
            return self.sent
        from functions.predict_api.encoding import decompress  # as few bodies are encoded

        return decompress(self.sent, self.encoding, MAX_BODY_BYTES)

    @cached_property
    def parts(self) -> list[Part]:
        """The parts of a form, read once; raises as `parts_of` does."""
        from functions.predict_api.forms import parts_of  # with its modules: few requests are forms

        return parts_of(self.data, self.content_type)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object, parsed once; raises MalformedRequestError as `parse_object` does."""
        return parse_object(
            self.data, _MAX_JSON_MARKS, "the JSON document has more values than any request that is served"
        )


async def read_body(request: Request) -> Body:
    """Read a body, up to the limit; its encoding is undone when it is first looked at.

    Raises:
        BodyTooLargeError: it is longer.
        MalformedRequestError: it ends early.
    """
    data = bytearray()
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > MAX_BODY_BYTES:
                    raise BodyTooLargeError(f"the body has more than the {MAX_BODY_BYTES:,} bytes that are served")
    except ClientDisconnect as error:
        raise MalformedRequestError("the body ended early") from error
    encoding = ", ".join(request.headers.getlist("content-encoding"))
    return Body(bytes(data), request.headers.get("content-type", ""), encoding)


async def read_envelope(request: Request) -> Body | None:
    """Read the body of a request without a token in its headers, or return None where it can hold none.

    Raises:
        MediaTypeError: it may hold a token, but is of a type that nobody reads.
        BodyTooLargeError, MalformedRequestError: see `read_body`.
    """
    announced = Body(b"", request.headers.get("content-type", ""))
    if announced.is_json:
        return await read_body(request)
    if announced.is_image or announced.is_form:
        return None
    raise _unserved_type()


def possible_tokens(body: Body) -> Iterator[str]:
    """Give what may be the token of a request document, without parsing it.

    Raises:
        RequestError: the body's encoding cannot be undone.
    """
    end = 0
    for _ in range(_MAX_TOKENS):
        start = body.data.find(_TOKEN_NAME, end)  # many times faster than a search of `re`
        if start < 0:
            return
        end = start + len(_TOKEN_NAME)
        if member := _TOKEN_VALUE.match(body.data, end):
            with suppress(ValueError):
                yield from_json(member[1])


def envelope_token(body: Body) -> str | None:
    """Return the token that a request document carries, or None.

    Raises:
        MalformedRequestError: it is no JSON object.
    """
    token = body.document.get("token")
    return token if isinstance(token, str) else None


def read_payload(body: Body) -> Payload:
    """Return what a body asks for; the pictures in it are not decoded yet.

    Raises:
        RequestError: the body as a whole cannot be used.
    """
    if body.is_json:
        return _payload_of(body.document)
    if body.is_image:
        return Payload((partial(Picture.of_file, body.data),), several=False)
    if body.is_form:
        from functions.predict_api.forms import files_of

        files = files_of(body.parts, MAX_INSTANCES)
        return Payload(tuple(partial(Picture.of_file, data) for data in files), several=len(files) > 1)
    raise _unserved_type()


def check_answer(document: bytes) -> None:
    """Let an answer pass that a gateway can pass on.

    Raises:
        BodyTooLargeError: it cannot; Lambda would fail, without a word to the caller.
    """
    if len(document) + document.count(b'"') > MAX_ANSWER_BYTES:  # Lambda puts it into a JSON string
        raise BodyTooLargeError(f"the answer would have more than {MAX_ANSWER_BYTES:,} bytes: ask for less at a time")


def _unserved_type() -> MediaTypeError:
    return MediaTypeError(f"the content type must be application/json, {MULTIPART_TYPE}, {' or '.join(MEDIA_TYPES)}")


def _payload_of(document: dict[str, Any]) -> Payload:
    if "params" in document:
        place, request = "/params", validate(Envelope.model_validate, document, tags=TAGS).params
    else:
        if "token" in document:
            validate(TokenMember.model_validate, document)
        place, request = "", validate(any_request, document, tags=TAGS)
    if type(request) is not InstancesRequest:  # isinstance takes microseconds on a model of pydantic
        return Payload((partial(_picture, request, place),), several=False)
    readers = (
        partial(_instance, instance, f"{place}/instances/{index}") for index, instance in enumerate(request.instances)
    )
    return Payload(tuple(readers), several=True)


def _instance(instance: Any, place: str) -> Picture:
    if type(instance) is not ImageRequest and type(instance) is not PixelsRequest:
        instance = validate(picture_request, instance, place, TAGS)
    return _picture(instance, place)


def _picture(request: ImageRequest | PixelsRequest, place: str) -> Picture:
    if type(request) is ImageRequest:
        return base64_picture(request.image, f"{place}/image")
    return _pixel_picture(request.pixels, f"{place}/pixels")


def base64_picture(text: str, pointer: str, long_side: int = LONG_SIDE) -> Picture:
    """Return the picture of a file in base64, or of a data URL.

    Args:
        pointer: JSON pointer to the text.
        long_side: larger pictures are reduced to about this, in pixels.

    Raises:
        FieldError: it is no picture.
    """
    if text.startswith("data:"):
        header, _, text = text.partition(",")
        if not header.endswith(";base64"):
            raise FieldError("'image' is a data URL that is not base64", pointer)
    try:
        # Encoders that follow MIME break lines.
        return Picture.of_file(base64.b64decode("".join(text.split()), validate=True), long_side)
    except (binascii.Error, ValueError) as error:
        raise FieldError("'image' is not base64", pointer) from error
    except ImageError as error:
        raise FieldError(str(error), pointer) from error


def _pixel_picture(pixels: Any, pointer: str) -> Picture:
    if not isinstance(pixels, list) or len(pixels) not in (SIDE, SIDE * SIDE):
        raise FieldError("'pixels' must be 28 rows of 28 numbers, or 784 numbers", pointer)
    if len(pixels) == SIDE:
        for index, row in enumerate(pixels):
            if not isinstance(row, list) or len(row) != SIDE:
                raise FieldError("a row of 'pixels' must be 28 numbers", f"{pointer}/{index}")
        pixels = [value for row in pixels for value in row]
    if not set(map(type, pixels)) <= {int, float}:  # not bool, which is an int
        raise FieldError("'pixels' must be numbers", pointer)
    try:
        values = np.array(pixels, np.float64)
    except OverflowError:  # a JSON integer may have any number of digits
        values = np.array([math.inf])
    if not (values.min() >= 0 and values.max() <= 255):  # which NaN does not pass either
        raise FieldError("'pixels' must lie in 0..255, or in 0..1", pointer)
    if values.max() <= 1:
        values = values * 255
    grey = np.rint(values).astype(np.uint8).reshape(SIDE, SIDE)
    return Picture.of_pixels(grey)
