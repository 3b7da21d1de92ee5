"""Tensors of the Open Inference Protocol V2, as JSON and as binary data, to and from numpy.

A message is a JSON document; with the binary tensor extension its tensors' bytes follow the document,
and a header tells where it ends. The protocol's own words are in
https://github.com/kserve/open-inference-protocol and, for the extension, in Triton's
`docs/protocol/extension_binary_data.md`.
"""

from __future__ import annotations

import codecs
import math
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.model.contract import COLUMNS
from digits.pictures.canonical import SIDE
from digits.pictures.rows import LONGEST_LINE
from functions.predict_api.documents import parse_object, pointer, validate
from functions.predict_api.errors import FieldError, MalformedRequestError
from functions.predict_api.inference_schemas import (
    InferenceRequest,
    InputTensor,
    OutputParameters,
    OutputTensor,
    TensorMetadata,
)

MAX_JSON_IMAGES = 1_000  # or lines with as many pixels
# Commas and opening brackets of that many images, nested, and of what is around them: the rest of the body's
# limit is for binary data.
_MAX_JSON_MARKS = MAX_JSON_IMAGES * (SIDE * SIDE + SIDE + 1) + 1_000
# Of the side that a model leaves free: a line's width, in columns. Memory grows with it.
FREE_SIZES = range(COLUMNS, LONGEST_LINE + 1)
_TOO_MANY_VALUES = f"JSON is for up to {MAX_JSON_IMAGES * SIDE * SIDE:,} pixels; more can come as binary data"
# An image may also begin with these bytes; its sender must announce that it is raw.
_OBJECT = re.compile(rb"(?:" + codecs.BOM_UTF8 + rb")?\s*\{")
_UNSERVED_PARAMETERS = ("classification", "shared_memory_region")


@dataclass(frozen=True)
class Inference:
    """What a message asks for.

    Attributes:
        id: the caller's name for the request.
        images: uint8 (batch, 28, 28); of lines, (batch, 32, width).
        binary_output: whether the answer's tensor should follow its document as bytes.
    """

    id: str | None
    images: NDArray[np.uint8]
    binary_output: bool


def read_inference(
    data: bytes, header_length: str | None, source: TensorMetadata, target: TensorMetadata, *, is_json: bool = False
) -> Inference:
    """Read a message.

    Args:
        header_length: how many bytes the document has, as the header says; all without one. With 0, which is Triton's
            raw binary request, the message is the input's bytes alone, and the answer is binary, too.
        source: the contract of the model's input.
        target: the contract of the model's output.
        is_json: whether the message says that it is JSON. Otherwise, without the header, what cannot be a document
            and holds whole images is a raw binary request.

    Raises:
        MalformedRequestError: it has no document, or announces images and holds no whole ones.
        FieldError: the document asks for something that the model does not do.
    """
    length = _document_length(data, header_length)
    if length == 0 and header_length is not None:
        return _raw(data, source)
    if header_length is None and not is_json and not _OBJECT.match(data) and _image_count(data, source):
        return _raw(data, source)
    document = parse_object(data[:length], _MAX_JSON_MARKS, _TOO_MANY_VALUES)
    request = validate(InferenceRequest.model_validate, document)
    (tensor,) = request.inputs
    _check_contract(tensor, source)
    images = _values(tensor, memoryview(data)[length:])
    return Inference(request.id, images, _wants_binary(request, target))


def write_tensor(values: NDArray[np.float32], contract: TensorMetadata, binary: bool) -> tuple[OutputTensor, bytes]:
    """Return an output for the answer's document, and the bytes that follow the document.

    Args:
        values: float32, of the contract's shape.
        binary: whether the values should be bytes.
    """
    tensor = OutputTensor(name=contract.name, datatype=contract.datatype, shape=list(values.shape))
    if not binary:
        tensor.data = values.ravel().tolist()
        return tensor, b""
    little_endian = values.astype("<f4", copy=False).tobytes()
    tensor.parameters = OutputParameters(binary_data_size=len(little_endian))
    return tensor, little_endian


def _raw(data: bytes, source: TensorMetadata) -> Inference:
    count = _image_count(data, source)
    if -1 in source.shape[1:]:
        raise MalformedRequestError(
            f"{source.name!r} are of any width: a JSON document must come first and give the shape"
        )
    if not count:
        size = math.prod(source.shape[1:])
        raise MalformedRequestError(
            f"a length of 0 says that the body is not a JSON document but raw data: images of {size:,} bytes each"
        )
    images = np.frombuffer(data, np.uint8).reshape(count, *source.shape[1:])
    return Inference(None, images, binary_output=True)


def _image_count(data: bytes, source: TensorMetadata) -> int:
    """Return how many images the bytes are, or 0 where they are no whole ones, or may be of several sizes."""
    if -1 in source.shape[1:]:
        return 0
    count, rest = divmod(len(data), math.prod(source.shape[1:]))
    return 0 if rest else count


def _document_length(data: bytes, header_length: str | None) -> int:
    if header_length is None:
        return len(data)
    # Not only int(): it takes signs, spaces and underscores, and chokes on thousands of digits.
    if not re.fullmatch(r"[0-9]{1,9}", header_length) or int(header_length) > len(data):
        raise MalformedRequestError(
            f"inference-header-content-length must be the number of JSON bytes at the start of the body's {len(data):,}"
        )
    return int(header_length)


def _check_contract(tensor: InputTensor, source: TensorMetadata) -> None:
    if tensor.name != source.name:
        raise FieldError(f"the model's input is named {source.name!r}", pointer("inputs", 0, "name"))
    if tensor.datatype != source.datatype:
        raise FieldError(f"the datatype of {source.name!r} is {source.datatype}", pointer("inputs", 0, "datatype"))
    if len(tensor.shape) != len(source.shape) or any(
        wanted not in (-1, size) for size, wanted in zip(tensor.shape, source.shape, strict=True)
    ):
        raise FieldError(
            f"the shape of {source.name!r} is {source.shape}, where -1 is of any size", pointer("inputs", 0, "shape")
        )
    if tensor.shape[0] == 0:
        raise FieldError(f"the batch of {source.name!r} is empty", pointer("inputs", 0, "shape"))
    for size, wanted in zip(tensor.shape[1:], source.shape[1:], strict=True):
        if wanted == -1 and size not in FREE_SIZES:
            raise FieldError(
                f"{source.name!r} are {FREE_SIZES[0]} to {FREE_SIZES[-1]:,} columns wide", pointer("inputs", 0, "shape")
            )


def _values(tensor: InputTensor, binary: memoryview) -> NDArray[np.uint8]:
    size = tensor.parameters.binary_data_size if tensor.parameters else None
    if (size is None) == (tensor.data is None):
        raise FieldError(
            "an input has either 'data' or, with its bytes after the document, the parameter 'binary_data_size'",
            pointer("inputs", 0),
        )
    place = pointer("inputs", 0, "parameters", "binary_data_size")
    if (size or 0) != len(binary):
        raise FieldError(f"{len(binary):,} bytes follow the document, 'binary_data_size' is {size or 0:,}", place)
    count = math.prod(tensor.shape)
    if size not in (None, count):
        raise FieldError(f"{tensor.datatype} of shape {tensor.shape} has {count:,} bytes, not {size:,}", place)
    pixels = binary if size is not None else _json_bytes(tensor.data, tensor.shape)
    return np.frombuffer(pixels, np.uint8).reshape(tensor.shape)


def _json_bytes(data: Any, shape: list[int]) -> bytes:
    place = pointer("inputs", 0, "data")
    nested = isinstance(data, list) and bool(data) and isinstance(data[0], list)
    level = [data]
    for size in shape if nested else [math.prod(shape)]:
        if not all(isinstance(row, list) and len(row) == size for row in level):
            raise FieldError(f"'data' must be the {math.prod(shape):,} values of shape {shape}, flat or nested", place)
        level = list(chain.from_iterable(level))
    # Exactly int: bool is one too, and is no pixel.
    if set(map(type, level)) != {int}:
        raise FieldError("'data' must be whole numbers", place)
    try:
        return bytes(level)
    except ValueError as error:
        raise FieldError("'data' must lie in 0..255", place) from error


def _wants_binary(request: InferenceRequest, target: TensorMetadata) -> bool:
    default = bool(request.parameters and request.parameters.binary_data_output)
    if not request.outputs:
        return default
    (output,) = request.outputs
    if output.name != target.name:
        raise FieldError(f"the model's output is named {target.name!r}", pointer("outputs", 0, "name"))
    if output.parameters is None:
        return default
    for name, value in (output.parameters.model_extra or {}).items():
        if name in _UNSERVED_PARAMETERS and value is not None:
            raise FieldError(f"{name!r} is not served", pointer("outputs", 0, "parameters", name))
    binary = output.parameters.binary_data
    return default if binary is None else binary
