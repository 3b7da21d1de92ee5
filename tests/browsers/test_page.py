"""The page in Firefox and in WebKit, against the real application."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from benchmarks.browser import STROKES
from functions.predict_api.app import app_from_environment
from functions.predict_api.payloads import MAX_BODY_BYTES
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from tests import events
from tests.browsers.browser import Browser
from tests.handwriting import strokes_of
from tests.photos import encoded, grainy_photo, photo, turned

pytestmark = pytest.mark.browsers

SPACE, ENTER, DELETE, UP, DOWN = " ", "\ue007", "\ue017", "\ue013", "\ue015"


@pytest.fixture
def page(browser: Browser, site: str) -> Browser:
    """The page, with a token typed into it."""
    return opened(browser, site)


def opened(browser: Browser, site: str) -> Browser:
    browser.open(f"{site}/")
    browser.click("#token")
    browser.press(EVENT_TOKEN + ENTER)
    browser.wait_for("() => !document.getElementById('access').open")
    return browser


def draw(page: Browser, digit: int) -> None:
    for stroke in STROKES[digit]:
        page.drag("#sheet", stroke)


def expect_digit(page: Browser, digit: int) -> None:
    script = """(digit) => ["read", "unsure"].includes(document.getElementById("answer").dataset.state)
      && document.getElementById("digit").textContent === digit"""
    page.wait_for(script, str(digit))


def expect_words(page: Browser, words: str) -> None:
    page.wait_for_text("#verdict", words)


def choose(page: Browser, path: Path, file: bytes) -> None:
    path.write_bytes(file)
    page.choose("#file", path)


@pytest.mark.parametrize("digit", STROKES)
def test_a_drawn_digit_is_read(page: Browser, digit: int) -> None:
    draw(page, digit)
    expect_digit(page, digit)
    assert page.run("() => document.getElementById('seen').naturalWidth") == 28
    page.wait_for_text("#time", "ms from the lifted pen to the answer")
    assert "inference" in page.text("#phases")
    page.wait_for_text("#request", "curl -s ")


def test_a_digit_is_drawn_with_the_keyboard_alone(page: Browser) -> None:
    page.press(UP * 9 + SPACE + DOWN * 18 + SPACE)  # the token leaves the focus on the sheet
    expect_digit(page, 1)
    page.press(DELETE)
    expect_words(page, "Nothing is drawn yet.")


def test_samples_are_read(page: Browser) -> None:
    for digit in (0, 1, 2):
        page.click("#next")
        expect_digit(page, digit)
        assert page.text("#steps") == "already as MNIST has it: nothing was done"
    page.click("#previous")
    expect_digit(page, 1)


def test_a_large_photo_is_scaled_down_and_read(page: Browser, tmp_path: Path) -> None:
    file = grainy_photo(3, 4500)
    assert len(file) > MAX_BODY_BYTES
    choose(page, tmp_path / "photo.jpg", file)
    expect_digit(page, 3)
    page.wait_for_text("#time", "from the picture")


def test_a_large_photo_is_upright(page: Browser, tmp_path: Path) -> None:
    choose(page, tmp_path / "turned.jpg", turned(photo(4, 4200)))
    expect_digit(page, 4)


def test_the_clear_ground_of_a_large_picture_is_white(page: Browser, tmp_path: Path) -> None:
    ink = Image.new("RGBA", (4200, 4200), (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255), (2000, 900, 2300, 3300))
    choose(page, tmp_path / "clear.png", encoded(ink, "PNG"))
    expect_digit(page, 1)


def test_several_pictures_follow_each_other(page: Browser, tmp_path: Path) -> None:
    for digit in (7, 2):
        choose(page, tmp_path / f"{digit}.png", events.digit_file(digit))
        expect_digit(page, digit)
    choose(page, tmp_path / "blank.png", encoded(Image.new("L", (200, 200), 255), "PNG"))
    expect_words(page, "The picture is blank.")
    choose(page, tmp_path / "notes.png", b"no picture")
    expect_words(page, "This browser cannot read notes.png as a picture.")
    choose(page, tmp_path / "photo.jpg", photo(3, 900))
    expect_digit(page, 3)
    page.click("#undo")
    expect_words(page, "The picture is blank.")
    page.click("#undo")
    expect_digit(page, 2)


def test_a_drawn_number_is_read_digit_by_digit(page: Browser) -> None:
    for stroke in strokes_of("2026"):
        page.drag("#sheet", stroke)
    expect_digit(page, 2026)
    assert page.run("() => document.querySelectorAll('#digits label').length") == 4
    page.click("#digits label:last-child")
    assert page.text("#bars .most .name") == "6"
    page.wait_for_text("#request", "/v1/read'")


def test_what_is_no_digit_is_told_and_shown(page: Browser) -> None:
    image = "data:image/png;base64," + base64.b64encode(events.digit_file(7)).decode()
    problem = {"verdict": "not_a_digit", "explain": {"steps": ["left out a line"], "image": image, "verdicts": []}}
    page.run("(problem) => { window.fetch = async () => Response.json(problem, { status: 422 }) }", problem)
    draw(page, 7)
    expect_words(page, "This looks like no digit.")
    assert page.text("#steps .left-out") == "left out a line"
    page.wait_for("() => document.getElementById('seen').naturalWidth === 28")


def test_a_service_that_is_down_answers_when_it_is_back(browser: Browser, published: object) -> None:
    with LocalServer(app_from_environment(os.environ)) as server:
        page = opened(browser, server.url)
        page.wait_for_text("#model", "test digits")
        port = urlsplit(server.url).port
    draw(page, 7)
    expect_words(page, "The service cannot be reached. It is asked again by itself.")
    with LocalServer(app_from_environment(os.environ), port or 0):
        expect_digit(page, 7)


def test_a_mistake_of_the_pages_is_told_as_that(page: Browser) -> None:
    page.run("() => { HTMLCanvasElement.prototype.toBlob = () => { throw new Error('a mistake') } }")
    draw(page, 7)
    expect_words(page, "The page made a mistake: reload it.")
