"""What the serving benchmark sends, kind by kind: that it is what its name says, and is read."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.serving import batches, events, kinds
from benchmarks.serving.curves import PHASES
from functions.predict_api.payloads import MAX_BODY_BYTES
from tests.conftest import Handler

REQUESTS = kinds.requests()
FILES = {
    kinds.DRAWING: ("PNG", "RGB", (400, 400)),
    kinds.SCAN: ("PNG", "L", (300, 400)),
    kinds.PHOTO: ("JPEG", "RGB", (1600, 1200)),
    kinds.LARGE_PHOTO: ("JPEG", "RGB", (4000, 3000)),
}


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(REQUESTS[name]["body"])
    return found


@pytest.mark.parametrize("name", FILES)
def test_files_have_the_format_and_the_size_that_their_kind_is_named_for(name: str) -> None:
    event, (kind, mode, size) = REQUESTS[name], FILES[name]
    data = base64.b64decode(event["body"])
    image = opened(data)
    assert (image.format, image.mode, image.size) == (kind, mode, size)
    assert event["headers"]["content-type"] == Image.MIME[kind]
    assert len(data) < MAX_BODY_BYTES
    assert f"{kind}, {size[0]}x{size[1]}" in name


def test_others_hold_one_image_in_mnists_own_size() -> None:
    assert opened(base64.b64decode(document(kinds.MNIST)["image"])).size == (28, 28)
    assert np.shape(document(kinds.PIXELS)["pixels"]) == (28, 28)
    body, headers = base64.b64decode(REQUESTS[kinds.TENSOR]["body"]), REQUESTS[kinds.TENSOR]["headers"]
    assert len(body) - int(headers["inference-header-content-length"]) == 28 * 28
    assert len(FILES) + 3 == len(REQUESTS)


@pytest.mark.parametrize("name", REQUESTS)
def test_each_kind_is_read(handler: Handler, name: str) -> None:
    answer = handler(REQUESTS[name])
    assert answer["statusCode"] == 200
    if name != kinds.TENSOR:  # whose answer is ten probabilities
        assert json.loads(answer["body"])["pred"] == (2 if name == kinds.PIXELS else 7)
        assert all(f"{phase};dur=" in answer["headers"]["server-timing"] for phase in PHASES)


def test_scans_fit_into_a_request_and_are_read(handler: Handler) -> None:
    event = events.of_scans()
    assert len(event["body"]) < MAX_BODY_BYTES
    scans = [opened(base64.b64decode(each["image"])) for each in json.loads(event["body"])["instances"]]
    assert len(scans) == events.BATCH
    assert {(scan.format, scan.mode, scan.size) for scan in scans} == {("PNG", "L", (200, 200))}
    answers = json.loads(handler(event)["body"])["predictions"]
    right = sum(answer.get("pred") == digit for digit, answer in enumerate(answers[:10]))
    assert right >= 8  # of a model that has seen few digits


def of_one(seconds: list[float], **phases: float) -> dict[str, Any]:
    """Return what is measured in a round."""
    header = ", ".join(f"{name};dur={each}" for name, each in phases.items())
    return {"seconds": seconds, "headers": [{"server-timing": header} if header else {}] * len(seconds)}


def test_calls_of_all_rounds_are_taken_together_and_split_where_answers_tell() -> None:
    split = {"token": 0.25, "decode": 1.0, "canonical": 1.5, "inference": 0.5, "encoding": 0.25}
    measured = {
        kinds.SCAN: [of_one([0.004] * 60, **split), of_one([0.004] * 39 + [0.104], **split)],
        kinds.TENSOR: [of_one([0.001] * 3)],
    }
    found = kinds.summary(measured)
    assert (found[kinds.SCAN]["calls"], found[kinds.TENSOR]["phases"]) == (100, {})
    assert found[kinds.SCAN]["p99_milliseconds"] == pytest.approx(5)
    _, _, scan, tensor = kinds.lines(found)
    assert scan == "| scan, PNG, 300x400 | 4.00 | 5.00 | 0.25 | 1.00 | 1.50 | 0.50 | 0.25 | 0.50 |"
    assert tensor == "| V2, binary, one image | 1.00 | 1.00 | – | – | – | – | – | – |"


def test_rates_count_the_images_of_a_request_and_of_an_archive() -> None:
    forms = ("png", "scans", "pixels", "binary", "archive", "tensorflow")
    rates = batches.images_per_second({name: [0.4, 0.5, 0.6] for name in forms})
    assert rates["scans"]["median"] == pytest.approx(512)
    assert rates["archive"] == pytest.approx({"median": 2000, "low": 1000 / 0.55, "high": 1000 / 0.45})
    assert "| archive of 1,000 PNGs of 28x28, by the batch function | 2,000 | 1,818..2,222 |" in batches.lines(rates)
