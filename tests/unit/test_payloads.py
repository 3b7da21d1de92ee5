"""Request bodies of every kind, right and wrong."""

from __future__ import annotations

import base64
import gzip
import json
import textwrap
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.model import proof
from digits.model.manifest import Manifest
from digits.pictures.images import decode
from functions.predict_api.payloads import MAX_BODY_BYTES
from functions.predict_api.request_schemas import MAX_INSTANCES
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler
from tests.events import image_file, image_json
from tests.problems import assert_problem


@pytest.mark.parametrize("digit", range(10))
def test_every_way_to_send_a_digit_gets_the_same_answer(
    handler: Handler, digit: int, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    pixels = decode(events.digit_file(digit)).pixels
    form, form_type = events.multipart(events.digit_file(digit))
    data_url = "data:image/png;base64," + image_json(digit)["image"]
    sent = [
        events.post(image_json(digit)),
        events.post({"image": data_url}),
        events.post({"pixels": pixels.tolist()}),
        events.post({"pixels": (pixels / 255).tolist()}),
        events.post({"pixels": pixels.ravel().tolist()}),
        events.post({"pixels": (255 - pixels).tolist()}),
        events.post(form, content_type=form_type),
        events.post(image_file(pixels, "GIF"), content_type="image/gif"),
        events.post(image_file(pixels, "BMP"), content_type="image/bmp"),
        events.post(image_file(pixels, "TIFF"), content_type="image/tiff"),
        events.post(image_file(pixels, "WEBP", lossless=True), content_type="image/webp"),
        events.post({"image": "\n".join(textwrap.wrap(image_json(digit)["image"], 76))}),
        events.post({"token": "ignored, as the header wins", "params": image_json(digit)}),
        events.without_token(events.post({"token": EVENT_TOKEN, "params": {"pixels": pixels.tolist()}})),
        events.post(events.digit_file(digit), content_type="image/png"),
        events.post(image_json(digit), {"authorization": None, "x-api-key": EVENT_TOKEN}),
        events.post({"token": EVENT_TOKEN, "params": image_json(digit)}, {"authorization": "Bearer "}),
    ]
    answers = [events.body_of(handler(event)) for event in sent]
    direct = proof.prove(version[0], version[1]["model.tflite"]).classifier.predict(pixels[None])[0]
    assert {answer["pred"] for answer in answers} == {direct.argmax()}
    assert {tuple(answer["probabilities"]) for answer in answers} == {tuple(direct.tolist())}


def test_a_jpeg_of_ink_on_paper_is_read(handler: Handler) -> None:
    page = np.full((300, 200), 255, np.uint8)
    large = Image.fromarray(decode(events.digit_file(7)).pixels).resize((140, 140), Image.Resampling.BICUBIC)
    page[100:240, 20:160] -= np.asarray(large)
    file = BytesIO()
    Image.fromarray(page).convert("RGB").save(file, "JPEG")
    assert events.body_of(handler(events.post(file.getvalue(), content_type="image/jpeg")))["pred"] == 7


def test_instances_are_answered_in_order_and_a_bad_one_does_not_sink_the_others(handler: Handler) -> None:
    sent = [image_json(7), {"image": "*"}, {"pixels": [0] * 784}, image_json(1)]
    predictions = events.body_of(handler(events.post({"instances": sent})))["predictions"]
    assert [answer.get("pred", answer.get("status")) for answer in predictions] == [7, 422, 422, 1]
    assert predictions[1]["errors"][0]["pointer"] == "/instances/1/image"
    assert predictions[2]["verdict"] == "blank"
    assert all("error" not in answer for answer in predictions)


def test_a_full_batch_is_answered(handler: Handler) -> None:
    answer = events.body_of(handler(events.post({"instances": [image_json(7)] * MAX_INSTANCES})))
    assert [each["pred"] for each in answer["predictions"]] == [7] * MAX_INSTANCES


def test_several_files_in_a_form_are_answered_in_order(handler: Handler) -> None:
    form, form_type = events.multipart(events.digit_file(1), b"no image", events.digit_file(7))
    predictions = events.body_of(handler(events.post(form, content_type=form_type)))["predictions"]
    assert [answer.get("pred", answer.get("status")) for answer in predictions] == [1, 422, 7]


def test_an_image_is_what_its_file_says_whatever_its_type_says(handler: Handler) -> None:
    for content_type in ("image/jpeg", "image/x-png", "image/anything"):
        assert events.digits_of(handler(events.post(events.digit_file(7), content_type=content_type))) == [7]


# Compressed bodies

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


def compressed(body: bytes | dict[str, Any], encoding: str, content_type: str = "application/json") -> dict[str, Any]:
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    headers: dict[str, str | None] = {"content-encoding": encoding}
    return events.post(ENCODINGS[encoding](data), headers, content_type)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_kind_of_body_may_be_compressed(handler: Handler, encoding: str) -> None:
    form, form_type = events.multipart(events.digit_file(7), events.digit_file(1))
    envelope = {"token": EVENT_TOKEN, "params": image_json(7)}
    assert events.digits_of(handler(compressed(image_json(7), encoding))) == [7]
    assert events.digits_of(handler(compressed(events.digit_file(7), encoding, "image/png"))) == [7]
    assert events.digits_of(handler(compressed(form, encoding, form_type))) == [7, 1]
    assert events.digits_of(handler(events.without_token(compressed(envelope, encoding)))) == [7]


@pytest.mark.parametrize("kind", ["application/json", "image/png", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_limit_is_on_what_a_compressed_body_becomes(handler: Handler, encoding: str, kind: str) -> None:
    bomb = compressed(bytes(50_000_000), encoding, kind)
    assert len(bomb["body"]) < 100_000
    assert_problem(handler(bomb), 413, "decompressed")


@pytest.mark.parametrize("kind", ["application/json", "image/png", "multipart/form-data; boundary=x"])
def test_other_encodings_are_refused_for_every_kind(handler: Handler, kind: str) -> None:
    for encoding in ("br", "zstd", "gzip, deflate"):
        event = events.post(events.digit_file(7), {"content-encoding": encoding}, kind)
        assert_problem(handler(event), 415, "gzip or deflate")


def test_a_body_that_is_not_what_its_encoding_says_is_malformed(handler: Handler) -> None:
    event = events.post(events.digit_file(7), {"content-encoding": "gzip"}, "image/png")
    assert_problem(handler(event), 400, "not gzip data")


# What is wrong with the body


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/form-data"),
        (b"hello", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nhello", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n7\r\n--x--\r\n', "multipart/form-data; boundary=x"),
    ],
)
def test_a_form_without_files_is_malformed(handler: Handler, body: bytes, content_type: str) -> None:
    assert_problem(handler(events.post(body, content_type=content_type)), 400)


def test_a_form_that_ends_early_loses_no_file_silently(handler: Handler) -> None:
    form, form_type = events.multipart(events.digit_file(1), events.digit_file(7))
    for cut in (4, 30, 60, len(form) // 2):
        assert_problem(handler(events.post(form[:-cut], content_type=form_type)), 400)


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({"image": "not base64!"}, "/image", "not base64"),
        ({"image": "äöü"}, "/image", "not base64"),
        ({"image": 7}, "/image", "base64 string"),
        ({"image": ""}, "/image", "empty"),
        ({"image": base64.b64encode(b"hello").decode()}, "/image", "not a PNG, JPEG"),
        ({"image": base64.b64encode(events.digit_file(7)[:120]).decode()}, "/image", "damaged"),
        ({"pixels": [[0] * 28] * 27}, "/pixels", "28 rows"),
        ({"pixels": [0] * 783}, "/pixels", "784 numbers"),
        ({"pixels": "0"}, "/pixels", "28 rows"),
        ({"pixels": [[0] * 28] * 27 + [[0] * 27]}, "/pixels/27", "28 numbers"),
        ({"pixels": [["0"] * 28] * 28}, "/pixels", "must be numbers"),
        ({"pixels": [[True] * 28] * 28}, "/pixels", "must be numbers"),
        ({"pixels": [[256] * 28] * 28}, "/pixels", "0..255"),
        ({"pixels": [[-1] * 28] * 28}, "/pixels", "0..255"),
        ({"pixels": [[10**400] * 28] * 28}, "/pixels", "0..255"),
        ({"pixels": [[0.5] * 27 + [10**400]] * 28}, "/pixels", "0..255"),
        ({"pixels": [[None] * 28] * 28}, "/pixels", "must be numbers"),
        ({"pixels": [[0] * 27 + [[0]]] * 28}, "/pixels", "must be numbers"),
        ({"pixels": [[float("1e999")] * 28] * 28}, "/pixels", "0..255"),
        ({"params": [1]}, "/params", "object"),
        ({"params": {"image": "*"}}, "/params/image", "not base64"),
        ({"image": "data:image/png,abc"}, "/image", "not base64"),
        ({"instances": []}, "/instances", "1 to 256"),
        ({"instances": [{}] * (MAX_INSTANCES + 1)}, "/instances", "1 to 256"),
        ({"instances": "7"}, "/instances", "1 to 256"),
        ({}, "", "give one"),
        ({"image": "", "pixels": []}, "", "give one"),
    ],
)
def test_a_wrong_field_is_pointed_at(handler: Handler, body: dict[str, Any], pointer: str, detail: str) -> None:
    problem = assert_problem(handler(events.post(body)), 422, detail)
    assert problem["errors"] == [{"pointer": pointer, "detail": problem["detail"]}]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[1]", "7", '"text"', "[" * 100_000, '{"image": NaN}', b"\xff\xfe"],
)
def test_what_is_no_request_document_is_malformed(handler: Handler, body: str | bytes) -> None:
    assert_problem(handler(events.post(body)), 400)


@pytest.mark.parametrize("data", [b"", b"hello", events.digit_file(7)[:120]])
def test_a_body_that_is_no_image_is_refused(handler: Handler, data: bytes) -> None:
    assert_problem(handler(events.post(data, content_type="image/png")), 422)


@pytest.mark.parametrize("content_type", ["text/plain", "video/mp4", "application/octet-stream"])
def test_other_content_types_are_refused(handler: Handler, content_type: str) -> None:
    problem = assert_problem(handler(events.post(b"hello", content_type=content_type)), 415, "application/json")
    assert "image/png" in problem["detail"]


def test_a_body_over_the_limit_is_refused(handler: Handler) -> None:
    assert_problem(handler(events.post(bytes(MAX_BODY_BYTES + 1), content_type="image/png")), 413, "4,500,000")
