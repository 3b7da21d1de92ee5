"""What is wrong with a request, as a problem document."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from digits import errors
from digits.pictures.images import decode
from functions.predict_api import problems
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


WRONG_SETTINGS = {
    "AWS_ENDPOINT_URL_S3": "http://user:secret@store.example",  # pragma: allowlist secret
    "DIGITS_BUCKET": "secret bucket",
    "DIGITS_MODEL_TTL_SECONDS": "secret",
    "DIGITS_MODEL_VERSION": "secret",
    "DIGITS_ALLOWED_ORIGINS": "https://a.example/secret",
}
ASKING = ["http_v2_health", "http_v2_model", "http_v2_predict_json", "http_v2_predict_instances", "http_v2_infer_json"]
ASKING += ["http_v2_read_json", "http_v2_read_form"]


@pytest.mark.parametrize("setting", WRONG_SETTINGS)
@pytest.mark.parametrize("name", [*ASKING, "direct_predict"])
def test_a_wrong_setting_is_told_to_the_log_and_not_to_callers(
    cold_handler: Handler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    setting: str,
) -> None:
    monkeypatch.setenv("DIGITS_BUCKET", "bucket")
    monkeypatch.setenv(setting, WRONG_SETTINGS[setting])
    response = cold_handler(events.load(name))
    assert "secret" not in str(response)
    assert setting not in str(response)
    if events.status_of(response) == 200:
        assert name == "http_v2_health"  # which needs no bucket
        return
    problem = events.body_of(response)
    assert (problem["status"], problem["detail"]) == (503, "the service is not configured")
    assert problem["request_id"] == "test-request"
    assert "secret" in caplog.text
    if name == "http_v2_infer_json" and setting in ("AWS_ENDPOINT_URL_S3", "DIGITS_BUCKET"):
        assert problem["error"] == problem["detail"]


def classes_of(kind: type[errors.DigitsError]) -> list[type[errors.DigitsError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in classes_of(child))]


def test_only_what_callers_can_mend_or_wait_for_is_told_in_its_own_words() -> None:
    told = {errors.NoModelError, errors.NoReaderError, errors.NoTokensError}
    for kind in classes_of(errors.DigitsError):
        if issubclass(kind, errors.InputError):
            continue
        error = kind("inner words")
        assert ("inner words" in str(problems.describe(error, "id"))) == (kind in told), kind
