"""What an answer holds."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
import pytest
from PIL import Image

from digits.model import proof
from digits.model.manifest import Manifest
from digits.pictures.images import decode
from tests import events
from tests.conftest import Handler
from tests.events import image_file


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
