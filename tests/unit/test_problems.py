"""What is wrong with a request, as a problem document."""

from __future__ import annotations

import numpy as np
from PIL import Image

from digits.pictures.images import decode
from tests import events
from tests.conftest import Handler
from tests.events import image_file
from tests.problems import assert_problem


def test_a_blank_image_is_told_so(handler: Handler) -> None:
    assert_problem(handler(events.post({"pixels": [[0] * 28] * 28})), 422, "blank")


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


def test_an_unreadable_query_parameter_is_a_problem(handler: Handler) -> None:
    event = events.at(events.load("http_v2_predict_json"), "/v1/predict", "explain=perhaps")
    assert_problem(handler(event), 422, "'explain'")


def test_an_unknown_path_is_not_found(handler: Handler) -> None:
    for path in ("/nowhere", "/v1/predict/", "/v1"):
        assert_problem(handler(events.at(events.load("http_v2_health"), path)), 404, path)


def test_a_wrong_method_names_the_right_one(handler: Handler) -> None:
    event = events.load("http_v2_predict_json")
    event["requestContext"]["http"]["method"] = "PUT"
    response = handler(event)
    assert_problem(response, 405, "PUT")
    assert response["headers"]["allow"] == "POST"
