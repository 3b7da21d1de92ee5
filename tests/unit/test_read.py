"""Numbers: what `/v1/read` answers, with which hints, and what it refuses."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.forms import MOST_FIELDS
from digits.numbers import MOST_DIGITS
from digits.pictures.rows import MOST_ROWS
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler
from tests.numbers import FIELDS, form, png, write, written

READ = "/v1/read"


def ask(handler: Handler, body: bytes | dict[str, Any], query: str = "", status: int = 200) -> dict[str, Any]:
    content_type = "application/json" if isinstance(body, dict) else "image/png"
    response = handler(events.at(events.post(body, content_type=content_type), READ, query))
    answer: dict[str, Any] = events.body_of(response)
    assert response["statusCode"] == status, answer
    return answer


def image_of(pixels: np.ndarray) -> dict[str, Any]:
    return {"image": base64.b64encode(png(pixels)).decode()}


def test_rows_are_read_from_top_to_bottom(handler: Handler) -> None:
    page = written(["2026", "47"])
    answer = ask(handler, png(page))
    assert answer["text"] == "2026\n47"
    assert [row["text"] for row in answer["rows"]] == ["2026", "47"]
    assert answer["conf"] == pytest.approx(np.prod([row["conf"] for row in answer["rows"]]))
    for row in answer["rows"]:
        assert "".join(str(digit["pred"]) for digit in row["digits"]) == row["text"]
        lefts = [digit["box"][0] for digit in row["digits"]]
        assert lefts == sorted(lefts)
        for digit in row["digits"]:
            assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-3)
            assert digit["conf"] == digit["probabilities"][digit["pred"]]
            left, top, width, height = digit["box"]
            ink = page[top : top + height, left : left + width] < 128
            assert ink.mean() > 0.1
    assert answer["warnings"] == []


def test_no_box_reaches_beyond_the_picture(handler: Handler) -> None:
    for degrees in (-7, 7):
        page = cropped(Image.fromarray(written(["20262026"])).rotate(degrees, expand=True, fillcolor=235))
        for box in boxes_of(ask(handler, png(page))):
            assert_inside(box, page)


def cropped(image: Image.Image) -> np.ndarray:
    """Return a picture without the paper around its ink."""
    page = np.asarray(image)
    lines, columns = (np.flatnonzero((page < 128).any(axis=axis)) for axis in (1, 0))
    return page[lines[0] : lines[-1] + 1, columns[0] : columns[-1] + 1]


def boxes_of(number: dict[str, Any]) -> list[list[int]]:
    return [each["box"] for row in number["rows"] for each in (row, *row["digits"])]


def assert_inside(box: list[int], page: np.ndarray) -> None:
    left, top, width, height = box
    assert min(left, top) >= 0
    assert min(width, height) >= 1
    assert left + width <= page.shape[1]
    assert top + height <= page.shape[0]


def test_one_digit_is_a_number_too(handler: Handler) -> None:
    assert ask(handler, events.digit_file(7))["text"] == "7"


def test_several_pictures_do_not_sink_each_other(handler: Handler) -> None:
    blank = {"pixels": [0] * 784}
    answer = ask(handler, {"instances": [image_of(written(["135"])), blank, {"image": "*"}]})
    first, second, third = answer["readings"]
    assert first["text"] == "135"
    assert second["verdict"] == "blank"
    assert third["errors"][0]["pointer"] == "/instances/2/image"


def test_a_length_that_fits_changes_nothing_and_another_is_told(handler: Handler) -> None:
    picture = png(written(["2026"]))
    plain = ask(handler, picture)
    for query in ("length=4", "length=3-5", "rows=1", "length=4&rows=1"):
        assert ask(handler, picture, query)["rows"] == plain["rows"]
    told = ask(handler, picture, "length=9")
    assert (told["text"], told["warnings"], told["accepted"]) == ("2026", ["other_length"], False)
    assert ask(handler, picture, "rows=2")["warnings"] == ["other_rows"]
    assert ask(handler, picture, "length=9&rows=2")["warnings"] == ["other_length", "other_rows"]


def test_a_row_that_is_cut_is_told_and_not_accepted(handler: Handler) -> None:
    page = written(["2026"])
    lines, columns = (np.flatnonzero((page < 128).any(axis=axis)) for axis in (1, 0))
    for part in (page[lines[0] + 8 :], page[:, columns[0] + 6 :]):
        answer = ask(handler, png(part))
        assert (answer["warnings"], answer["accepted"]) == (["touches_edge"], False)


def test_a_row_that_is_left_out_is_told(handler: Handler) -> None:
    large, small = written(["2026"], gap=40, scale=4, pitch=120), written(["47135"], scale=1)
    page = np.full((large.shape[0] + small.shape[0], large.shape[1]), 235, np.uint8)
    page[: large.shape[0]] = large
    page[large.shape[0] :, : small.shape[1]] = small
    answer = ask(handler, png(page))
    assert (answer["text"], answer["warnings"], answer["accepted"]) == ("2026", ["left_out"], False)


IMPOSSIBLE = ["length=0", "length=x", "length=5-4", "length=41", "length=", "length=-3", "length=4.5", "length=1-41"]
IMPOSSIBLE += ["length=%D9%A4", "length=4-", "length=+4", "rows=0", "rows=51", "rows=-1"]


@pytest.mark.parametrize("query", IMPOSSIBLE)
def test_hints_that_cannot_be_are_refused(handler: Handler, query: str) -> None:
    answer = ask(handler, png(written(["47"])), query, 422)
    assert query.partition("=")[0] in answer["detail"]


@pytest.mark.parametrize("query", ["rows=x", "rows=", "rows=1.5", "rows=" + "9" * 5_000])
def test_rows_that_are_no_number_are_refused(handler: Handler, query: str) -> None:
    assert "rows" in ask(handler, png(written(["47"])), query, 422)["detail"]


def test_hints_of_a_form_belong_to_its_fields(handler: Handler) -> None:
    for query in ("length=4", "rows=1"):
        assert "each field" in ask(handler, form_request(), query, 422)["detail"]


def square() -> np.ndarray:
    """Return a page with a square on it, as large as a digit would be."""
    page = np.full((200, 400), 235, np.uint8)
    page[40:160, 120:240] = 35
    return page


@pytest.mark.parametrize(
    ("page", "verdict"),
    [
        (np.full((120, 300), 235, np.uint8), "blank"),
        (np.linspace(90, 240, 300).astype(np.uint8)[None].repeat(120, axis=0), "no_contrast"),
        (np.where(written(["47"]) < 128, 228, 235).astype(np.uint8), "no_contrast"),
        (square(), "not_a_digit"),
    ],
)
def test_where_no_row_is_found_the_verdict_says_why(handler: Handler, page: np.ndarray, verdict: str) -> None:
    answer = ask(handler, png(page), status=422)
    assert (answer["verdict"], answer["type"]) == (verdict, f"urn:lambda-digits:{verdict.replace('_', '-')}")
    assert "boxes" not in answer


def test_more_rows_than_are_read_are_refused(handler: Handler) -> None:
    answer = ask(handler, png(written(["17"] * (MOST_ROWS + 6), pitch=26, scale=1)), status=422)
    assert f"up to {MOST_ROWS}" in answer["detail"]


def test_more_digits_in_a_row_than_are_read_are_refused(handler: Handler) -> None:
    row = "07" * (MOST_DIGITS // 2 + 4)
    answer = ask(handler, png(written([row], gap=5, scale=1)), status=422)
    assert f"up to {MOST_DIGITS}" in answer["detail"]


def test_as_many_as_are_read_are_read(handler: Handler) -> None:
    row = "07" * (MOST_DIGITS // 2)
    assert ask(handler, png(written([row], gap=5, scale=1)))["text"] == row
    page = written(["17"] * MOST_ROWS, pitch=26, scale=1)
    assert len(ask(handler, png(page))["rows"]) == MOST_ROWS


def test_of_several_pictures_only_those_with_too_much_are_refused(handler: Handler) -> None:
    many = image_of(written(["17"] * (MOST_ROWS + 6), pitch=26, scale=1))
    first, second = ask(handler, {"instances": [many, image_of(written(["207"]))]})["readings"]
    assert (first["status"], second["text"]) == (422, "207")


def test_an_answer_that_lambda_could_not_pass_on_is_refused(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = image_of(written(["207"]))
    size = len(json.dumps(ask(handler, picture)))
    monkeypatch.setattr("functions.predict_api.payloads.MAX_ANSWER_BYTES", 3 * size)
    assert ask(handler, {"instances": [picture]})["readings"][0]["text"] == "207"
    assert "less at a time" in ask(handler, {"instances": [picture] * 4}, status=413)["detail"]


def test_several_digits_are_told_where_numbers_are_read(handler: Handler) -> None:
    response = handler(events.post(png(written(["47"], gap=30)), content_type="image/png"))
    answer = events.body_of(response)
    assert answer["verdict"] == "several_digits"
    assert READ in answer["detail"]


def form_request(**changes: Any) -> dict[str, Any]:
    fields = [{"name": name, "box": list(box)} for name, (box, _) in FIELDS.items()]
    return {**image_of(form()), "fields": fields, **changes}


@pytest.mark.parametrize(("degrees", "shift"), [(0, (0, 0)), (2.5, (0, 0)), (-3, (10, -8)), (1, (-14, 12))])
def test_fields_are_read_where_the_form_has_them(handler: Handler, degrees: float, shift: tuple[int, int]) -> None:
    answer = ask(handler, form_request(**image_of(form(degrees, shift))))
    assert {name: field["text"] for name, field in answer["fields"].items()} == {
        name: text for name, (_, text) in FIELDS.items()
    }
    assert answer["fields"]["empty"]["conf"] > 0.5


def test_boxes_may_be_shares_of_the_page_and_lengths_are_hints(handler: Handler) -> None:
    shares = [
        {"name": name, "box": [box[0] / 800, box[1] / 400, box[2] / 800, box[3] / 400], "length": len(text) or None}
        for name, (box, text) in FIELDS.items()
    ]
    pixels, answer = ask(handler, form_request()), ask(handler, form_request(fields=shares))
    assert answer["fields"] == pixels["fields"]


def test_a_forms_boxes_are_in_the_picture_as_sent(handler: Handler) -> None:
    page = form(3)
    answer = ask(handler, form_request(**image_of(page)))
    for digit in answer["fields"]["zip"]["rows"][0]["digits"]:
        left, top, width, height = digit["box"]
        assert (page[top : top + height, left : left + width] < 128).mean() > 0.1
    row = answer["fields"]["zip"]["rows"][0]
    left, top, width, height = row["box"]
    for digit in row["digits"]:
        x, y, wide, high = digit["box"]
        assert left - 3 <= x + wide / 2 <= left + width + 3
        assert top - 3 <= y + high / 2 <= top + height + 3


def test_no_box_of_a_form_reaches_beyond_the_picture(handler: Handler) -> None:
    page = cropped(Image.fromarray(written(["20262026"])).rotate(-3, expand=True, fillcolor=235))
    fields = ask(handler, {**image_of(page), "fields": [{"name": "all", "box": [0, 0, 1, 1]}]})["fields"]
    assert fields["all"]["rows"]
    for box in boxes_of(fields["all"]):
        assert_inside(box, page)


@pytest.mark.parametrize(
    ("shift", "box"), [((0, 14), [100, 396, 400, 3]), ((14, 0), [797, 300, 3, 60]), ((-14, 0), [0, 210, 3, 44])]
)
def test_a_field_that_the_page_was_shifted_off_is_not_accepted(
    handler: Handler, shift: tuple[int, int], box: list[int]
) -> None:
    request = form_request(**image_of(form(0, shift)))
    request["fields"].append({"name": "edge", "box": box})
    fields = ask(handler, request)["fields"]
    assert (fields["edge"]["text"], fields["edge"]["accepted"]) == ("", False)
    assert fields["zip"]["text"] == "50318"


def test_a_blank_field_is_accepted_and_one_that_cannot_be_read_is_not(handler: Handler) -> None:
    page, request = form().copy(), form_request()
    request["fields"] += [{"name": name, "box": box} for name, box in OTHERS.items()]
    page[300:340, 600:680] = 20
    page[300:360, 400:580] -= np.random.default_rng(1).integers(0, 9, (60, 180), np.uint8)
    left, top, width, height = OTHERS["faint"]
    faint = written(["47"])[:height, :width]
    page[top : top + faint.shape[0], left : left + faint.shape[1]] = np.where(faint < 128, 228, 235)
    fields = ask(handler, {**request, **image_of(page)})["fields"]
    assert {name: fields[name]["accepted"] for name in ("empty", *OTHERS)} == {
        "empty": True,
        "grain": True,
        "black": False,
        "faint": False,
    }
    assert fields["faint"]["conf"] <= 0.5 < fields["empty"]["conf"]


def test_without_frames_neighbouring_fields_are_told_apart(handler: Handler) -> None:
    page = np.full((300, 800), 235, np.uint8)
    places = range(100, 400, 50)
    for x, text in zip(places, "503 18", strict=True):
        write(page, text.strip(), (x + 10, 110))
    fields = [{"name": str(x), "box": [x, 100, 50, 60]} for x in places]
    answer = ask(handler, {**image_of(page), "fields": fields})
    assert "".join(answer["fields"][str(x)]["text"] or " " for x in places) == "503 18"


def test_a_field_with_too_many_rows_is_named(handler: Handler) -> None:
    page = written(["17"] * (MOST_ROWS + 6), pitch=26, scale=1)
    answer = ask(handler, {**image_of(page), "fields": [{"name": "all", "box": [0, 0, 1, 1]}]}, status=422)
    assert answer["errors"][0]["pointer"] == "/fields/0"
    assert "'all'" in answer["detail"]


OTHERS = {"grain": (400, 300, 180, 60), "black": (600, 300, 80, 40), "faint": (60, 300, 300, 60)}
BOX = [60, 80, 260, 64]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ([], "/fields"),
        ([{"name": "a", "box": BOX}, {"name": "a", "box": [60, 200, 340, 64]}], "/fields/1/name"),
        ([{"name": "a", "box": BOX}, {"name": "b", "box": [70, 84, 260, 64]}], "/fields/1/box"),
        ([{"name": "a", "box": [60, 80, 0, 64]}], "/fields/0/box"),
        ([{"name": "a", "box": [700, 80, 260, 64]}], "/fields/0/box"),
        ([{"name": "a", "box": [-5, 80, 260, 64]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 260, -64]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 1e-200, 1e-200]}, {"name": "b", "box": [50, 70, 90, 90]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 380, 260, 64]}], "/fields/0/box"),
        ([{"name": "a", "box": [0.5, 0.1, 0.6, 0.1]}], "/fields/0/box"),
        ([{"name": "a", "box": [800, 10, 4, 10]}], "/fields/0/box"),
        ([{"name": "a", "box": [10, 400, 10, 2]}], "/fields/0/box"),
        ([{"name": "a", "box": [-0.1, 0.1, 0.6, 0.1]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, float("inf"), 64]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 10**400, 64]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 260]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 260, 64, 1]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 260, "64"]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 260, None]}], "/fields/0/box"),
        ([{"name": "a", "box": [60, 80, 260, True]}], "/fields/0/box"),
        ([{"name": "a", "box": {"left": 60}}], "/fields/0/box"),
        ([{"name": "a"}], "/fields/0/box"),
        ([{"name": "a", "box": BOX, "length": "many"}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": 0}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": 41}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": "6-4"}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": ""}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": 4.5}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": True}], "/fields/0/length"),
        ([{"name": "a", "box": BOX, "length": [4, 6]}], "/fields/0/length"),
        ([{"name": "a" * 101, "box": BOX}], "/fields/0/name"),
        ([{"name": 7, "box": BOX}], "/fields/0/name"),
        (["zip"], "/fields/0"),
        ([{"name": "", "box": BOX}], "/fields/0/name"),
        ([{"box": BOX}], "/fields/0/name"),
        ([{"name": str(number), "box": [number / 200, 0, 0.005, 0.1]} for number in range(101)], "/fields"),
    ],
)
def test_fields_that_cannot_be_are_refused(handler: Handler, fields: list[dict[str, Any]], pointer: str) -> None:
    answer = ask(handler, form_request(fields=fields), status=422)
    assert answer["errors"][0]["pointer"] == pointer
    enveloped = {"token": EVENT_TOKEN, "params": form_request(fields=fields)}
    assert ask(handler, enveloped, status=422)["errors"][0]["pointer"] == f"/params{pointer}"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"fields": "zip"}, "/fields"),
        ({"fields": {"zip": BOX}}, "/fields"),
        ({"fields": None}, "/fields"),
        ({"image": None}, "/image"),
        ({"image": "*"}, "/image"),
        ({"image": base64.b64encode(b"no image").decode()}, "/image"),
        ({"token": 7}, "/token"),
    ],
)
def test_a_form_that_cannot_be_read_is_pointed_at(handler: Handler, changes: dict[str, Any], pointer: str) -> None:
    answer = ask(handler, form_request(**changes), status=422)
    assert answer["errors"][0]["pointer"] == pointer


def test_fields_without_a_picture_file_are_refused(handler: Handler) -> None:
    for document in ({"pixels": [0] * 784}, {"instances": [{"pixels": [0] * 784}]}, {}):
        fields = [{"name": "a", "box": [0, 0, 1, 1]}]
        assert ask(handler, {**document, "fields": fields}, status=422)["errors"][0]["pointer"] == "/image"


PAGE = image_of(written(["2026"]))
PLACES = [{"name": "year", "box": [0, 0, 1, 1]}]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"instances": [PAGE, PAGE | {"fields": PLACES}]}, "/instances/1/fields"),
        ({"instances": [{"fields": PLACES}]}, "/instances/0/fields"),
        ({"params": {"instances": [PAGE | {"fields": PLACES}]}}, "/params/instances/0/fields"),
        ({"params": PAGE, "fields": PLACES}, "/fields"),
        ({"params": PAGE | {"fields": PLACES}, "fields": PLACES}, "/fields"),
    ],
)
def test_fields_that_would_be_read_over_are_refused(handler: Handler, document: dict[str, Any], pointer: str) -> None:
    problem = ask(handler, document, status=422)
    assert problem["errors"] == [{"pointer": pointer, "detail": problem["detail"]}]


def test_fields_in_a_form_with_files_are_refused(handler: Handler) -> None:
    files, content_type = events.multipart(png(written(["2026"])))
    text = b'--digits-boundary\r\nContent-Disposition: form-data; name="%s"\r\n\r\n[]\r\n'
    refused, read = (
        events.body_of(handler(events.at(events.post(text % name + files, content_type=content_type), READ)))
        for name in (b"fields", b"note")
    )
    assert (refused["status"], read["text"]) == (400, "2026")
    assert "send one form a request" in refused["detail"]


def test_a_blank_page_has_blank_fields(handler: Handler) -> None:
    answer = ask(handler, form_request(**image_of(np.full((400, 800), 235, np.uint8))))
    assert {field["text"] for field in answer["fields"].values()} == {""}
    assert all(field["accepted"] and not field["rows"] for field in answer["fields"].values())


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [0.001, 0.001, 0.001, 0.0015], [799, 399, 1, 1], [0, 0, 800, 1]])
def test_fields_may_be_as_large_as_the_page_and_as_small_as_a_pixel(handler: Handler, box: list[float]) -> None:
    answer = ask(handler, form_request(fields=[{"name": "a/~ü", "box": box}]))
    assert answer["fields"].keys() == {"a/~ü"}


@pytest.mark.parametrize("box", [[781, 300, 23, 40], [60, 394, 200, 8], [0.99, 0.5, 0.0149, 0.1], [799, 10, 4, 10]])
def test_fields_may_reach_a_little_beyond_the_page(handler: Handler, box: list[float]) -> None:
    answer = ask(handler, form_request(fields=[*form_request()["fields"], {"name": "edge", "box": box}]))
    assert answer["fields"]["edge"]["text"] == ""
    assert answer["fields"]["zip"]["text"] == "50318"


def test_a_hundred_fields_are_read(handler: Handler) -> None:
    fields = [{"name": str(number), "box": [8 * number, 300, 8, 60]} for number in range(MOST_FIELDS)]
    assert len(ask(handler, form_request(fields=fields))["fields"]) == MOST_FIELDS


def test_a_length_of_a_field_that_it_does_not_have_is_told(handler: Handler) -> None:
    fields = [{"name": "year", "box": list(FIELDS["year"][0]), "length": 9}]
    year = ask(handler, form_request(fields=fields))["fields"]["year"]
    assert (year["warnings"], year["accepted"]) == (["other_length"], False)


def test_a_form_comes_in_an_envelope_too(handler: Handler) -> None:
    posted = events.without_token(events.post({"token": EVENT_TOKEN, "params": form_request()}))
    response = handler(events.at(posted, READ))
    assert events.body_of(response)["fields"]["year"]["text"] == "2026", json.dumps(events.body_of(response))[:500]
