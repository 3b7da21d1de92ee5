"""Messages of the Open Inference Protocol, to and from numpy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.model.contract import Tensor
from functions.predict_api.errors import FieldError, MalformedRequestError
from functions.predict_api.inference_schemas import TensorMetadata
from functions.predict_api.payloads import MAX_BODY_BYTES
from functions.predict_api.tensors import (
    MAX_JSON_IMAGES,
    Inference,
    read_inference,
    write_tensor,
)
from tests import events

PIXELS = TensorMetadata(name="pixels", datatype="UINT8", shape=[-1, 28, 28])
PROBABILITIES = TensorMetadata(name="probabilities", datatype="FP32", shape=[-1, 10])


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.open(events.DIGITS / f"{digit}.png")) for digit in (3, 8)])


def tensor(**changes: Any) -> dict[str, Any]:
    """A right input of one black image; a None removes a member."""
    members = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28], "data": [0] * 784, **changes}
    return {name: value for name, value in members.items() if value is not None}


def request(**members: Any) -> dict[str, Any]:
    return {"inputs": [tensor()], **members}


def read(document: Any, binary: bytes | None = None, length: str | None = None) -> Inference:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    if binary is not None and length is None:
        length = str(len(data))
    return read_inference(data + (binary or b""), length, PIXELS, PROBABILITIES)


def refused(document: Any, binary: bytes | None = None) -> tuple[str, str]:
    with pytest.raises(FieldError) as caught:
        read(document, binary)
    return caught.value.pointer, str(caught.value)


# What is right


def test_the_contract_is_the_manifests() -> None:
    manifest = Tensor(name="pixels", dtype="uint8", shape=[-1, 28, 28], minimum=0, maximum=255)
    assert TensorMetadata.of(manifest) == PIXELS


def test_json_and_binary_give_the_same_images(images: NDArray[np.uint8]) -> None:
    shape = list(images.shape)
    flat = read(request(inputs=[tensor(shape=shape, data=images.ravel().tolist())]))
    nested = read(request(inputs=[tensor(shape=shape, data=images.tolist())]))
    declared = tensor(shape=shape, data=None, parameters={"binary_data_size": images.size})
    binary = read(request(inputs=[declared]), images.tobytes())
    for inference in (flat, nested, binary):
        assert inference.images.dtype == np.uint8
        assert np.array_equal(inference.images, images)


def test_binary_images_are_the_bodys_own_bytes() -> None:
    document = json.dumps(request(inputs=[tensor(data=None, parameters={"binary_data_size": 784})])).encode()
    data = document + bytes(784)
    inference = read_inference(data, str(len(document)), PIXELS, PROBABILITIES)
    assert np.shares_memory(inference.images, np.frombuffer(data, np.uint8))


def test_a_raw_binary_request_is_the_images_alone(images: NDArray[np.uint8]) -> None:
    data = images.tobytes()
    for length, is_json in (("0", False), ("0", True), ("000", False), (None, False)):
        inference = read_inference(data, length, PIXELS, PROBABILITIES, is_json=is_json)
        assert np.array_equal(inference.images, images)
        assert (inference.id, inference.binary_output) == (None, True)


@pytest.mark.parametrize("first", [b"{", b" {", b"\xef\xbb\xbf\n{"])
def test_images_that_begin_like_a_document_must_be_announced(first: bytes) -> None:
    data = first + bytes(784 - len(first))
    assert read_inference(data, "0", PIXELS, PROBABILITIES).images.shape == (1, 28, 28)
    with pytest.raises(MalformedRequestError, match="not a JSON document"):
        read_inference(data, None, PIXELS, PROBABILITIES)


def test_what_says_that_it_is_json_is_no_image() -> None:
    with pytest.raises(MalformedRequestError, match="not a JSON document"):
        read_inference(bytes(784), None, PIXELS, PROBABILITIES, is_json=True)


@pytest.mark.parametrize("size", [0, 1, 783, 785])
def test_raw_binary_data_must_be_whole_images(size: int) -> None:
    with pytest.raises(MalformedRequestError, match="images of 784 bytes"):
        read_inference(bytes(size), "0", PIXELS, PROBABILITIES)
    with pytest.raises(MalformedRequestError, match="not a JSON document"):
        read_inference(bytes(size), None, PIXELS, PROBABILITIES)


def test_a_document_as_long_as_an_image_is_a_document() -> None:
    document = json.dumps(request()).encode()
    document += b" " * (-len(document) % 784)
    assert read_inference(document, None, PIXELS, PROBABILITIES).binary_output is False


def test_a_length_that_covers_the_whole_body_is_right() -> None:
    assert read(request(), b"").images.shape == (1, 28, 28)


def test_the_largest_batch_that_a_body_holds_is_read() -> None:
    count = 5_700
    declared = tensor(shape=[count, 28, 28], data=None, parameters={"binary_data_size": count * 784})
    binary = bytes(count * 784)
    assert len(json.dumps(request(inputs=[declared]))) + len(binary) <= MAX_BODY_BYTES
    assert read(request(inputs=[declared]), binary).images.shape == (count, 28, 28)


@pytest.mark.parametrize(
    ("members", "binary"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"parameters": {"binary_data_output": False}}, False),
        ({"outputs": []}, False),
        ({"outputs": [{"name": "probabilities"}]}, False),
        ({"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}, True),
        ({"outputs": [{"name": "probabilities"}], "parameters": {"binary_data_output": True}}, True),
        (
            {
                "outputs": [{"name": "probabilities", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            False,
        ),
    ],
)
def test_the_output_is_binary_where_it_is_asked_for(members: dict[str, Any], binary: bool) -> None:
    assert read(request(**members)).binary_output is binary


def test_the_id_is_kept_and_unknown_members_are_read_over() -> None:
    inference = read(request(id="an id", parameters={"sequence_id": 7, "priority": 1}, more=[1]))
    assert inference.id == "an id"
    assert read(request()).id is None


def test_optional_members_may_be_null() -> None:
    nothing = {"id": None, "parameters": None, "outputs": None}
    read_over = read(request(**nothing))
    assert (read_over.id, read_over.binary_output, read_over.images.shape) == (None, False, (1, 28, 28))
    inside = {"parameters": {"binary_data_output": None}, "outputs": [{"name": "probabilities", "parameters": None}]}
    assert not read(request(**inside)).binary_output
    unused = {"binary_data": None, "classification": None, "shared_memory_region": None}
    output = {"name": "probabilities", "parameters": unused}
    assert read(request(parameters={"binary_data_output": True}, outputs=[output])).binary_output
    for parameters in (None, {"binary_data_size": None}):
        assert read(request(inputs=[tensor() | {"parameters": parameters}])).images.shape == (1, 28, 28)
    declared = tensor(parameters={"binary_data_size": 784}) | {"data": None}
    assert read(request(inputs=[declared]), bytes(784)).images.shape == (1, 28, 28)


@pytest.mark.parametrize("name", ["name", "datatype", "shape"])
def test_a_required_member_may_not_be_null(name: str) -> None:
    assert refused(request(inputs=[tensor() | {name: None}]))[0] == f"/inputs/0/{name}"
    assert refused({"inputs": None})[0] == "/inputs"


def test_an_output_comes_back_as_it_was() -> None:
    values = np.random.default_rng(0).random((3, 10), np.float32)
    plain, nothing = write_tensor(values, PROBABILITIES, binary=False)
    assert (plain.name, plain.datatype, plain.shape) == ("probabilities", "FP32", [3, 10])
    assert (plain.parameters, nothing) == (None, b"")
    assert np.array_equal(np.array(plain.data, np.float32).reshape(plain.shape), values)
    declared, binary = write_tensor(values, PROBABILITIES, binary=True)
    assert declared.data is None
    assert declared.parameters is not None
    assert declared.parameters.binary_data_size == len(binary) == 120
    assert np.array_equal(np.frombuffer(binary, "<f4").reshape(3, 10), values)


# What is wrong in the document


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"name": "image"}, "/inputs/0/name", "'pixels'"),
        ({"name": 7}, "/inputs/0/name", "string"),
        ({"name": None}, "/inputs/0/name", "required"),
        ({"datatype": "FP32"}, "/inputs/0/datatype", "UINT8"),
        ({"datatype": "uint8"}, "/inputs/0/datatype", "UINT8"),
        ({"datatype": None}, "/inputs/0/datatype", "required"),
        ({"shape": None}, "/inputs/0/shape", "required"),
        ({"shape": "1,28,28"}, "/inputs/0/shape", "list"),
        ({"shape": []}, "/inputs/0/shape", "[-1, 28, 28]"),
        ({"shape": [28, 28]}, "/inputs/0/shape", "[-1, 28, 28]"),
        ({"shape": [1, 784]}, "/inputs/0/shape", "[-1, 28, 28]"),
        ({"shape": [1, 28, 28, 1]}, "/inputs/0/shape", "[-1, 28, 28]"),
        ({"shape": [1, 0, 28]}, "/inputs/0/shape", "[-1, 28, 28]"),
        ({"shape": [0, 28, 28], "data": []}, "/inputs/0/shape", "'pixels' is empty"),
        ({"shape": [-1, 28, 28]}, "/inputs/0/shape/0", "greater than or equal to 0"),
        ({"shape": [1.0, 28, 28]}, "/inputs/0/shape/0", "integer"),
        ({"shape": [True, 28, 28]}, "/inputs/0/shape/0", "integer"),
        ({"shape": ["1", 28, 28]}, "/inputs/0/shape/0", "integer"),
        ({"shape": [10**400, 28, 28]}, "/inputs/0/shape/0", "less than"),
        ({"shape": [1] * 100_000}, "/inputs/0/shape", "at most 8"),
        ({"shape": ["x"] * 100_000}, "/inputs/0/shape/0", "integer"),
        ({"shape": [2, 28, 28]}, "/inputs/0/data", "1,568 values of shape [2, 28, 28]"),
        ({"shape": [2**31 - 1, 28, 28]}, "/inputs/0/data", "values of shape"),
        ({"data": None}, "/inputs/0", "either 'data'"),
        ({"parameters": {"binary_data_size": 784}}, "/inputs/0", "either 'data'"),
        ({"data": None, "parameters": {"shared_memory_region": "x"}}, "/inputs/0", "either 'data'"),
        ({"parameters": {"binary_data_size": "784"}}, "/inputs/0/parameters/binary_data_size", "integer"),
        ({"parameters": {"binary_data_size": -784}}, "/inputs/0/parameters/binary_data_size", "greater than"),
        ({"parameters": [1]}, "/inputs/0/parameters", "InputParameters"),
        ({"data": []}, "/inputs/0/data", "784 values"),
        ({"data": "0" * 784}, "/inputs/0/data", "784 values"),
        ({"data": {"0": 0}}, "/inputs/0/data", "784 values"),
        ({"data": 0}, "/inputs/0/data", "784 values"),
        ({"data": [0] * 783}, "/inputs/0/data", "784 values"),
        ({"data": [0] * 785}, "/inputs/0/data", "784 values"),
        ({"data": [[0] * 784]}, "/inputs/0/data", "flat or nested"),
        ({"data": [[0] * 28] * 28}, "/inputs/0/data", "flat or nested"),
        ({"data": [[[0] * 28] * 27 + [[0] * 27]]}, "/inputs/0/data", "flat or nested"),
        ({"data": [[[0] * 28] * 27 + [0]]}, "/inputs/0/data", "flat or nested"),
        ({"data": [[[[0]] * 28] * 28]}, "/inputs/0/data", "whole numbers"),
        ({"data": [[0]] + [0] * 783}, "/inputs/0/data", "flat or nested"),
        ({"data": [0] * 783 + [[0]]}, "/inputs/0/data", "whole numbers"),
        ({"data": [0] * 783 + [0.5]}, "/inputs/0/data", "whole numbers"),
        ({"data": [0] * 783 + [1.0]}, "/inputs/0/data", "whole numbers"),
        ({"data": [0] * 783 + [True]}, "/inputs/0/data", "whole numbers"),
        ({"data": [0] * 783 + ["0"]}, "/inputs/0/data", "whole numbers"),
        ({"data": [0] * 783 + [{}]}, "/inputs/0/data", "whole numbers"),
        ({"data": [None] * 784}, "/inputs/0/data", "whole numbers"),
        ({"data": [0] * 783 + [256]}, "/inputs/0/data", "0..255"),
        ({"data": [0] * 783 + [-1]}, "/inputs/0/data", "0..255"),
        ({"data": [0] * 783 + [10**400]}, "/inputs/0/data", "0..255"),
        ({"data": [0] * 783 + [-(10**400)]}, "/inputs/0/data", "0..255"),
    ],
)
def test_a_wrong_input_is_pointed_at(members: dict[str, Any], pointer: str, detail: str) -> None:
    found, message = refused(request(inputs=[tensor(**members)]))
    assert found == pointer
    assert detail in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("members", "pointer", "detail"),
    [
        ({"inputs": []}, "/inputs", "at least 1"),
        ({"inputs": [tensor(), tensor()]}, "/inputs", "at most 1"),
        ({"inputs": [7] * 100_000}, "/inputs/0", "valid dictionary"),
        ({"inputs": tensor()}, "/inputs", "list"),
        ({"id": 7}, "/id", "string"),
        ({"parameters": {"binary_data_output": 1}}, "/parameters/binary_data_output", "boolean"),
        ({"outputs": [{"name": "logits"}]}, "/outputs/0/name", "'probabilities'"),
        ({"outputs": [{}]}, "/outputs/0/name", "required"),
        ({"outputs": [{"name": "probabilities"}] * 2}, "/outputs", "at most 1"),
        (
            {"outputs": [{"name": "probabilities", "parameters": {"classification": 3}}]},
            "/outputs/0/parameters/classification",
            "not served",
        ),
        (
            {"outputs": [{"name": "probabilities", "parameters": {"shared_memory_region": "x"}}]},
            "/outputs/0/parameters/shared_memory_region",
            "not served",
        ),
        (
            {"outputs": [{"name": "probabilities", "parameters": {"binary_data": "yes"}}]},
            "/outputs/0/parameters/binary_data",
            "boolean",
        ),
    ],
)
def test_a_wrong_request_is_pointed_at(members: dict[str, Any], pointer: str, detail: str) -> None:
    found, message = refused(request(**members))
    assert found == pointer
    assert detail in message


def test_a_request_without_inputs_is_pointed_at() -> None:
    assert refused({}) == ("/inputs", "'inputs': Field required")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[1]",
        b"7",
        b"null",
        b"\xff\xfe",
        b'{"id": "\\ud800"}',
        b'{"inputs": NaN}',
        b'{"inputs": [{"data": [' + b"1" * 5_000 + b"]}]}",
        b"[" * 90_000,
        b'{"inputs": ' * 90_000,
        b"{}{}",
    ],
)
def test_what_is_no_document_is_malformed(document: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read(document)


@pytest.mark.parametrize("value", [b"[]", b"{}", b"1e5", b"999", b"0"])
def test_a_document_of_countless_values_is_not_even_parsed(value: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="784,000 pixels; more can come as binary data"):
        read(b"[" + (value + b",") * 1_000_000 + b"0]")


@pytest.mark.parametrize("nested", [True, False])
def test_the_largest_batch_of_json_is_read(nested: bool) -> None:
    pixels = np.ones((MAX_JSON_IMAGES, 28, 28), np.uint8)
    data = (pixels if nested else pixels.ravel()).tolist()
    assert read(request(inputs=[tensor(shape=list(pixels.shape), data=data)])).images.sum() == pixels.size


# What is wrong around the document


@pytest.mark.parametrize("length", ["", "-1", "+5", " 5", "5 ", "1_0", "0x5", "5.0", "five", "٥", "9" * 5_000, "1,1"])
def test_a_length_that_is_no_number_is_malformed(length: str) -> None:
    with pytest.raises(MalformedRequestError, match="inference-header-content-length"):
        read(request(), b"", length)


@pytest.mark.parametrize(("offset", "detail"), [(1, "content-length"), (-1, "not a JSON document")])
def test_a_length_that_lies_is_malformed(offset: int, detail: str) -> None:
    document = json.dumps(request()).encode()
    with pytest.raises(MalformedRequestError, match=detail):
        read(document, b"", str(len(document) + offset))


def test_a_length_of_nothing_is_malformed() -> None:
    with pytest.raises(MalformedRequestError, match="not a JSON document"):
        read(request(), b"", "0")


@pytest.mark.parametrize(
    ("shape", "size", "sent", "detail"),
    [
        ([1, 28, 28], 784, 0, "0 bytes follow"),
        ([1, 28, 28], 784, 783, "783 bytes follow"),
        ([1, 28, 28], 784, 785, "785 bytes follow"),
        ([1, 28, 28], 0, 784, "784 bytes follow"),
        ([2, 28, 28], 784, 784, "1,568 bytes, not 784"),
        ([1, 28, 28], 1568, 1568, "784 bytes, not 1,568"),
        ([1, 28, 28], 0, 0, "784 bytes, not 0"),
        ([1, 28, 28], 2**31 - 1, 784, "784 bytes follow"),
    ],
)
def test_a_size_that_lies_is_pointed_at(shape: list[int], size: int, sent: int, detail: str) -> None:
    declared = tensor(shape=shape, data=None, parameters={"binary_data_size": size})
    pointer, message = refused(request(inputs=[declared]), bytes(sent))
    assert pointer == "/inputs/0/parameters/binary_data_size"
    assert detail in message


def test_bytes_that_belong_to_no_tensor_are_pointed_at() -> None:
    assert refused(request(), bytes(784))[0] == "/inputs/0/parameters/binary_data_size"


def test_binary_data_without_the_header_is_malformed() -> None:
    declared = json.dumps(request(inputs=[tensor(data=None, parameters={"binary_data_size": 784})])).encode()
    with pytest.raises(MalformedRequestError, match="trailing"):
        read(declared + bytes(784))
