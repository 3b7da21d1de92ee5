"""What is told of a picture that the model finds no digit in, or several, or is not sure of."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from digits import reading
from digits.model.manifest import Manifest
from digits.pictures.canonical import CanonicalImage, PartImage
from digits.pictures.images import decode
from tests import events
from tests.conftest import Handler
from tests.problems import assert_problem
from tests.unit.conftest import MemoryReader, bucket_of

type Strict = Callable[..., Handler]
PREDICT = "/v1/predict"


@pytest.fixture
def strict(
    version: tuple[Manifest, dict[str, bytes]], cold_handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> Strict:
    """Lambda's handler over the trained model, with other thresholds."""

    def with_thresholds(**thresholds: float | None) -> Handler:
        objects = bucket_of(version[0].model_copy(update=thresholds), version[1])
        monkeypatch.setattr("functions.predict_api.app.S3Reader", lambda *_: MemoryReader(objects))
        return cold_handler

    return with_thresholds


def seven(query: str = "") -> dict[str, Any]:
    return events.at(events.post(events.digit_file(7), content_type="image/png"), PREDICT, query)


def test_below_the_lower_threshold_it_is_no_digit(strict: Strict, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = strict(rejection_threshold=1.0)(seven())
    problem = assert_problem(response, 422, "no digit")
    assert (problem["type"], problem["verdict"]) == ("urn:lambda-digits:not-a-digit", "not_a_digit")
    assert "explain" not in problem
    assert "boxes" not in problem
    assert "inference;dur=" in response["headers"]["server-timing"]
    assert response["headers"]["x-model-version"]
    (told,) = [vars(record) for record in caplog.records if "token" in vars(record)]
    assert (told["token"], told["refused_not_a_digit"], told["status"]) == ("events", 1, 422)
    assert not told.keys() & {"accepted", "doubtful"}


def test_a_problem_shows_what_was_seen_where_that_is_asked_for(strict: Strict) -> None:
    problem = assert_problem(strict(rejection_threshold=1.0)(seven("explain=1")), 422)
    data = base64.b64decode(problem["explain"]["image"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(decode(data).pixels, decode(events.digit_file(7)).pixels)
    assert problem["explain"]["steps"] == []
    assert problem["explain"]["verdicts"] == ["not_a_digit"]


def test_nothing_is_shown_of_a_picture_in_which_nothing_was_seen(handler: Handler) -> None:
    blank = events.at(events.post({"pixels": [[0] * 28] * 28}), PREDICT, "explain=1")
    problem = assert_problem(handler(blank), 422, "blank")
    assert "explain" not in problem


def test_among_several_pictures_the_problem_stands_in_its_place(strict: Strict) -> None:
    image = base64.b64encode(events.digit_file(7)).decode()
    body = {"instances": [{"pixels": [[0] * 28] * 28}, {"image": image}, {"image": "no base64"}]}
    response = strict(rejection_threshold=1.0)(events.at(events.post(body), PREDICT, "explain=1"))
    assert events.status_of(response) == 200
    blank, no_digit, damaged = events.body_of(response)["predictions"]
    assert (blank["verdict"], no_digit["verdict"]) == ("blank", "not_a_digit")
    assert ["explain" in each for each in (blank, no_digit, damaged)] == [False, True, False]
    assert no_digit["request_id"] == "test-request"


def test_parts_that_are_digits_are_several_with_their_boxes(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = [decode(events.digit_file(digit)).pixels for digit in range(10)]
    digit, smudge = digits[7], np.mean(digits, axis=0).astype(np.uint8)
    parts = (PartImage(digit, (1, 2, 3, 4)), PartImage(digit, (5, 6, 7, 8)))
    monkeypatch.setattr(reading, "canonicalize", lambda _: CanonicalImage(smudge, ("centred",), (), parts))
    problem = assert_problem(handler(seven("explain=1")), 422, "2 digits")
    assert (problem["verdict"], problem["boxes"]) == ("several_digits", [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert problem["explain"]["steps"] == ["centred"]


def test_between_the_thresholds_the_answer_is_not_accepted(strict: Strict) -> None:
    answer = events.body_of(strict(acceptance_threshold=1.0, rejection_threshold=0.1)(seven()))
    assert (answer["pred"], answer["accepted"]) == (7, False)


def test_a_warned_answer_is_not_accepted(strict: Strict, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = strict(acceptance_threshold=0.2, rejection_threshold=0.1)
    assert events.body_of(handler(seven()))["accepted"] is True
    warned = CanonicalImage(decode(events.digit_file(7)).pixels, (), ("touches_edge",))
    monkeypatch.setattr(reading, "canonicalize", lambda _: warned)
    answer = events.body_of(handler(seven()))
    assert (answer["warnings"], answer["accepted"]) == (["touches_edge"], False)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_the_model_tells_its_lower_threshold(strict: Strict, threshold: float | None) -> None:
    summary = events.body_of(strict(rejection_threshold=threshold)(events.load("http_v2_model")))
    assert summary["rejection_threshold"] == threshold


def test_the_inference_protocol_answers_ten_probabilities_whatever_the_thresholds(strict: Strict) -> None:
    response = strict(rejection_threshold=1.0)(events.load("http_v2_infer_json"))
    assert events.status_of(response) == 200
    (output,) = events.body_of(response)["outputs"]
    assert output["shape"][1] == 10
    assert sum(output["data"][:10]) == pytest.approx(1, abs=1e-5)
