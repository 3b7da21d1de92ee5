"""Request bodies to pictures."""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from digits.errors import BodyTooLargeError, FieldError, ImageError, MalformedRequestError, MediaTypeError
from digits.images import decode

MAX_BODY_BYTES = 4_500_000
IMAGE_TYPES = ("image/png", "image/jpeg")
SIDE = 28


@dataclass(frozen=True)
class Picture:
    """One picture as it came.

    Attributes:
        grey: uint8 (height, width), 0 black to 255 white.
        sha256: digest of the image file, or of the 784 pixels as bytes.
    """

    grey: NDArray[np.uint8]
    sha256: str


@dataclass(frozen=True)
class Body:
    """A request's body and what it says that it is."""

    data: bytes
    media_type: str

    @property
    def is_json(self) -> bool:
        """Whether the body should be a request document; without a content type it should."""
        return self.media_type in ("", "application/json")


async def read_body(request: Request) -> Body:
    """Read a body, up to the limit.

    Raises:
        BodyTooLargeError: it is longer.
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
    return Body(bytes(data), request.headers.get("content-type", "").partition(";")[0].strip().lower())


def envelope_token(body: Body) -> str | None:
    """Return the token that a request document carries, or None; the rest of the body is not judged here."""
    if not body.is_json:
        return None
    try:
        document = _document(body.data)
    except MalformedRequestError:
        return None
    token = document.get("token") if isinstance(document, dict) else None
    return token if isinstance(token, str) else None


def read_picture(body: Body) -> Picture:
    """Return the picture in a body.

    Raises:
        RequestError: there is none, or not one that can be used.
    """
    if body.is_json:
        return _picture_of(_document(body.data))
    if body.media_type in IMAGE_TYPES:
        return _picture_file(body.data)
    raise MediaTypeError(f"the content type must be application/json, {' or '.join(IMAGE_TYPES)}")


def _document(data: bytes) -> Any:
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedRequestError(f"the body is not a JSON document: {error}") from error


def _picture_of(document: Any) -> Picture:
    if not isinstance(document, dict):
        raise MalformedRequestError("the body must be a JSON object with 'image' or 'pixels'")
    place = ""
    if "params" in document:
        document, place = document["params"], "/params"
        if not isinstance(document, dict):
            raise FieldError("'params' must be an object with 'image' or 'pixels'", place)
    if ("image" in document) == ("pixels" in document):
        raise FieldError("give either 'image' or 'pixels'", place)
    if "image" in document:
        return _base64_picture(document["image"], f"{place}/image")
    return _pixel_picture(document["pixels"], f"{place}/pixels")


def _base64_picture(text: Any, pointer: str) -> Picture:
    if not isinstance(text, str):
        raise FieldError("'image' must be a base64 string", pointer)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return _picture_file(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise FieldError("'image' is not base64", pointer) from error
    except ImageError as error:
        raise FieldError(str(error), pointer) from error


def _picture_file(data: bytes) -> Picture:
    return Picture(decode(data), hashlib.sha256(data).hexdigest())


def _pixel_picture(rows: Any, pointer: str) -> Picture:
    if not isinstance(rows, list) or len(rows) != SIDE:
        raise FieldError("'pixels' must be 28 rows of 28 numbers", pointer)
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != SIDE or not all(type(value) in (int, float) for value in row):
            raise FieldError("a row of 'pixels' must be 28 numbers", f"{pointer}/{index}")
    # Not straight to bytes: a JSON integer may have any number of digits.
    values = np.array([[float(min(max(value, -1), 256)) for value in row] for row in rows])
    if values.min() < 0 or values.max() > 255:
        raise FieldError("'pixels' must lie in 0..255, or in 0..1", pointer)
    if values.max() <= 1:
        values = values * 255
    grey = np.rint(values).astype(np.uint8)
    return Picture(grey, hashlib.sha256(grey.tobytes()).hexdigest())
