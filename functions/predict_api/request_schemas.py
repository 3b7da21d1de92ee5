"""What the API is sent, as pydantic models; the OpenAPI description is made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, WithJsonSchema

from digits.forms import MOST_FIELDS
from digits.pictures.canonical import SIDE
from functions.predict_api.documents import WHOLE_MESSAGE, Otherwise

MAX_INSTANCES = 256
MULTIPART_TYPE = "multipart/form-data"

_NUMBER = {"type": "number", "minimum": 0, "maximum": 255}


def _array(items: dict[str, Any], length: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


class _Document(BaseModel):
    """Types are not converted; members that are not known are read over."""

    model_config = ConfigDict(strict=True, extra="ignore")


@final
class ImageRequest(_Document):
    """A picture as a file."""

    image: Annotated[
        str,
        Field(description="an image file in base64, or as a data URL"),
        Otherwise("'image' must be a base64 string or a data URL"),
    ]


@final
class PixelsRequest(_Document):
    """A picture as numbers."""

    # Judged by numpy, many times faster than as a list of floats.
    pixels: Annotated[
        Any,
        Field(description="28 rows of 28 numbers, or 784 numbers: 0..255, or where the largest is at most 1, 0..1"),
        WithJsonSchema({"oneOf": [_array(_array(_NUMBER, SIDE), SIDE), _array(_NUMBER, SIDE * SIDE)]}),
    ]


def _only_one(kinds: dict[str, str], otherwise: str) -> Discriminator:
    """Tell models apart by the one member that is there, of those that name them."""

    def kind_of(document: Any) -> str | None:
        given = kinds.keys() & document.keys() if isinstance(document, dict) else ()
        return kinds[given.pop()] if len(given) == 1 else None

    return Discriminator(kind_of, custom_error_type=WHOLE_MESSAGE, custom_error_message=otherwise)


_KINDS = {"image": "ImageRequest", "pixels": "PixelsRequest", "instances": "InstancesRequest"}
TAGS = frozenset(_KINDS.values())

PictureRequest = Annotated[
    Annotated[ImageRequest, Tag("ImageRequest")] | Annotated[PixelsRequest, Tag("PixelsRequest")],
    _only_one(
        {member: _KINDS[member] for member in ("image", "pixels")},
        "an instance must be an object with either 'image' or 'pixels'",
    ),
]
_INSTANCE = {"description": "an object with either `image` or `pixels`, as one picture alone"}


@final
class InstancesRequest(_Document):
    """Several pictures. One that is wrong has a problem in its place and does not sink the others."""

    # What is no picture stays as it came, and is judged again in its place.
    instances: Annotated[
        list[Annotated[PictureRequest | Any, Field(union_mode="left_to_right"), WithJsonSchema(_INSTANCE)]],
        Field(min_length=1, max_length=MAX_INSTANCES),
        Otherwise(f"'instances' must be a list of 1 to {MAX_INSTANCES} objects"),
    ]


@final
class FieldRequest(_Document):
    """A field of a form."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    box: Annotated[
        list[float],
        Field(
            min_length=4,
            max_length=4,
            description="left, top, width and height, in pixels of the upright picture as sent, or where none is "
            "more than 1, as shares of its width and height",
        ),
        Otherwise("'box' must be left, top, width and height, as four numbers"),
    ]
    length: Annotated[
        int | str | None,
        Field(description="how many digits each row of it has: 5, or `4-6`"),
        Otherwise("'length' must be a number of digits, or a range like '4-6'"),
    ] = None


@final
class FormRequest(_Document):
    """A scanned form and its fields, for `/v1/read`."""

    image: Annotated[
        str,
        Field(description="an image file in base64, or as a data URL"),
        Otherwise("'image' must be a base64 string or a data URL"),
    ]
    fields: Annotated[
        list[FieldRequest],
        Field(min_length=1, max_length=MOST_FIELDS),
    ]


class TokenMember(_Document):
    """The token, which any request document may carry."""

    token: Annotated[str, Otherwise("'token' must be a string")] = ""


AnyRequest = Annotated[
    Annotated[ImageRequest, Tag("ImageRequest")]
    | Annotated[PixelsRequest, Tag("PixelsRequest")]
    | Annotated[InstancesRequest, Tag("InstancesRequest")],
    _only_one(_KINDS, "give one of 'image', 'pixels' and 'instances', in an object"),
]


class Envelope(TokenMember):
    """The document of the published use case, which carries its token."""

    params: AnyRequest


class FormEnvelope(TokenMember):
    """The same for a form."""

    params: FormRequest


picture_request: Callable[[Any], ImageRequest | PixelsRequest] = TypeAdapter(PictureRequest).validator.validate_python
any_request: Callable[[Any], ImageRequest | PixelsRequest | InstancesRequest] = TypeAdapter(
    AnyRequest
).validator.validate_python
