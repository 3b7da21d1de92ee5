"""The Open Inference Protocol V2: through Lambda's handler, and for Triton's own client."""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tritonclient import http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

from digits import numbers
from digits.model import proof
from digits.model.manifest import Manifest
from digits.model.reader import Reader
from digits.model.strings import Columns, likely_strings
from digits.reading import Picture
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api import telemetry
from functions.predict_api.app import create_app
from functions.predict_api.payloads import MAX_BODY_BYTES
from functions.predict_api.settings import Settings
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore
from tests import doors, events
from tests.conftest import Handler
from tests.doors import Request

TOKEN = {"authorization": f"Bearer {EVENT_TOKEN}"}
MODEL = "/v2/models/digits"
INFER = f"{MODEL}/infer"
NUMBERS = "/v2/models/numbers"
LENGTH_HEADER = "inference-header-content-length"


@pytest.fixture(scope="session")
def images() -> NDArray[np.uint8]:
    """The ten sample digits as uint8 (10, 28, 28), in order."""
    return np.stack([np.asarray(Image.open(events.DIGITS / f"{digit}.png")) for digit in range(10)])


@pytest.fixture(scope="session")
def expected(version: tuple[Manifest, dict[str, bytes]], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the classifier itself answers for the images, float32 (10, 10)."""
    return proof.prove(version[0], version[1]["model.tflite"]).classifier.predict(images)


@pytest.fixture(scope="session")
def lines() -> NDArray[np.uint8]:
    """Two lines of the sample number, one of them without its last digit, as uint8 (2, 32, width)."""
    (row,) = numbers.find(Picture.of_file(events.number_file())).rows.rows
    shorter = row.pixels.copy()
    shorter[:, 3 * row.pixels.shape[1] // 4 :] = 0
    return np.stack([row.pixels, shorter])


@pytest.fixture(scope="session")
def network(version: tuple[Manifest, dict[str, bytes]]) -> Reader:
    """The reader itself."""
    return Reader(version[1]["reader.tflite"])


@pytest.fixture
def server(published: Bucket, store: EmbeddedStore) -> Iterator[LocalServer]:
    reader = S3Reader(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})
    with LocalServer(create_app(Settings(BUCKET), reader)) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as open_client:
        yield open_client


def send(
    handler: Handler, path: str, body: bytes | dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the gateway's response to a GET, or to a POST of the body."""
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    event = events.load("http_v2_health")
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["headers"] |= headers or {}
    if body is not None:
        event["requestContext"]["http"]["method"] = "POST"
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return handler(event)


def assert_problem(response: dict[str, Any], status: int, detail: str = "") -> dict[str, Any]:
    problem = events.body_of(response)
    assert response["statusCode"] == status, problem
    assert response["headers"]["content-type"] == "application/problem+json"
    assert response["headers"]["access-control-allow-origin"] == "*"
    assert (problem["status"], problem["request_id"]) == (status, "test-request")
    assert problem["error"] == problem["detail"]
    assert detail in problem["detail"]
    return problem


def json_tensor(images: NDArray[np.uint8], name: str = "pixels") -> dict[str, Any]:
    return {"name": name, "datatype": "UINT8", "shape": list(images.shape), "data": images.ravel().tolist()}


def binary_request(images: NDArray[np.uint8], name: str = "pixels", **members: Any) -> tuple[bytes, dict[str, str]]:
    """Return the body of a binary request, and its headers."""
    parameters = {"binary_data_size": images.size}
    tensor = {"name": name, "datatype": "UINT8", "shape": list(images.shape), "parameters": parameters}
    document = json.dumps({"inputs": [tensor], **members}).encode()
    return document + images.tobytes(), TOKEN | {LENGTH_HEADER: str(len(document))}


# Health and metadata, which need no token


def test_live_needs_no_bucket(cold_handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    response = send(cold_handler, "/v2/health/live")
    assert (response["statusCode"], events.body_of(response)) == (200, {"live": True})


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("DELETE", {}, 405),
        ("OPTIONS", {"origin": "https://a.example", "access-control-request-method": "POST"}, 204),
        ("POST", {}, 401),
    ],
)
@pytest.mark.parametrize("door", doors.DOORS)
def test_the_first_request_of_a_container_finds_the_routes(
    handler: Handler, door: str, method: str, headers: dict[str, str], status: int
) -> None:
    request = Request(method, INFER, headers, b"{}" if method == "POST" else b"")
    assert handler(doors.DOORS[door](request))["statusCode"] == status


def test_routes_that_could_not_be_made_are_made_by_the_next_request(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "functions.predict_api.inference_protocol"
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, module, None)  # importing it fails
        patched.delattr("functions.predict_api.inference_protocol")
        assert send(handler, "/v2/health/live")["statusCode"] == 500
    assert send(handler, "/v2/health/live")["statusCode"] == 200


def test_a_container_hands_no_work_to_threads(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would end with the invocation, and their interpreters of the model with them."""
    for name in ("anyio.to_thread.run_sync", "asyncio.base_events.BaseEventLoop.run_in_executor"):
        monkeypatch.delattr(name)
    for name in ("http_v2_infer_json", "http_v2_predict_json", "http_v2_model"):
        assert handler(events.load(name))["statusCode"] == 200


def test_the_server_tells_its_name_and_extensions(handler: Handler) -> None:
    for path in ("/v2", "/v2/"):
        metadata = events.body_of(send(handler, path))
        assert metadata == {"name": "lambda-digits", "version": "1", "extensions": ["binary_tensor_data"]}


def test_ready_means_that_the_model_is_loaded(handler: Handler, version: tuple[Manifest, dict[str, bytes]]) -> None:
    assert events.body_of(send(handler, "/v2/health/ready")) == {"ready": True}
    for path in (f"{MODEL}/ready", f"{MODEL}/versions/{version[0].version}/ready"):
        assert events.body_of(send(handler, path)) == {"name": "digits", "ready": True}


@pytest.mark.parametrize("path", ["/v2/health/ready", f"{MODEL}/ready", MODEL])
def test_before_the_first_model_nothing_is_ready(store: EmbeddedStore, cold_handler: Handler, path: str) -> None:
    response = send(cold_handler, path)
    assert_problem(response, 503, "no model has been published")
    assert response["headers"]["retry-after"]


@pytest.mark.usefixtures("unreachable_store")
def test_an_unreachable_store_is_not_ready(cold_handler: Handler) -> None:
    assert_problem(send(cold_handler, "/v2/health/ready"), 503, "at the moment")


def test_metadata_is_the_manifests(handler: Handler, version: tuple[Manifest, dict[str, bytes]]) -> None:
    manifest = version[0]
    metadata = events.body_of(send(handler, MODEL))
    assert metadata == {
        "name": "digits",
        "versions": [manifest.version],
        "platform": "litert_tflite",
        "inputs": [{"name": manifest.input.name, "datatype": "UINT8", "shape": [-1, 28, 28]}],
        "outputs": [{"name": manifest.output.name, "datatype": "FP32", "shape": [-1, 10]}],
    }
    assert events.body_of(send(handler, f"{MODEL}/versions/{manifest.version}")) == metadata


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v2/models/letters", "'digits'"),
        ("/v2/models/letters/ready", "'digits'"),
        ("/v2/models/letters/versions/1", "'digits'"),
        (f"{MODEL}/versions/1", "live version"),
        (f"{MODEL}/versions/20200101T000000Z-00000000/ready", "live version"),
        ("/v2/repository/index", "/v2/repository/index"),
    ],
)
def test_what_is_not_here_is_not_found(handler: Handler, path: str, detail: str) -> None:
    assert_problem(send(handler, path), 404, detail)


@pytest.mark.parametrize("path", ["/v2/models/letters/infer", f"{MODEL}/versions/1/infer"])
def test_only_the_live_model_infers(handler: Handler, images: NDArray[np.uint8], path: str) -> None:
    assert_problem(send(handler, path, {"inputs": [json_tensor(images)]}, TOKEN), 404)


def test_a_published_version_that_is_not_live_is_not_found(
    published: Bucket, handler: Handler, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    manifest, files = version
    other = manifest.model_copy(update={"version": f"20200101T000000Z-{manifest.version[-8:]}"})
    Registry(published).publish(other, files)
    assert_problem(send(handler, f"{MODEL}/versions/{other.version}"), 404, manifest.version)


def test_a_wrong_method_is_a_problem_with_the_protocols_error(handler: Handler) -> None:
    response = send(handler, INFER)
    assert_problem(response, 405)
    assert response["headers"]["allow"] == "POST"


# Inference through Lambda's handler


def test_a_json_answer_follows_the_protocol(
    handler: Handler,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    version: tuple[Manifest, dict[str, bytes]],
) -> None:
    for path in (INFER, f"{MODEL}/versions/{version[0].version}/infer"):
        response = send(handler, path, {"id": "mine", "inputs": [json_tensor(images)]}, TOKEN)
        assert (response["statusCode"], response["isBase64Encoded"]) == (200, False)
        assert response["headers"]["content-type"] == "application/json"
        assert response["headers"]["x-model-version"] == version[0].version
        assert response["headers"]["cache-control"] == "no-store"
        answer = events.body_of(response)
        (output,) = answer.pop("outputs")
        assert answer == {"model_name": "digits", "model_version": version[0].version, "id": "mine"}
        assert output.keys() == {"name", "datatype", "shape", "data"}
        assert output["shape"] == [10, 10]
        assert np.array_equal(np.array(output["data"], np.float32).reshape(10, 10), expected)


def test_without_an_id_none_comes_back(handler: Handler, images: NDArray[np.uint8]) -> None:
    assert "id" not in events.body_of(send(handler, INFER, {"inputs": [json_tensor(images)]}, TOKEN))


def test_binary_data_passes_the_gateway_both_ways(
    handler: Handler, images: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    body, headers = binary_request(images, parameters={"binary_data_output": True})
    response = send(handler, INFER, body, headers)
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, True)
    assert response["headers"]["content-type"] == "application/octet-stream"
    answer, length = base64.b64decode(response["body"]), int(response["headers"][LENGTH_HEADER])
    (output,) = json.loads(answer[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 400}
    assert np.array_equal(np.frombuffer(answer[length:], "<f4").reshape(10, 10), expected)


@pytest.mark.parametrize("length", [{}, {LENGTH_HEADER: "0"}])
@pytest.mark.parametrize("kind", [None, "application/octet-stream", "application/x-www-form-urlencoded"])
def test_a_raw_binary_request_is_answered_in_binary(
    handler: Handler,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    length: dict[str, str],
    kind: str | None,
) -> None:
    typed = {"content-type": kind} if kind else {}
    for encoding, data in (("identity", images.tobytes()), ("gzip", gzip.compress(images.tobytes()))):
        response = send(handler, INFER, data, TOKEN | length | typed | {"content-encoding": encoding})
        answer = base64.b64decode(response["body"])
        start = int(response["headers"][LENGTH_HEADER])
        assert json.loads(answer[:start])["outputs"][0]["shape"] == [10, 10]
        assert np.array_equal(np.frombuffer(answer[start:], "<f4").reshape(10, 10), expected)


def test_the_input_is_taken_as_it_is(handler: Handler, version: tuple[Manifest, dict[str, bytes]]) -> None:
    paper = np.full((1, 28, 28), 255, np.uint8)
    direct = proof.prove(version[0], version[1]["model.tflite"]).classifier.predict(paper)
    (output,) = events.body_of(send(handler, INFER, {"inputs": [json_tensor(paper)]}, TOKEN))["outputs"]
    assert np.array_equal(np.array([output["data"]], np.float32), direct)


def test_the_largest_batch_is_answered(
    handler: Handler, images: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    batch = np.tile(images, (570, 1, 1))
    response = send(handler, INFER, *binary_request(batch))
    assert response["statusCode"] == 200
    assert len(response["body"]) < MAX_BODY_BYTES
    (output,) = events.body_of(response)["outputs"]
    answered = np.array(output["data"], np.float32).reshape(-1, 10)
    assert np.allclose(answered, np.tile(expected, (570, 1)), atol=1e-6)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/octet-stream",
        "Application/JSON; a=b",
        "application/x-www-form-urlencoded",
        "text/plain;charset=UTF-8",
    ],
)
def test_the_content_type_may_be_given(handler: Handler, images: NDArray[np.uint8], content_type: str) -> None:
    response = send(handler, INFER, {"inputs": [json_tensor(images)]}, TOKEN | {"content-type": content_type})
    assert response["statusCode"] == 200


@pytest.mark.parametrize(
    ("headers", "body", "status", "detail"),
    [
        ({"content-type": "image/png"}, events.digit_file(7), 415, "application/octet-stream"),
        ({"content-encoding": "br"}, b"", 415, "gzip or deflate"),
        ({"content-encoding": "gzip"}, b"no", 400, "gzip"),
        ({"content-encoding": "gzip"}, gzip.compress(bytes(50_000_000), mtime=0), 413, "decompressed"),
        ({}, bytes(MAX_BODY_BYTES + 1), 413, "4,500,000"),
        ({}, b"", 400, "JSON"),
        ({}, b"[" * 90_000, 400, "JSON"),
        ({LENGTH_HEADER: "-1"}, b"{}", 400, LENGTH_HEADER),
        ({LENGTH_HEADER: "3"}, b"{}", 400, LENGTH_HEADER),
        ({LENGTH_HEADER: "0"}, bytes(785), 400, "images of 784 bytes"),
        ({"content-type": "application/json"}, bytes(784), 400, "JSON"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=b", 400, "JSON"),
        ({}, b"{}", 422, "inputs"),
    ],
)
def test_a_wrong_body_is_refused(
    handler: Handler, headers: dict[str, str], body: bytes, status: int, detail: str
) -> None:
    assert_problem(send(handler, INFER, body, TOKEN | headers), status, detail)


def test_a_wrong_field_is_pointed_at(handler: Handler, images: NDArray[np.uint8]) -> None:
    tensor = json_tensor(images) | {"shape": [10, 28]}
    problem = assert_problem(send(handler, INFER, {"inputs": [tensor]}, TOKEN), 422, "[-1, 28, 28]")
    assert problem["errors"] == [{"pointer": "/inputs/0/shape", "detail": problem["detail"]}]


@pytest.mark.parametrize("path", [INFER, f"{MODEL}/versions/1/infer", "/v2/models/letters/infer"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}])
def test_without_a_valid_token_nothing_is_read(handler: Handler, path: str, headers: dict[str, str]) -> None:
    response = send(handler, path, b"not even JSON", headers)
    assert_problem(response, 401, "token")
    assert response["headers"]["www-authenticate"].startswith("Bearer")


def test_an_api_key_is_a_token_too(handler: Handler, images: NDArray[np.uint8]) -> None:
    body = {"inputs": [json_tensor(images)]}
    assert send(handler, INFER, body, {"x-api-key": EVENT_TOKEN})["statusCode"] == 200


def test_inference_before_the_first_model_is_unavailable(bucket: Bucket, cold_handler: Handler) -> None:
    tokens.add(bucket, "events", EVENT_TOKEN)
    assert_problem(send(cold_handler, INFER, b"{}", TOKEN), 503, "no model has been published")


# The model `numbers`


def test_the_metadata_of_numbers_are_the_manifests(
    handler: Handler, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    manifest = version[0]
    assert manifest.reader is not None
    metadata = events.body_of(send(handler, NUMBERS))
    assert metadata == {
        "name": "numbers",
        "versions": [manifest.version],
        "platform": "litert_tflite",
        "inputs": [{"name": manifest.reader.input.name, "datatype": "UINT8", "shape": [-1, 32, -1]}],
        "outputs": [{"name": manifest.reader.output.name, "datatype": "FP32", "shape": [-1, -1, 11]}],
    }
    assert events.body_of(send(handler, f"{NUMBERS}/versions/{manifest.version}")) == metadata
    assert events.body_of(send(handler, f"{NUMBERS}/ready")) == {"name": "numbers", "ready": True}
    assert_problem(send(handler, f"{NUMBERS}/versions/1"), 404, "live version")


@pytest.mark.parametrize("width", [2, 3, 64, 133, 2_000])
def test_lines_of_any_width_are_answered_in_json_and_in_binary(handler: Handler, network: Reader, width: int) -> None:
    lines = np.random.default_rng(width).integers(0, 256, (3, 32, width), np.uint8)
    expected = network.logits(lines)
    assert expected.shape == (3, width // 2, 11)
    document = {"inputs": [json_tensor(lines, "lines")]}
    answer = events.body_of(send(handler, f"{NUMBERS}/infer", document, TOKEN))
    (output,) = answer["outputs"]
    assert (answer["model_name"], output["name"], output["shape"]) == ("numbers", "logits", list(expected.shape))
    assert np.allclose(np.array(output["data"]).reshape(expected.shape), expected, atol=1e-4)
    body, headers = binary_request(lines, "lines", parameters={"binary_data_output": True})
    response = send(handler, f"{NUMBERS}/infer", body, headers)
    data, start = base64.b64decode(response["body"]), int(response["headers"][LENGTH_HEADER])
    assert np.allclose(np.frombuffer(data[start:], "<f4").reshape(expected.shape), expected, atol=1e-4)


def test_the_log_tells_how_much_was_inferred(
    handler: Handler, images: NDArray[np.uint8], lines: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    send(handler, INFER, {"inputs": [json_tensor(images)]}, TOKEN)
    send(handler, f"{NUMBERS}/infer", {"inputs": [json_tensor(lines, "lines")]}, TOKEN)
    told = [vars(record) for record in caplog.records if record.name == telemetry.logger.name]
    assert [(each["route"], each["inferred"], each["token"]) for each in told] == [
        ("/v2/models/{name}/infer", 10, "events"),
        ("/v2/models/{name}/infer", 2, "events"),
    ]


def test_the_logits_of_a_line_spell_its_number(handler: Handler, lines: NDArray[np.uint8]) -> None:
    (output,) = events.body_of(send(handler, f"{NUMBERS}/infer", {"inputs": [json_tensor(lines, "lines")]}, TOKEN))[
        "outputs"
    ]
    logits = np.array(output["data"], np.float32).reshape(output["shape"])
    assert [likely_strings(Columns.of(line))[0] for line in logits] == [(2, 0, 2, 6), (2, 0, 2)]


@pytest.mark.parametrize(
    ("shape", "detail"),
    [
        ([1, 32, 1], "2 to 2,000 columns"),
        ([1, 32, 0], "2 to 2,000 columns"),
        ([1, 32, 2_001], "2 to 2,000 columns"),
        ([0, 32, 64], "the batch of 'lines' is empty"),
        ([1, 28, 64], "[-1, 32, -1]"),
        ([32, 64], "[-1, 32, -1]"),
        ([1, 32, 64, 1], "[-1, 32, -1]"),
    ],
)
def test_lines_of_another_shape_are_pointed_at(handler: Handler, shape: list[int], detail: str) -> None:
    body, headers = binary_request(np.zeros(shape, np.uint8), "lines")
    problem = assert_problem(send(handler, f"{NUMBERS}/infer", body, headers), 422, detail)
    assert problem["errors"][0]["pointer"] == "/inputs/0/shape"
    good = send(handler, f"{NUMBERS}/infer", *binary_request(np.zeros((1, 32, 64), np.uint8), "lines"))
    assert good["statusCode"] == 200


def test_the_inputs_of_the_two_models_are_not_mixed_up(handler: Handler, images: NDArray[np.uint8]) -> None:
    assert_problem(send(handler, f"{NUMBERS}/infer", {"inputs": [json_tensor(images)]}, TOKEN), 422, "'lines'")
    lines = np.zeros((1, 32, 64), np.uint8)
    assert_problem(send(handler, INFER, {"inputs": [json_tensor(lines, "lines")]}, TOKEN), 422, "'pixels'")


def test_raw_lines_need_a_document_that_tells_their_width(handler: Handler) -> None:
    raw = bytes(32 * 64)
    assert_problem(send(handler, f"{NUMBERS}/infer", raw, TOKEN | {LENGTH_HEADER: "0"}), 400, "any width")
    assert_problem(send(handler, f"{NUMBERS}/infer", raw, TOKEN), 400, "JSON")


def test_more_lines_than_json_can_answer_are_answered_in_binary(handler: Handler) -> None:
    lines = np.zeros((1_000, 32, 128), np.uint8)
    response = send(handler, f"{NUMBERS}/infer", *binary_request(lines, "lines"))
    assert_problem(response, 413, "less at a time")
    binary = {"binary_data_output": True}
    assert send(handler, f"{NUMBERS}/infer", *binary_request(lines, "lines", parameters=binary))["statusCode"] == 200


# OpenAPI


def test_openapi_describes_the_protocol(handler: Handler) -> None:
    document = events.body_of(send(handler, "/openapi.json"))
    assert {path for path in document["paths"] if path.startswith("/v2")} == {
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        *(
            f"/v2/models/{{name}}{version}{suffix}"
            for version in ("", "/versions/{version}")
            for suffix in ("", "/ready", "/infer")
        ),
    }
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    assert infer["requestBody"]["content"].keys() == {"application/json", "application/octet-stream"}
    assert infer["responses"]["200"]["content"].keys() == {"application/json", "application/octet-stream"}
    assert infer["responses"].keys() >= {"200", "400", "401", "404", "413", "415", "422", "503"}
    assert {parameter["name"].lower() for parameter in infer["parameters"]} == {
        "name",
        LENGTH_HEADER,
        "content-encoding",
    }
    assert infer["security"]
    assert "$defs" not in json.dumps(document)


def test_the_documented_example_is_answered(handler: Handler) -> None:
    document = events.body_of(send(handler, "/openapi.json"))
    body = document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]
    (output,) = events.body_of(send(handler, INFER, body["example"], TOKEN))["outputs"]
    assert np.argmax(output["data"]) == 1


# Triton's own client


def infer_input(images: NDArray[Any], binary: bool = True, name: str = "pixels") -> list[Any]:
    tensor = triton.InferInput(name, list(images.shape), "UINT8")
    return [tensor.set_data_from_numpy(images, binary_data=binary)]


def test_the_client_sees_a_live_and_ready_server(
    client: triton.InferenceServerClient, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", version[0].version)
    assert client.is_model_ready("numbers")
    assert client.is_model_ready("numbers", version[0].version)
    assert not client.is_model_ready("letters")
    assert not client.is_model_ready("digits", "1")
    assert not client.is_model_ready("numbers", "1")


def test_the_client_reads_the_metadata(
    client: triton.InferenceServerClient, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("digits")
    assert metadata == client.get_model_metadata("digits", version[0].version)
    assert metadata["inputs"] == [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 28, 28]}]
    assert metadata["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]


def test_the_client_gets_the_classifiers_own_answers(
    client: triton.InferenceServerClient, images: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    outputs = [
        None,
        [triton.InferRequestedOutput("probabilities", binary_data=True)],
        [triton.InferRequestedOutput("probabilities", binary_data=False)],
    ]
    algorithms = (None, "gzip", "deflate")
    for binary, requested, there, back in itertools.product((True, False), outputs, algorithms, algorithms):
        result = client.infer(
            "digits",
            infer_input(images, binary),
            outputs=requested,
            request_id="mine",
            headers=dict(TOKEN),
            request_compression_algorithm=there,
            response_compression_algorithm=back,
        )
        assert result.get_response()["id"] == "mine"
        assert np.array_equal(result.as_numpy("probabilities"), expected)


def test_the_client_reads_lines_of_several_widths(
    client: triton.InferenceServerClient, lines: NDArray[np.uint8], network: Reader
) -> None:
    metadata = client.get_model_metadata("numbers")
    assert metadata["inputs"] == [{"name": "lines", "datatype": "UINT8", "shape": [-1, 32, -1]}]
    assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, -1, 11]}]
    for taken, binary in itertools.product((lines, lines[:1, :, :70], lines[1:, :, :101]), (True, False)):
        outputs = [triton.InferRequestedOutput("logits", binary_data=binary)]
        sent = infer_input(np.ascontiguousarray(taken), binary, "lines")
        result = client.infer("numbers", sent, outputs=outputs, headers=dict(TOKEN))
        assert np.allclose(result.as_numpy("logits"), network.logits(taken), atol=1e-4)


def test_the_client_is_told_of_a_model_without_a_reader(
    client: triton.InferenceServerClient,
    published: Bucket,
    version: tuple[Manifest, dict[str, bytes]],
    lines: NDArray[np.uint8],
    images: NDArray[np.uint8],
) -> None:
    manifest, files = version
    others = {name: record for name, record in manifest.files.items() if name != "reader.tflite"}
    later = f"20300101T000000Z-{manifest.version[-8:]}"
    earlier = manifest.model_copy(update={"version": later, "reader": None, "files": others})
    Registry(published).publish(earlier, {name: files[name] for name in others})
    Registry(published).promote(later)
    assert client.is_server_ready()
    assert client.is_model_ready("digits", later)
    assert not client.is_model_ready("numbers")
    with pytest.raises(InferenceServerException, match="has no reader of numbers") as caught:
        client.infer("numbers", infer_input(lines, name="lines"), headers=dict(TOKEN))
    assert caught.value.status() == "503"
    result = client.infer("digits", infer_input(images), headers=dict(TOKEN))
    assert result.get_response()["model_version"] == later


def test_the_client_names_a_version_and_custom_parameters(
    client: triton.InferenceServerClient,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    version: tuple[Manifest, dict[str, bytes]],
) -> None:
    result = client.infer(
        "digits",
        infer_input(images[7:8]),
        version[0].version,
        headers={"x-api-key": EVENT_TOKEN},
        parameters={"note": "read over"},
        priority=1,
        timeout=1_000_000,
    )
    assert result.get_response()["model_version"] == version[0].version
    assert np.allclose(result.as_numpy("probabilities"), expected[7:8], atol=1e-6)


def test_the_client_may_send_requests_together(
    server: LocalServer, images: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    """With Triton's client for asyncio: beside the server's thread its gevent client was seen to lose a wake-up."""

    async def send_together() -> list[aio.InferResult]:
        async with aio.InferenceServerClient(server.url.removeprefix("http://")) as open_client:
            sizes = range(1, len(images) + 1)
            return await asyncio.gather(
                *(open_client.infer("digits", infer_input(images[:size]), headers=dict(TOKEN)) for size in sizes)
            )

    for size, result in enumerate(asyncio.run(send_together()), start=1):
        assert np.allclose(result.as_numpy("probabilities"), expected[:size], atol=1e-6)


def test_the_client_shows_a_readable_message(client: triton.InferenceServerClient, images: NDArray[np.uint8]) -> None:
    def message(expected_status: int, *args: Any, **options: Any) -> str:
        with pytest.raises(InferenceServerException) as caught:
            client.infer(*args, **{"headers": dict(TOKEN), **options})
        assert caught.value.status() == str(expected_status)
        return str(caught.value.message())

    good = infer_input(images)
    assert message(401, "digits", good, headers={"authorization": "Bearer no"}) == "the token is not valid"
    assert "token is required" in message(401, "digits", good, headers=None)
    assert "the models are 'digits' and 'numbers'" in message(404, "letters", good)
    assert "only the live version" in message(404, "digits", good, "1")
    assert "[-1, 28, 28]" in message(422, "digits", infer_input(images.reshape(10, 784)))
    assert "is empty" in message(422, "digits", infer_input(images[:0]))
    floats = triton.InferInput("pixels", [1, 28, 28], "FP32")
    floats.set_data_from_numpy(np.zeros((1, 28, 28), np.float32))
    assert "is UINT8" in message(422, "digits", [floats])
    unknown = [triton.InferRequestedOutput("logits")]
    assert "'probabilities'" in message(422, "digits", good, outputs=unknown)
    classified = [triton.InferRequestedOutput("probabilities", class_count=3)]
    assert "'classification' is not served" in message(422, "digits", good, outputs=classified)
    huge = infer_input(np.zeros((6_000, 28, 28), np.uint8))
    assert "4,500,000" in message(413, "digits", huge, request_compression_algorithm="gzip")
