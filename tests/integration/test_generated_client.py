"""A client that a generator makes from the description reads a digit."""

from __future__ import annotations

import base64
import importlib
import json
import subprocess
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from functions.predict_api.app import app_from_environment
from local.lambda_invoke import EVENT_TOKEN
from local.programs import program
from local.server import LocalServer
from tests import events

NAME = "generated_digits_client"
# The generated code is run, not read: no formatter need be there.
CONFIGURATION: dict[str, list[str]] = {"post_hooks": []}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package that openapi-python-client makes, imported from a temporary folder."""
    folder = tmp_path_factory.mktemp("client")
    description, configuration = folder / "openapi.json", folder / "configuration.json"
    description.write_text(json.dumps(app_from_environment({}).openapi()))
    configuration.write_text(json.dumps(CONFIGURATION))
    command = [program("openapi-python-client"), "generate", "--meta", "none", "--output-path", str(folder / NAME)]
    command += ["--path", str(description), "--config", str(configuration)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-2_000:] + finished.stderr[-2_000:]
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield importlib.import_module(NAME)


@pytest.fixture
def client(generated: ModuleType, server: LocalServer) -> Iterator[Any]:
    """A client of the running server, with a valid token."""
    with generated.AuthenticatedClient(base_url=server.url, token=EVENT_TOKEN) as opened:
        yield opened


def load(name: str) -> ModuleType:
    return importlib.import_module(f"{NAME}.{name}")


def test_a_generated_client_reads_a_digit(client: Any) -> None:
    predict, models = load("api.prediction.predict"), load("models")
    pixels = json.loads(events.load("http_v2_predict_pixels")["body"])["pixels"]
    answer = predict.sync(client=client, body=models.ImageRequest.from_dict(events.image_json(7)))
    assert isinstance(answer, models.Prediction)
    assert answer.pred == 7
    assert predict.sync(client=client, body=models.PixelsRequest(pixels=pixels)).pred == 2
    several = models.InstancesRequest(instances=[events.image_json(1), {"image": "*"}])
    first, second = predict.sync(client=client, body=several).predictions
    assert (first.pred, second.status) == (1, 422)


def test_a_generated_client_sends_the_envelope(generated: ModuleType, server: LocalServer) -> None:
    predict, models = load("api.prediction.predict"), load("models")
    envelope = models.Envelope(params=models.ImageRequest.from_dict(events.image_json(7)), token=EVENT_TOKEN)
    with generated.Client(base_url=server.url) as client:
        assert predict.sync(client=client, body=envelope).pred == 7


def test_a_generated_client_reads_numbers_and_forms(client: Any) -> None:
    read, models = load("api.prediction.read"), load("models")
    image = base64.b64encode(events.number_file()).decode()
    number = read.sync(client=client, body=models.ImageRequest(image=image), length="4", rows=1)
    assert isinstance(number, models.Number)
    assert (number.text, [digit.pred for digit in number.rows[0].digits]) == ("2026", [2, 0, 2, 6])
    several = models.InstancesRequest(instances=[{"image": image}, {"image": "*"}])
    first, second = read.sync(client=client, body=several).readings
    assert (first.text, second.status) == ("2026", 422)
    document = json.loads(events.load("http_v2_read_form")["body"])
    form = read.sync(client=client, body=models.FormRequest.from_dict(document))
    assert isinstance(form, models.Form)
    assert form.fields["zip"].text == "79098"
    problem = read.sync(client=client, body=models.ImageRequest(image=image), length="5-4")
    assert (problem.status, "length" in problem.detail) == (422, True)


def test_a_generated_client_understands_a_problem(client: Any) -> None:
    predict, models = load("api.prediction.predict"), load("models")
    problem = predict.sync(client=client, body=models.ImageRequest(image="*"))
    assert isinstance(problem, models.Problem)
    assert (problem.status, problem.errors[0].pointer) == (422, "/image")


def test_a_generated_client_infers_and_asks_for_health(client: Any) -> None:
    infer, health, models = (
        load(name) for name in ("api.open_inference_protocol_v2.infer", "api.service.health", "models")
    )
    request = models.InferenceRequest.from_dict(json.loads(events.load("http_v2_infer_json")["body"]))
    (output,) = infer.sync("digits", client=client, body=request).outputs
    assert max(range(10), key=output.data.__getitem__) == 7
    assert health.sync(client=client).status == "ok"
