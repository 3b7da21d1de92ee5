"""Gateway events in, gateway responses out, through the real handler and a real store."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import NoModelError
from digits.model import proof
from digits.model.manifest import Manifest
from digits.pictures.images import MEDIA_TYPES, decode
from digits.registry import layout, tokens
from digits.registry.bucket import Bucket
from digits.registry.live import live_model
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api.auth import Gate
from functions.predict_api.payloads import MAX_BODY_BYTES
from functions.predict_api.request_schemas import MAX_INSTANCES, MULTIPART_TYPE
from local.lambda_invoke import EVENT_TOKEN
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.conftest import Handler

ROOT = Path(__file__).parents[2]


def image_json(digit: int = 7) -> dict[str, Any]:
    return {"image": base64.b64encode(events.digit_file(digit)).decode()}


def image_file(pixels: Any, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def assert_problem(response: dict[str, Any], status: int, detail: str = "") -> dict[str, Any]:
    problem = events.body_of(response)
    assert response["statusCode"] == status, problem
    assert response["headers"]["content-type"] == "application/problem+json"
    assert response["headers"]["access-control-allow-origin"] == "*"
    assert response["isBase64Encoded"] is False
    assert problem.keys() >= {"type", "title", "status", "detail", "request_id"}
    assert problem["status"] == status
    assert problem["request_id"] == response["headers"]["x-request-id"]
    assert detail in problem["detail"]
    assert "Traceback" not in response["body"]
    return problem


def test_every_sample_event_has_an_expectation() -> None:
    assert {path.stem for path in events.FOLDER.glob("[!s]*.json")} == events.EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(events.EXPECTED))
def test_sample_event_is_answered(handler: Handler, name: str) -> None:
    status, digits = events.EXPECTED[name]
    response = handler(events.load(name))
    assert events.status_of(response) == status
    assert events.digits_of(response) == digits if digits else True
    if "statusCode" in response:
        assert response["headers"]["access-control-allow-origin"] == "*"
        assert response["headers"]["x-request-id"]


def test_an_answer_holds_all_that_is_promised(handler: Handler, version: tuple[Manifest, dict[str, bytes]]) -> None:
    manifest, files = version
    answer = events.body_of(handler(events.load("http_v2_predict_json")))
    promised = {"pred", "conf", "probabilities", "accepted", "warnings", "input_sha256", "model", "request_id"}
    assert answer.keys() == promised
    assert answer["accepted"] is (answer["conf"] >= (manifest.acceptance_threshold or 2))
    assert answer["warnings"] == []
    assert answer["conf"] == max(answer["probabilities"]) == answer["probabilities"][answer["pred"]]
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert answer["model"] == {"version": manifest.version, "accuracy": manifest.test.accuracy}
    assert answer["request_id"] == "test-request"
    assert answer["input_sha256"] == hashlib.sha256(events.digit_file(7)).hexdigest()
    direct = proof.prove(manifest, files["model.tflite"]).classifier.predict(decode(events.digit_file(7)).pixels[None])[
        0
    ]
    assert np.allclose(answer["probabilities"], direct, atol=1e-6)


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


def test_explain_shows_what_the_network_saw(handler: Handler) -> None:
    page = np.full((120, 90), 255, np.uint8)
    large = Image.fromarray(decode(events.digit_file(7)).pixels).resize((56, 56), Image.Resampling.BICUBIC)
    page[50:106, 10:66] -= np.asarray(large)
    event = events.post(image_file(page, "PNG"), content_type="image/png")
    explained = events.body_of(handler(events.at(event, "/v1/predict", "explain=1")))
    seen = decode(base64.b64decode(explained["explain"]["image"].removeprefix("data:image/png;base64,"))).pixels
    assert explained["pred"] == 7
    assert seen.shape == (28, 28)
    assert seen.max() > 200
    assert len(explained["explain"]["steps"]) > 2
    assert explained["explain"]["verdicts"] == explained["warnings"] == []
    assert "explain" not in events.body_of(handler(events.post(image_file(page, "PNG"), content_type="image/png")))


def test_an_image_is_what_its_file_says_whatever_its_type_says(handler: Handler) -> None:
    for content_type in ("image/jpeg", "image/x-png", "image/anything"):
        assert events.digits_of(handler(events.post(events.digit_file(7), content_type=content_type))) == [7]


def test_a_form_that_ends_early_loses_no_file_silently(handler: Handler) -> None:
    form, form_type = events.multipart(events.digit_file(1), events.digit_file(7))
    for cut in (4, 30, 60, len(form) // 2):
        assert_problem(handler(events.post(form[:-cut], content_type=form_type)), 400)


def test_the_token_comes_before_every_other_judgement(handler: Handler) -> None:
    event = events.without_token(events.post(bytes(MAX_BODY_BYTES + 1), content_type="image/png"))
    assert_problem(handler(events.at(event, "/v1/predict", "explain=perhaps")), 401)


def test_an_unreadable_query_parameter_is_a_problem(handler: Handler) -> None:
    event = events.at(events.load("http_v2_predict_json"), "/v1/predict", "explain=perhaps")
    assert_problem(handler(event), 422, "'explain'")


def test_a_refused_request_does_not_warm_a_container(handler: Handler) -> None:
    assert handler(events.load("http_v2_wrong_token"))["statusCode"] == 401
    assert handler(events.load("http_v2_predict_json"))["headers"]["server-timing"].startswith("cold;")


def test_headers_tell_the_model_the_time_and_not_to_keep_the_answer(
    handler: Handler, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    first, second = (handler(events.load("http_v2_predict_json"))["headers"] for _ in range(2))
    assert first["x-model-version"] == version[0].version
    assert first["cache-control"] == "no-store"
    phases = [[part.partition(";")[0].strip() for part in each["server-timing"].split(",")] for each in (first, second)]
    assert phases == [
        ["cold", "token", "decode", "canonical", "load", "inference", "encoding"],
        ["token", "decode", "canonical", "inference", "encoding"],
    ]


def test_several_digits_are_told_with_their_boxes(handler: Handler) -> None:
    page = np.full((400, 800), 255, np.uint8)
    for left, digit in ((60, 7), (460, 2)):
        large = Image.fromarray(decode(events.digit_file(digit)).pixels).resize((280, 280), Image.Resampling.BICUBIC)
        page[60:340, left : left + 280] -= np.asarray(large)
    problem = assert_problem(handler(events.post(image_file(page, "PNG"), content_type="image/png")), 422)
    assert problem["type"] == "urn:lambda-digits:several-digits"
    assert problem["verdict"] == "several_digits"
    (first, second) = problem["boxes"]
    assert 60 <= first[0] < first[0] + first[2] <= 340
    assert 460 <= second[0] < second[0] + second[2] <= 740


def test_hostile_bodies_are_refused_within_bounded_memory(published: Bucket) -> None:
    """In a process of its own, whose largest size is then known."""
    code = """
import resource
from types import SimpleNamespace
from functions.predict_api.handler import handler
from tests import events
context = SimpleNamespace(aws_request_id="x")
assert handler(events.load("http_v2_predict_json"), context)["statusCode"] == 200
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
full = 4_400_000
bodies = ["[" * full, "[]," * (full // 3), '{"a":' * (full // 5), "0.5," * (full // 4), '"ab",' * (full // 5),
          '{"pixels":[' + "1e308," * (full // 6), '{"pixels":' + "9" * full + "}", '{"image":"' + "A" * full + '"}',
          "NaN", '{"instances":[' + "{}," * (full // 3)]
events_of = [events.post(body) for body in bodies]
before = peak()
for event in events_of:
    assert handler(event, context)["statusCode"] in (400, 422), event["body"][:20]
print(peak() - before)
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout.splitlines()[-1]) < 50


def test_model_summary_is_the_manifests(handler: Handler, version: tuple[Manifest, dict[str, bytes]]) -> None:
    summary = events.body_of(handler(events.load("http_v2_model")))
    manifest, files = version
    assert summary["version"] == manifest.version
    assert summary["accuracy"] == manifest.test.accuracy
    assert summary["dataset"] == "mnist-subset-5000"
    assert summary["training_count"] == 4_000
    assert summary["size_bytes"] == len(files["model.tflite"])
    assert summary["classes"] == list("0123456789")


def test_health_needs_neither_token_nor_bucket(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    response = cold_handler(events.load("http_v2_health"))
    assert (response["statusCode"], events.body_of(response)) == (
        200,
        {"status": "ok", "model": None, "refresh_failures": 0},
    )


def test_openapi_describes_the_request_and_its_errors(handler: Handler) -> None:
    event = events.at(events.load("http_v2_health"), "/openapi.json")
    predict = events.body_of(handler(event))["paths"]["/v1/predict"]["post"]
    assert predict["requestBody"]["content"].keys() == {"application/json", MULTIPART_TYPE, *MEDIA_TYPES}
    assert predict["responses"].keys() >= {"200", "400", "401", "413", "415", "422", "503"}


# What is wrong with the request


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


def test_a_blank_image_is_told_so(handler: Handler) -> None:
    assert_problem(handler(events.post({"pixels": [[0] * 28] * 28})), 422, "blank")


@pytest.mark.parametrize("data", [b"", b"hello", events.digit_file(7)[:120]])
def test_a_body_that_is_no_image_is_refused(handler: Handler, data: bytes) -> None:
    assert_problem(handler(events.post(data, content_type="image/png")), 422)


@pytest.mark.parametrize("content_type", ["text/plain", "video/mp4", "application/octet-stream"])
def test_other_content_types_are_refused(handler: Handler, content_type: str) -> None:
    problem = assert_problem(handler(events.post(b"hello", content_type=content_type)), 415, "application/json")
    assert "image/png" in problem["detail"]


def test_a_body_over_the_limit_is_refused(handler: Handler) -> None:
    assert_problem(handler(events.post(bytes(MAX_BODY_BYTES + 1), content_type="image/png")), 413, "4,500,000")


def test_an_unknown_path_is_not_found(handler: Handler) -> None:
    for path in ("/nowhere", "/v1/predict/", "/v1"):
        assert_problem(handler(events.at(events.load("http_v2_health"), path)), 404, path)


def test_a_wrong_method_names_the_right_one(handler: Handler) -> None:
    event = events.load("http_v2_predict_json")
    event["requestContext"]["http"]["method"] = "PUT"
    response = handler(event)
    assert_problem(response, 405, "PUT")
    assert response["headers"]["allow"] == "POST"


@pytest.mark.parametrize("event", [{}, {"Records": []}, [], None, "text", 7, {"requestContext": {}}])
def test_an_event_that_is_no_request_gets_a_problem_not_a_stack_trace(handler: Handler, event: Any) -> None:
    problem = handler(event)
    assert problem["status"] == 400
    assert problem["request_id"] == "test-request"


# Tokens


@pytest.mark.parametrize(
    "event",
    [
        events.without_token(events.post(image_json())),
        events.without_token(events.post("not even JSON")),
        events.without_token(events.post(events.digit_file(7), content_type="image/png")),
        events.without_token(events.post({"token": "wrong", "params": image_json()})),
        events.without_token(events.post({"token": 7, "params": image_json()})),
        events.post(image_json(), {"authorization": "Bearer wrong"}),
        events.post(image_json(), {"authorization": "Bearer "}),
        events.post(image_json(), {"authorization": None, "x-api-key": ""}),
        events.post(image_json(), {"authorization": "Basic eDp5"}),
        events.post({"token": EVENT_TOKEN, "params": image_json()}, {"authorization": "Bearer wrong"}),
        events.post("not even JSON", {"authorization": "Bearer wrong"}),
    ],
)
def test_without_a_valid_token_nothing_is_read(handler: Handler, event: dict[str, Any]) -> None:
    response = handler(event)
    assert_problem(response, 401, "token")
    assert response["headers"]["www-authenticate"].startswith("Bearer")


def test_with_an_empty_token_file_nobody_is_let_in(handler: Handler, published: Bucket) -> None:
    tokens.revoke(published, "events")
    assert_problem(handler(events.load("http_v2_predict_json")), 401)


def test_before_the_first_token_the_service_refuses(
    bucket: Bucket, version: tuple[Manifest, dict[str, bytes]], cold_handler: Handler
) -> None:
    manifest, files = version
    Registry(bucket).publish(manifest, files)
    Registry(bucket).promote(manifest.version)
    response = cold_handler(events.load("http_v2_predict_json"))
    assert_problem(response, 503, "no token has been issued")
    assert response["headers"]["retry-after"]


def test_logs_name_the_token_and_never_show_it_or_the_image(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handler(events.load("http_v2_predict_envelope"))
    handler(events.load("http_v2_wrong_token"))
    assert "'events'" in caplog.text
    assert EVENT_TOKEN not in caplog.text
    assert "not-a-valid-token" not in caplog.text
    assert image_json(1)["image"] not in caplog.text


# The service's own troubles


def test_before_the_first_model_the_service_says_when_to_come_back(bucket: Bucket, cold_handler: Handler) -> None:
    tokens.add(bucket, "events", EVENT_TOKEN)
    response = cold_handler(events.load("http_v2_predict_json"))
    assert_problem(response, 503, "no model has been published")
    assert int(response["headers"]["retry-after"]) > 0


@pytest.mark.usefixtures("unreachable_store")
@pytest.mark.parametrize("name", ["http_v2_predict_json", "http_v2_model"])
def test_an_unreachable_store_is_a_503_without_inner_detail(cold_handler: Handler, name: str) -> None:
    problem = assert_problem(cold_handler(events.load(name)), 503, "cannot be read at the moment")
    assert "127.0.0.1" not in json.dumps(problem)


def test_without_a_bucket_the_service_says_so(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    assert_problem(cold_handler(events.load("http_v2_predict_json")), 503, "DIGITS_BUCKET")


def test_a_bucket_that_does_not_exist_is_a_503(
    handler: Handler, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_BUCKET", "another-bucket")
    assert_problem(handler(events.load("http_v2_predict_json")), 503, "cannot be read at the moment")


def test_a_model_that_fails_its_digest_is_never_served(
    bucket: Bucket, version: tuple[Manifest, dict[str, bytes]], cold_handler: Handler
) -> None:
    manifest, files = version
    registry_ = Registry(bucket)
    tokens.add(bucket, "events", EVENT_TOKEN)
    registry_.publish(manifest, files)
    registry_.promote(manifest.version)
    key = layout.object_key(manifest.version, "model.tflite")
    bucket.replace(key, files["model.tflite"][:-1], bucket.get(key).etag)
    assert_problem(cold_handler(events.load("http_v2_predict_json")), 503, "cannot be read at the moment")


def test_what_nobody_expected_is_a_problem_with_cors_and_a_logged_traceback(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret inner detail")

    monkeypatch.setattr("digits.reading.canonicalize", fail)
    response = handler(events.load("http_v2_predict_json"))
    assert_problem(response, 500)
    assert "secret" not in response["body"]
    assert "ZeroDivisionError: secret inner detail" in caplog.text


# CORS


def test_preflight_needs_no_token_and_loads_nothing(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    response = cold_handler(events.load("http_v2_preflight"))
    assert response["statusCode"] == 204
    assert "POST" in response["headers"]["access-control-allow-methods"]
    assert "authorization" in response["headers"]["access-control-allow-headers"]


def test_a_refused_preflight_is_a_problem(cold_handler: Handler) -> None:
    event = events.load("http_v2_preflight")
    event["headers"]["access-control-request-method"] = "DELETE"
    assert_problem(cold_handler(event), 400, "method")


@pytest.mark.parametrize(("origin", "allowed"), [("https://a.example", True), ("https://b.example", False)])
def test_only_allowed_origins_are_named(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, origin: str, allowed: bool
) -> None:
    monkeypatch.setenv("DIGITS_ALLOWED_ORIGINS", "https://a.example, https://c.example")
    event = events.load("http_v2_predict_json")
    event["headers"]["origin"] = origin
    headers = handler(event)["headers"]
    assert headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert "Origin" in headers["vary"]


# The warm container


class CountingReader(S3Reader):
    """Counts what is asked of the store."""

    def __init__(self, store: EmbeddedStore) -> None:
        super().__init__(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})
        self.keys: list[str] = []

    def get(self, key: str, etag: str | None = None) -> Any:
        self.keys.append(key)
        return super().get(key, etag)


def test_the_model_is_loaded_once_however_many_requests_arrive_together(
    published: Bucket, store: EmbeddedStore
) -> None:
    reader = CountingReader(store)
    live = live_model(reader, ttl_seconds=60)
    assert reader.keys == []
    with ThreadPoolExecutor(16) as pool:
        models = list(pool.map(lambda _: live.get(), range(64)))
    assert len({id(model) for model in models}) == 1
    assert sum(key.endswith("model.tflite") for key in reader.keys) == 1
    assert len(reader.keys) == 3


def test_many_threads_get_the_same_right_answers(published: Bucket, store: EmbeddedStore) -> None:
    classifier = live_model(CountingReader(store), ttl_seconds=60).get().classifier
    digits = np.stack([decode(events.digit_file(digit)).pixels for digit in range(10)])
    expected = classifier.predict(digits)

    def predict(index: int) -> bool:
        size = index % 10 + 1
        return bool(np.allclose(classifier.predict(digits[:size]), expected[:size], atol=1e-6))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(predict, range(400)))


def test_revoking_a_token_ends_it_within_the_ttl(published: Bucket, store: EmbeddedStore) -> None:
    tokens.add(published, "second", "second-token")
    gate = Gate(CountingReader(store), ttl_seconds=0)
    assert gate.authenticate("second-token") == "second"
    tokens.revoke(published, "second")
    with pytest.raises(Exception, match="not valid"):
        gate.authenticate("second-token")
    assert gate.authenticate(EVENT_TOKEN) == "events"


def test_no_model_is_an_error_of_its_own(store: EmbeddedStore) -> None:
    with pytest.raises(NoModelError):
        live_model(CountingReader(store), ttl_seconds=60).get()


def test_no_sample_digit_is_one_that_the_model_was_trained_on(version: tuple[Manifest, dict[str, bytes]]) -> None:
    from training.dataset import load_subset

    subset = load_subset()
    trained_on = {image.tobytes() for image in subset.training.images}
    assert not any(decode(path.read_bytes()).pixels.tobytes() in trained_on for path in Path(events.DIGITS).iterdir())
