"""Request documents to forms: a picture, and the fields that are to be read on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from digits.reading import Picture
from functions.predict_api.documents import validate
from functions.predict_api.errors import FieldError, MalformedRequestError
from functions.predict_api.payloads import Body, base64_picture
from functions.predict_api.request_schemas import FieldRequest, FormEnvelope, FormRequest, TokenMember

FIELDS = "fields"
LONG_SIDE = 2_000  # a form's longest side, in pixels, as its digits are small
_BESIDE_AN_IMAGE = "'fields' belong to one picture: send one form a request, as JSON with 'image' and 'fields'"


@dataclass(frozen=True)
class FormPayload:
    """A form and its fields.

    Attributes:
        reader: decodes the picture, or raises an InputError.
        place: JSON pointer to the list of fields.
    """

    reader: Callable[[], Picture]
    fields: list[FieldRequest]
    place: str


def read_form_payload(body: Body) -> FormPayload | None:
    """Return the form that a body asks to be read; None where it names no fields.

    Raises:
        RequestError: the body as a whole cannot be used, or has its fields where they would be read over.
    """
    if body.is_form and any(part.name == FIELDS and not part.is_file for part in body.parts):
        raise MalformedRequestError(_BESIDE_AN_IMAGE)
    if not body.is_json:
        return None
    document = body.document
    enveloped = "params" in document
    if enveloped and FIELDS in document:
        raise FieldError("'fields' belong into 'params', beside the 'image'", f"/{FIELDS}")
    request, place = (document["params"], "/params") if enveloped else (document, "")
    if not isinstance(request, dict) or FIELDS not in request:
        _refuse_fields_of_instances(request, place)
        return None
    if enveloped:
        form = validate(FormEnvelope.model_validate, document).params
    else:
        validate(TokenMember.model_validate, document)
        form = validate(FormRequest.model_validate, document)
    read = partial(base64_picture, form.image, f"{place}/image", LONG_SIDE)
    return FormPayload(read, form.fields, f"{place}/{FIELDS}")


def _refuse_fields_of_instances(request: Any, place: str) -> None:
    instances = request.get("instances") if isinstance(request, dict) else None
    for index, instance in enumerate(instances if isinstance(instances, list) else ()):
        if isinstance(instance, dict) and FIELDS in instance:
            raise FieldError(_BESIDE_AN_IMAGE, f"{place}/instances/{index}/{FIELDS}")
