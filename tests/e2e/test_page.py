"""The page in a real browser, against the real application."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from benchmarks.browser import draw, draw_stroke, find_chromium, running_browser
from digits.model.manifest import Manifest
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from functions.predict_api.app import app_from_environment
from functions.predict_api.payloads import MAX_BODY_BYTES
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from local.stack import TOKEN_NAME
from tests import events, numbers
from tests.handwriting import strokes_of
from tests.photos import encoded, grainy_photo, photo, turned

ROOT = Path(__file__).parents[2]
PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
READ = "#answer:is([data-state=read], [data-state=unsure])"
expect.set_options(timeout=15_000)  # a machine may be busy, and the page asks again after 5 seconds

EXPLANATION: dict[str, Any] = {
    "steps": ["inverted", "left out a line", "left out 2 specks", "scaled"],
    "image": "data:image/png;base64," + base64.b64encode(events.digit_file(7)).decode(),
    "verdicts": [],
}
PREDICTION: dict[str, Any] = {
    "pred": 7,
    "conf": 0.94,
    "probabilities": [0.0] * 7 + [0.94, 0.06, 0.0],
    "warnings": [],
    "model": {"version": "20261122T051500Z-3f9a1c2b", "accuracy": 0.99},
    "explain": EXPLANATION,
}


def number(*rows: str, accepted: bool) -> dict[str, Any]:
    """Return rows as the API tells them; the further to the right, the surer are their digits, from a half on."""
    told = []
    for line, text in enumerate(rows):
        digits = []
        for place, digit in enumerate(map(int, text)):
            conf = 0.5 + 0.4 * place / len(text)
            probabilities = [(1 - conf) / 9] * 10
            probabilities[digit] = conf
            box = [20 + 40 * place, 20 + 80 * line, 30, 50]
            digits.append({"pred": digit, "conf": conf, "probabilities": probabilities, "box": box})
        told.append({"text": text, "conf": 0.9, "accepted": accepted, "box": [20, 20, 300, 50], "digits": digits})
    model = PREDICTION["model"]
    text = "\n".join(rows)
    return {"text": text, "conf": 0.81, "accepted": accepted, "rows": told, "warnings": [], "model": model}


SEVERAL: dict[str, Any] = {"verdict": "several_digits", "detail": "no", "boxes": [[9, 9, 9, 9], [29, 9, 9, 9]]}

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium: install Debian's package, or name the program in CHROMIUM")
    with running_browser(program) as running:
        yield running


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens pages; what each of them complains about must be what the test expects."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    expected = ["status of 422"]  # half a digit may well be refused while the rest is drawn

    def open_page(url: str, complaint: str | None = None, token: str | None = EVENT_TOKEN, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        expected.extend([complaint] if complaint else [])
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{url}/")
        if token:
            enter_token(page, token)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A browser complains of every answer that is no success, whatever the page makes of it.
    assert [text for text in complaints if not any(re.search(pattern, text) for pattern in expected)] == []


def enter_token(page: Page, token: str) -> None:
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Use").click()


def expect_digit(page: Page, digit: int | str) -> None:
    """Expect a digit or a number; a text has the rows of a number, a line each."""
    expect(page.locator(READ)).to_be_visible()
    expect(page.locator("#digit")).to_have_text(str(digit), use_inner_text=True)


def expect_words(page: Page, words: str) -> None:
    expect(page.get_by_role("status").first).to_contain_text(words)


def has_mark(page: Page, corner: tuple[float, float], opposite: tuple[float, float]) -> bool:
    """Tell whether there is anything red on a part of the sheet."""
    return red_pixels(page, corner, opposite) > 0


def red_pixels(page: Page, corner: tuple[float, float], opposite: tuple[float, float]) -> int:
    script = """([left, top, right, bottom]) => {
      const sheet = document.getElementById("sheet");
      const pixels = [left, top, right - left, bottom - top].map((share) => Math.round(share * sheet.width));
      const data = sheet.getContext("2d").getImageData(...pixels).data;
      return data.filter((value, at) => at % 4 === 0 && value > 150 && data[at + 1] < 100).length;
    }"""
    return int(page.evaluate(script, [*corner, *opposite]))


def point_on(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a place on the sheet, in shares of its sides, is in the window."""
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def run_command(page: Page, folder: Path) -> dict[str, Any]:
    """Run the page's curl line as a person would, and return the answer."""
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#copied")).to_contain_text("Copied.")
    command = page.evaluate("navigator.clipboard.readText()")
    assert EVENT_TOKEN not in command
    environment = {**os.environ, "TOKEN": EVENT_TOKEN}
    finished = subprocess.run(["bash", "-c", command], env=environment, cwd=folder, capture_output=True, check=True)
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def draw_number(page: Page) -> None:
    for stroke in strokes_of("2026"):
        draw_stroke(page, stroke)


def dark_pixels(page: Page) -> int:
    script = """() => {
      const sheet = document.getElementById("sheet");
      const data = sheet.getContext("2d").getImageData(0, 0, sheet.width, sheet.height).data;
      let dark = 0;
      for (let at = 0; at < data.length; at += 4) dark += data[at] < 128 && data[at] - data[at + 2] < 60;
      return dark;
    }"""
    return int(page.evaluate(script))


def choose(page: Page, name: str, media_type: str, file: bytes) -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": media_type, "buffer": file})


def answer_with(page: Page, document: dict[str, Any], status: int = 422, route: str = "**/v1/predict*") -> None:
    page.route(route, lambda asked: asked.fulfill(status=status, json=document))


def read_as(page: Page, document: dict[str, Any], status: int = 200) -> None:
    """Have several digits found in what is drawn, and that answered to who asks for the number."""
    answer_with(page, SEVERAL)
    answer_with(page, document, status, "**/v1/read")


def give(page: Page, kind: str, file: bytes) -> None:
    """Paste or drop a picture."""
    script = """([kind, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "digit.png", { type: "image/png" }));
      const options = { clipboardData: data, dataTransfer: data, bubbles: true, cancelable: true };
      const event = kind === "paste" ? new ClipboardEvent(kind, options) : new DragEvent(kind, options);
      document.getElementById("sheet").dispatchEvent(event);
    }"""
    page.evaluate(script, [kind, base64.b64encode(file).decode()])


# Drawing


@pytest.mark.parametrize("digit", [1, 0, 7, 4])
def test_a_drawn_digit_is_read(opened: Open, site: str, version: tuple[Manifest, object], digit: int) -> None:
    page = opened(site)
    draw(page, digit)
    expect_digit(page, digit)
    expect_words(page, f"Read as {digit}, with a confidence of ")
    shares = page.locator("#bars .share").all_inner_texts()
    assert len(shares) == 10
    assert max(range(10), key=lambda each: float(shares[each].rstrip(" %"))) == digit
    expect(page.locator("#model")).to_contain_text(version[0].version)
    assert page.locator("#seen").evaluate("image => image.decode().then(() => image.naturalWidth)") == 28
    assert "inverted" in page.locator("#steps").inner_text()
    expect(page.locator("#time")).to_have_text(re.compile(r"^\d+ ms from the lifted pen to the answer$"))
    expect(page.locator("#phases")).to_contain_text(re.compile(r"ms, (cold|warm) \(token .*inference"))


@pytest.mark.parametrize("width", ["4", "60"])
def test_a_thin_and_a_thick_pen_are_read(opened: Open, site: str, width: str) -> None:
    page = opened(site)
    page.get_by_label("Pen width").fill(width)
    draw(page, 7)
    expect_digit(page, 7)


def test_the_first_answer_is_cold_and_the_next_is_warm(opened: Open, site: str) -> None:
    page = opened(site)
    draw(page, 1)
    expect_digit(page, 1)
    expect(page.locator("#phases")).to_contain_text("cold")
    page.get_by_role("button", name="Clear").click()
    draw(page, 7)
    expect_digit(page, 7)
    expect(page.locator("#phases")).to_contain_text("warm")


def test_a_finger_draws_on_a_phone(opened: Open, site: str) -> None:
    page = opened(site, **PHONE)
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    page.locator("#sheet").scroll_into_view_if_needed()
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    devices = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
        devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    before = page.evaluate("scrollY")
    touch("touchStart", (0.3, 0.25))
    for share in range(1, 9):
        touch("touchMove", (0.3 + 0.05 * share, 0.25))
    for share in range(1, 9):
        touch("touchMove", (0.7 - 0.03 * share, 0.25 + 0.07 * share))
    touch("touchEnd")
    expect_digit(page, 7)
    assert page.evaluate("scrollY") == before
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_a_pen_that_is_pressed_harder_draws_wider(opened: Open, site: str) -> None:
    page = opened(site)
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    devices = page.context.new_cdp_session(page)

    def line(force: float) -> int:
        for kind, share in [
            ("mousePressed", 0.2),
            *(("mouseMoved", at / 10) for at in range(3, 8)),
            ("mouseReleased", 0.8),
        ]:
            at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + share * box["height"], "force": force}
            held = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
            devices.send("Input.dispatchMouseEvent", {"type": kind, **at, **held})
        expect(page.locator(READ)).to_be_visible()
        drawn = dark_pixels(page)
        page.get_by_role("button", name="Clear").click()
        return drawn

    assert line(0.9) > 1.8 * line(0.2)


def test_undo_in_a_stroke_takes_that_stroke_back(opened: Open, site: str) -> None:
    page = opened(site)
    draw(page, 1)
    expect_digit(page, 1)
    drawn = dark_pixels(page)
    page.mouse.move(*point_on(page, 0.2, 0.2))
    page.mouse.down()
    page.mouse.move(*point_on(page, 0.8, 0.2), steps=5)
    page.keyboard.press("Control+z")
    page.mouse.move(*point_on(page, 0.8, 0.8), steps=5)
    page.mouse.up()
    assert dark_pixels(page) == drawn
    page.get_by_role("button", name="Clear").click()
    draw(page, 7)
    expect_digit(page, 7)


def test_a_second_finger_draws_nothing(opened: Open, site: str) -> None:
    page = opened(site, **PHONE)
    page.locator("#sheet").scroll_into_view_if_needed()
    devices = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [point_on(page, *place) for place in places]
        at = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
        devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", (0.5, 0.2))
    touch("touchStart", (0.5, 0.3), (0.9, 0.3))
    for height in (0.4, 0.5, 0.6, 0.7, 0.8):
        touch("touchMove", (0.5, height), (0.9, height))
    touch("touchEnd")
    expect_digit(page, 1)


def test_strokes_that_follow_each_other_are_one_question(opened: Open, site: str) -> None:
    page = opened(site)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.clock.install()
    page.clock.pause_at("2100-01-01")
    draw(page, 4)
    page.clock.run_for(100)
    expect_digit(page, 4)
    assert len(asked) == 1


def test_the_sheet_stays_where_it_is_when_the_answer_comes(opened: Open, site: str) -> None:
    page = opened(site, **PHONE)
    before = page.locator("#sheet").bounding_box()
    draw(page, 7)
    expect_digit(page, 7)
    assert page.locator("#sheet").bounding_box() == before


@pytest.mark.parametrize("size", [(568, 320), (320, 180)])
def test_the_whole_sheet_fits_a_low_window(opened: Open, site: str, size: tuple[int, int]) -> None:
    page = opened(site, viewport={"width": size[0], "height": size[1]})
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    assert box["height"] < size[1]
    assert abs(box["width"] - box["height"]) < 1


def test_undo_and_clear(opened: Open, site: str) -> None:
    page = opened(site)
    draw(page, 4)
    expect_digit(page, 4)
    both = dark_pixels(page)
    page.get_by_role("button", name="Clear").click()
    expect_words(page, "Nothing is drawn yet.")
    expect(page.locator("#digit")).to_have_text("?")
    assert dark_pixels(page) == 0
    page.keyboard.press("Control+z")
    expect_digit(page, 4)
    assert dark_pixels(page) == both
    page.get_by_role("button", name="Undo").click()
    assert 0 < dark_pixels(page) < both
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()  # there is nothing left
    expect_words(page, "Nothing is drawn yet.")


def test_a_digit_is_drawn_with_the_keyboard_alone(opened: Open, site: str) -> None:
    page = opened(site)  # which leaves the focus on the sheet
    for keys in ["ArrowUp"] * 9 + [" "] + ["ArrowDown"] * 18 + [" "]:
        page.keyboard.press(keys)
    expect_digit(page, 1)
    page.keyboard.press("Delete")
    expect_words(page, "Nothing is drawn yet.")


def test_the_keyboards_pen_is_lifted_and_its_stroke_taken_back(opened: Open, site: str) -> None:
    page = opened(site)
    for key in (" ", "ArrowUp"):
        page.keyboard.press(key)
    expect_words(page, "The pen is down.")
    page.keyboard.press("Delete")
    expect_words(page, "Nothing is drawn yet.")
    assert dark_pixels(page) == 0
    for key in ["ArrowUp"] * 8 + [" "] + ["ArrowDown"] * 18 + ["Tab"]:  # the pen does not stay down on a sheet left
        page.keyboard.press(key)
    expect_digit(page, 1)


def test_an_answer_to_what_is_no_longer_there_is_dropped(opened: Open, site: str) -> None:
    page = opened(site)
    held: list[Route] = []
    page.route("**/v1/predict*", lambda route: held.append(route) if not held else route.continue_())
    draw(page, 1)
    page.wait_for_function("document.getElementById('answer').dataset.state === 'asking'")
    page.wait_for_timeout(100)
    page.get_by_role("button", name="Clear").click()
    draw(page, 7)
    expect_digit(page, 7)
    assert len(held) == 1
    held[0].fulfill(json={"pred": 1, "conf": 1, "probabilities": [0] * 10})
    page.wait_for_timeout(200)
    expect_digit(page, 7)


# Numbers


def test_a_drawn_number_is_read_digit_by_digit(opened: Open, site: str) -> None:
    page = opened(site)
    draw_number(page)
    expect_digit(page, 2026)
    expect_words(page, "2026, with a confidence of ")
    shares = page.locator("#digits label").all_inner_texts()
    assert [share.split()[0] for share in shares] == list("2026")
    assert all(re.fullmatch(r"\d\s+\d+ %", share) for share in shares)
    for left in (0.05, 0.28, 0.5, 0.74):  # above and below, a digit's box reaches beyond its strokes
        assert has_mark(page, (left, 0.3), (left + 0.19, 0.7))
    assert not has_mark(page, (0, 0), (1, 0.25))
    expect(page.locator("#time")).to_have_text(re.compile(r"^\d+ ms from the lifted pen to the answer$"))
    expect(page.locator("#phases")).to_contain_text(re.compile(r"ms, (cold|warm) \(token .*rows .*inference"))
    expect(page.locator("#seen")).to_be_hidden()
    expect(page.locator("#token-state")).to_have_text("is accepted")


def test_a_digit_after_a_number_is_shown_as_a_digit(opened: Open, site: str) -> None:
    page = opened(site)
    draw_number(page)
    expect_digit(page, 2026)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#number")).to_be_hidden()
    assert not has_mark(page, (0, 0), (1, 1))
    page.get_by_role("button", name="Undo").click()
    expect_digit(page, 2026)
    choose(page, "digit.png", "image/png", events.digit_file(7))
    expect_digit(page, 7)
    expect(page.locator("#number")).to_be_hidden()
    expect(page.locator("#seen")).to_be_visible()


def test_a_picture_of_a_number_is_dropped_and_its_digits_are_marked(opened: Open, site: str) -> None:
    page = opened(site)
    give(page, "drop", (ROOT / "events/numbers/2026.png").read_bytes())
    expect_digit(page, 2026)
    expect(page.locator("#digits label")).to_have_count(4)
    expect(page.locator("#time")).to_contain_text("from the picture")
    for quarter in range(4):
        assert has_mark(page, (quarter / 4, 0), ((quarter + 1) / 4, 1))


def test_a_chosen_digit_shows_what_else_it_may_be_and_stands_out(opened: Open, site: str) -> None:
    page = opened(site)
    read_as(page, number("35", "801", accepted=False))
    draw(page, 7)
    expect_digit(page, "35\n801")
    assert page.locator("#digits label").all_inner_texts() == ["3\n50 %", "5\n70 %", "8\n50 %", "0\n63 %", "1\n76 %"]
    first, second = ((0.03, 0.03), (0.14, 0.21)), ((0.14, 0.03), (0.24, 0.21))  # where their boxes are
    expect(page.get_by_role("radio", name="3 50 %")).to_be_checked()  # of the least sure, the first
    expect(page.locator("#bars .most .share")).to_have_text("50.0 %")
    assert red_pixels(page, *first) > 1.5 * red_pixels(page, *second)
    page.get_by_role("radio", name="3 50 %").press("ArrowRight")
    expect(page.get_by_role("radio", name="5 70 %")).to_be_checked()
    expect(page.locator("#bars .most .share")).to_have_text("70.0 %")
    assert 1.5 * red_pixels(page, *first) < red_pixels(page, *second)
    page.get_by_role("radio", name="1 76 %").click()
    expect(page.locator("#bars .most .name")).to_have_text("1")


def test_rows_that_are_not_sure_are_told(opened: Open, site: str) -> None:
    page = opened(site, reduced_motion="reduce")
    mixed = number("35", "801", accepted=False)
    mixed["rows"][0]["accepted"] = True
    read_as(page, mixed)
    draw(page, 7)
    expect_words(page, "Not sure. Perhaps 35 and 801 (not sure), with a confidence of 81.00 %: a person should look.")
    colours = page.locator("#digit span").evaluate_all("rows => rows.map((row) => getComputedStyle(row).color)")
    assert len(set(colours)) == 2
    read_as(page, number("35", "801", accepted=True))
    draw(page, 1)
    expect_words(page, "Read as 35 and 801, with a confidence of 81.00 %. Accepted.")


def test_what_makes_a_number_doubtful_is_told_in_plain_words(opened: Open, site: str) -> None:
    page = opened(site)
    read_as(page, number("35", accepted=False) | {"warnings": ["touches_edge", "left_out"]})
    draw(page, 7)
    expect_words(page, "It touches the edge: part of it may be missing.")
    expect_words(page, "Something was left out that may be another row.")


def test_digits_that_touch_are_read_although_they_look_like_none(opened: Open, site: str) -> None:
    page = opened(site)
    answer_with(page, {"verdict": "not_a_digit", "detail": "no", "explain": EXPLANATION})
    draw_number(page)
    expect_digit(page, 2026)
    assert "/v1/read'" in page.locator("#request").inner_text()
    page.get_by_role("button", name="Clear").click()
    draw(page, 7)  # the reader, too, finds no more than one
    expect_words(page, "This looks like no digit.")
    expect(page.locator("#seen")).to_be_visible()
    assert "/v1/predict?explain=1'" in page.locator("#request").inner_text()


def page_of_rows() -> bytes:
    return numbers.png(numbers.written(["2026", "47"]))


ONE = [(PREDICTION | {"accepted": True}, 200)]
ONE += [({"verdict": verdict, "detail": "no"}, 422) for verdict in ("blank", "no_contrast", "not_a_digit")]


@pytest.mark.parametrize(("document", "status"), ONE)
def test_a_page_of_rows_is_read_whatever_it_looks_like_as_a_digit(
    opened: Open, site: str, document: dict[str, Any], status: int
) -> None:
    page = opened(site)
    answer_with(page, document, status)
    choose(page, "page.png", "image/png", page_of_rows())
    expect_digit(page, "2026\n47")
    assert "/v1/read'" in page.locator("#request").inner_text()
    give(page, "drop", page_of_rows())
    expect_digit(page, "2026\n47")


def test_the_digit_of_a_file_is_shown_where_the_reader_finds_no_more(opened: Open, site: str) -> None:
    page = opened(site, "503")
    answer_with(page, PREDICTION | {"accepted": True}, 200)
    for document, status in [(number("7", accepted=False), 200), ({"verdict": "not_a_digit"}, 422), ({}, 503)]:
        answer_with(page, document, status, "**/v1/read")
        with page.expect_response("**/v1/read"):
            give(page, "paste", events.digit_file(7))
        expect_digit(page, 7)
        expect_words(page, "Read as 7, with a confidence of 94.00 %. Accepted.")
        expect(page.locator("#number")).to_be_hidden()
        expect(page.locator("#seen")).to_be_visible()
        assert "/v1/predict?explain=1'" in page.locator("#request").inner_text()
        page.get_by_role("button", name="Clear").click()


def test_the_reader_is_not_asked_about_a_digit_that_was_drawn_or_is_a_sample(opened: Open, site: str) -> None:
    page = opened(site)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    draw(page, 7)
    expect_digit(page, 7)
    page.get_by_role("button", name="Next sample").click()
    expect_digit(page, 0)
    assert not [url for url in asked if url.endswith("/v1/read")]


def test_a_number_is_copied_row_by_row(opened: Open, site: str) -> None:
    page = opened(site, permissions=["clipboard-read", "clipboard-write"])
    read_as(page, number("35", "801", accepted=True))
    draw(page, 7)
    page.get_by_role("button", name="Copy number").click()
    expect(page.locator("#number-copied")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "35\n801"
    draw(page, 1)
    expect_digit(page, "35\n801")
    expect(page.locator("#number-copied")).to_have_text("")


def test_a_number_is_selected_where_the_page_has_no_clipboard(opened: Open, site: str) -> None:
    page = opened(site)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")  # as over HTTP from elsewhere
    read_as(page, number("35", "801", accepted=True))
    draw(page, 7)
    page.get_by_role("button", name="Copy number").click()
    expect(page.locator("#number-copied")).to_have_text("Selected: copy it with Ctrl+C or ⌘C.")
    assert page.evaluate("getSelection().toString()") == "35\n801"


def test_the_copied_request_of_a_number_gives_the_same_answer(opened: Open, site: str, tmp_path: Path) -> None:
    page = opened(site, permissions=["clipboard-read", "clipboard-write"])
    draw_number(page)
    expect_digit(page, 2026)
    assert run_command(page, tmp_path)["text"] == "2026"


def test_a_model_that_reads_no_numbers_is_told(
    opened: Open, served: LocalServer, bucket: Bucket, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    manifest, files = version
    kept = {name: file for name, file in files.items() if not name.startswith("reader.")}
    records = {name: record for name, record in manifest.files.items() if name in kept}
    tokens.add(bucket, TOKEN_NAME, EVENT_TOKEN)
    Registry(bucket).publish(manifest.model_copy(update={"reader": None, "files": records}), kept)
    Registry(bucket).promote(manifest.version)
    page = opened(served.url, "422|503")
    draw_number(page)
    reason = f"{manifest.version} reads single digits only: it has no reader of numbers."
    expect_words(page, f"Four digits: send one at a time. {reason}")
    assert has_mark(page, (0, 0.3), (1, 0.7))
    page.get_by_role("button", name="Clear").click()
    draw(page, 7)
    expect_digit(page, 7)


def test_a_reader_that_cannot_be_had_is_asked_again(opened: Open, site: str) -> None:
    page = opened(site, "503")
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        route.fulfill(status=503, json={"detail": "not at the moment"}) if len(asked) == 1 else route.continue_()

    page.clock.install()
    page.clock.pause_at("2100-01-01")
    page.route("**/v1/read", answer)
    draw_number(page)
    page.clock.run_for(100)
    expect_words(page, "Not at the moment. It is asked again by itself.")
    page.clock.run_for(5000)
    expect_digit(page, 2026)


def test_what_the_reader_refuses_is_told(opened: Open, site: str) -> None:
    page = opened(site)
    read_as(page, {"detail": "a row has 45 digits, where up to 40 are read"}, 422)
    draw(page, 7)
    expect_words(page, "A row has 45 digits, where up to 40 are read.")


def test_the_longest_rows_fit_a_phone(opened: Open, site: str) -> None:
    page = opened(site, **PHONE)
    read_as(page, number("1234567890" * 4, "7", accepted=True))
    draw(page, 7)
    expect(page.locator("#digits label")).to_have_count(41)
    assert page.evaluate("document.scrollingElement.scrollWidth") == 320
    for place in ("#digit", "#verdict", "#digits"):
        assert page.locator(place).evaluate("place => place.scrollWidth <= place.clientWidth"), place


# What there is instead of a digit


def colours(page: Page) -> list[list[int]]:
    """Return the colours of the large digit and of its bar, as red, green and blue."""
    script = """() => [
      getComputedStyle(document.getElementById("digit")).color,
      getComputedStyle(document.querySelector(".most .bar span") ?? document.body).backgroundColor,
    ].map((colour) => colour.match(/[0-9]+/g).slice(0, 3).map(Number))"""
    found: list[list[int]] = page.evaluate(script)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("accepted", [True, False])
def test_only_what_is_accepted_is_a_blue_digit(opened: Open, site: str, scheme: str, accepted: bool) -> None:
    page = opened(site, color_scheme=scheme, reduced_motion="reduce")
    answer_with(page, {**PREDICTION, "accepted": accepted}, 200)
    draw(page, 7)
    expect_digit(page, 7)
    expect_words(page, "Read as 7, with a confidence of 94.00 %. Accepted." if accepted else "Not sure. Perhaps 7, ")
    assert page.locator("#bars .share").nth(7).inner_text() == "94.0 %"
    for red, _, blue in colours(page):
        assert (blue - red > 60) == accepted
        assert (abs(blue - red) < 20) != accepted


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"verdict": "blank"}, "The picture is blank."),
        ({"verdict": "no_contrast"}, "Too faint to read."),
        ({"verdict": "not_a_digit", "boxes": None}, "This looks like no digit."),
        ({"verdict": "something_new", "detail": "it is upside down"}, "It is upside down."),
    ],
)
def test_a_verdict_is_told_in_plain_words(opened: Open, site: str, problem: dict[str, Any], words: str) -> None:
    page = opened(site, "422")
    answer_with(page, {"detail": "never shown", **problem})
    draw(page, 7)
    expect(page.locator("#verdict")).to_have_text(words)
    expect(page.locator("#digit")).to_have_text("?")
    expect(page.locator("#token-state")).to_have_text("is accepted")
    expect(page.locator("#seen")).to_be_hidden()


@pytest.mark.parametrize(("found", "words"), [(0, "Several"), (2, "Two"), (9, "Nine"), (10, "10")])
def test_several_digits_are_counted_where_no_number_is_read(opened: Open, site: str, found: int, words: str) -> None:
    page = opened(site, "503")
    problem = {"type": "urn:lambda-digits:no-reader", "detail": "it reads single digits only"}
    read_as(page, problem, 503)
    answer_with(page, {**SEVERAL, "boxes": [[9, 9, 9, 9]] * found or None})
    draw(page, 7)
    expect(page.locator("#verdict")).to_have_text(f"{words} digits: send one at a time. It reads single digits only.")
    expect(page.locator("#digit")).to_have_text("?")
    expect(page.locator("#token-state")).to_have_text("is accepted")


def test_what_was_seen_and_left_out_of_a_refused_picture_is_shown(opened: Open, site: str) -> None:
    page = opened(site, "422")
    answer_with(page, {"verdict": "not_a_digit", "detail": "no", "explain": EXPLANATION})
    draw(page, 7)
    expect_words(page, "This looks like no digit.")
    expect(page.locator("#seen")).to_have_attribute("src", EXPLANATION["image"])
    assert page.locator("#steps li").all_inner_texts() == EXPLANATION["steps"]
    assert page.locator("#steps .left-out").all_inner_texts() == ["left out a line", "left out 2 specks"]
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#seen")).to_be_hidden()
    expect(page.locator("#steps li")).to_have_count(0)


def test_what_the_model_finds_to_be_no_digit_is_told_and_shown(
    opened: Open, served: LocalServer, bucket: Bucket, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    manifest, files = version
    strict = manifest.model_copy(update={"rejection_threshold": 1.0, "acceptance_threshold": 1.0})
    tokens.add(bucket, TOKEN_NAME, EVENT_TOKEN)
    Registry(bucket).publish(strict, files)
    Registry(bucket).promote(strict.version)
    page = opened(served.url, "422")
    for stroke in ([(0.3, 0.3), (0.7, 0.7)], [(0.7, 0.3), (0.3, 0.7)]):
        draw_stroke(page, stroke)
    expect_words(page, "This looks like no digit.")
    assert page.locator("#seen").evaluate("image => image.decode().then(() => image.naturalWidth)") == 28
    expect(page.locator("#steps")).to_contain_text("inverted")


# Pictures


def test_a_photograph_is_read(opened: Open, site: str) -> None:
    page = opened(site)
    choose(page, "photo.jpg", "image/jpeg", photo(7, 900))
    expect_digit(page, 7)
    expect(page.locator("#time")).to_contain_text("from the picture")


def test_a_large_photograph_is_scaled_down_to_what_a_request_may_have(opened: Open, site: str) -> None:
    page = opened(site)
    sent: list[bytes] = []
    page.on(
        "request", lambda request: sent.append(request.post_data_buffer or b"") if request.method == "POST" else None
    )
    file = grainy_photo(3, 4500)
    assert len(file) > MAX_BODY_BYTES
    choose(page, "it's a photo.jpg", "image/jpeg", file)
    expect_digit(page, 3)
    assert len(sent[-1]) < MAX_BODY_BYTES


def test_a_large_picture_keeps_its_meaning_when_it_is_scaled_down(opened: Open, site: str) -> None:
    """Transparent ground is white, a camera's picture is upright, and boxes lie where the digits are."""
    page = opened(site, "422")
    ink = Image.open(io.BytesIO(events.digit_file(7))).convert("L").resize((1800, 1800))
    clear = Image.new("RGBA", (4200, 4200), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (1200, 1200), ink.point(lambda value: 255 * (value > 128)))
    choose(page, "clear.png", "image/png", encoded(clear, "PNG"))
    expect_digit(page, 7)
    choose(page, "turned.jpg", "image/jpeg", turned(photo(4, 4200)))
    expect_digit(page, 4)
    small = Image.fromarray(numbers.written(["74"], gap=40))
    large = Image.new("L", (4200, 2100), numbers.PAPER)
    large.paste(small.resize((10 * small.width, 10 * small.height)), (300, 300))
    choose(page, "number.png", "image/png", encoded(large, "PNG"))
    expect_digit(page, 74)
    assert has_mark(page, (0.09, 0.3), (0.2, 0.6))


def test_samples_are_sent_as_mnist_has_them(opened: Open, site: str) -> None:
    page = opened(site)
    right = 0
    for number in range(20):
        page.get_by_role("button", name="Next sample").click()
        expect(page.locator(READ)).to_be_visible()
        expect(page.locator("#steps")).to_contain_text("nothing was done")
        right += page.locator("#digit").inner_text() == str(number % 10)
    assert right >= 18
    page.get_by_role("button", name="Next sample").click()
    expect_digit(page, 0)
    page.get_by_role("button", name="Previous sample").click()
    expect_digit(page, 9)


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_pasted_and_dropped(opened: Open, site: str, kind: str) -> None:
    page = opened(site)
    give(page, kind, events.digit_file(7))
    expect_digit(page, 7)
    draw(page, 1)  # a new sheet
    expect_digit(page, 1)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect_digit(page, 7)


def test_what_is_no_picture_and_what_shows_nothing_are_told(opened: Open, site: str) -> None:
    page = opened(site, "422")
    choose(page, "notes.png", "image/png", b"no picture")
    expect_words(page, "This browser cannot read notes.png as a picture.")
    blank = io.BytesIO()
    Image.new("L", (200, 200), 255).save(blank, "PNG")
    choose(page, "blank.png", "image/png", blank.getvalue())
    expect_words(page, "The picture is blank.")


# Token


def test_a_token_is_asked_for_and_a_wrong_one_told(opened: Open, site: str) -> None:
    page = opened(site, "401", token=None)
    draw(page, 7)
    expect_words(page, "Type an access token")
    enter_token(page, "wrong")
    expect_words(page, "That token is not valid.")
    expect(page.get_by_label("Token", exact=True)).to_have_attribute("aria-invalid", "true")
    enter_token(page, "two words")
    expect_words(page, "That is no token")
    enter_token(page, EVENT_TOKEN)
    expect_digit(page, 7)
    expect(page.get_by_label("Token", exact=True)).not_to_be_visible()


def test_a_token_stays_in_its_tab(opened: Open, site: str) -> None:
    page = opened(site)
    page.reload()
    draw(page, 7)
    expect_digit(page, 7)
    assert page.context.storage_state() == {"cookies": [], "origins": []}
    other = page.context.new_page()
    other.goto(f"{site}/")
    draw(other, 7)
    expect_words(other, "Type an access token")
    assert EVENT_TOKEN not in page.content()


# When the service does not answer


def test_a_model_that_is_published_later_answers_by_itself(
    opened: Open, served: LocalServer, bucket: Bucket, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    tokens.add(bucket, TOKEN_NAME, EVENT_TOKEN)
    page = opened(served.url, "503")
    expect(page.locator("#model")).to_have_text("No model has been published yet.")
    draw(page, 7)
    expect_words(page, "No model has been published yet. It is asked again by itself.")
    Registry(bucket).publish(*version)
    Registry(bucket).promote(version[0].version)
    expect_digit(page, 7)


def test_a_service_that_is_down_answers_when_it_is_back(opened: Open, published: Bucket) -> None:
    with LocalServer(app_from_environment(os.environ)) as server:
        page = opened(server.url, "ERR_CONNECTION_REFUSED")
        port = urlsplit(server.url).port
    draw(page, 7)
    expect_words(page, "The service cannot be reached. It is asked again by itself.")
    with LocalServer(app_from_environment(os.environ), port or 0):
        expect_digit(page, 7)


def test_a_device_that_is_offline_asks_as_soon_as_it_is_back(opened: Open, site: str) -> None:
    page = opened(site, "ERR_INTERNET_DISCONNECTED")
    page.clock.install()
    page.clock.pause_at("2100-01-01")  # and with it no retry
    page.context.set_offline(True)
    draw(page, 7)
    page.clock.run_for(100)
    expect_words(page, "This device is offline.")
    page.context.set_offline(False)
    page.wait_for_function("navigator.onLine")
    page.clock.run_for(100)
    expect_digit(page, 7)


def test_a_slow_start_is_told(opened: Open, site: str) -> None:
    page = opened(site)
    held: list[Route] = []
    page.route("**/v1/predict*", lambda route: held.append(route))  # noqa: PLW0108 - a bound built-in takes no marks
    draw(page, 7)
    expect_words(page, "Still waiting: a first request starts the service.")
    held[0].continue_()
    expect_digit(page, 7)


def test_a_service_that_never_answers_is_given_up_and_asked_again(opened: Open, site: str) -> None:
    page = opened(site)
    page.route("**/v1/predict*", lambda _: None)
    page.evaluate(
        "() => { const { timeout } = AbortSignal; AbortSignal.timeout = () => timeout.call(AbortSignal, 200); }"
    )
    draw(page, 7)
    expect_words(page, "The service does not answer. It is asked again by itself.")


MISTAKE = "The page made a mistake: reload it."
MISTAKES = {
    "before the request": "HTMLCanvasElement.prototype.toBlob = () => { throw new Error('a mistake') }",
    "while it asks": "window.AbortController = function () { throw new Error('a mistake') }",
    "with the answer": "Array.prototype.forEach = () => { throw new Error('a mistake') }",
}


@pytest.mark.parametrize("place", MISTAKES)
def test_a_mistake_of_the_pages_is_told_as_that(opened: Open, site: str, place: str) -> None:
    page = opened(site, "a mistake")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.evaluate(f"() => {{ {MISTAKES[place]} }}")
    draw(page, 7)
    expect_words(page, MISTAKE)
    page.wait_for_timeout(1500)  # after which a slow answer would be told
    expect_words(page, MISTAKE)
    assert len(said) == 1
    assert "a mistake" in said[0]


def test_a_mistake_with_a_picture_is_not_told_as_the_pictures(opened: Open, site: str) -> None:
    page = opened(site, "a mistake")
    page.evaluate("() => { CanvasRenderingContext2D.prototype.fillRect = () => { throw new Error('a mistake') } }")
    choose(page, "large.png", "image/png", encoded(Image.new("L", (4200, 4200), 255), "PNG"))
    expect_words(page, MISTAKE)


def test_an_extensions_mistake_is_not_the_pages(opened: Open, site: str) -> None:
    page = opened(site)
    draw(page, 7)
    expect_digit(page, 7)
    script = """() => dispatchEvent(new ErrorEvent("error", {
      error: Object.assign(new Error(), { stack: "Error at chrome-extension://abc/content.js:1:1" }),
    }))"""
    page.evaluate(script)
    expect_digit(page, 7)


def test_samples_that_cannot_be_fetched_are_told(opened: Open, site: str) -> None:
    page = opened(site, "ERR_FAILED")
    page.route("**/samples.png", lambda route: route.abort())
    page.get_by_role("button", name="Next sample").click()
    expect_words(page, "The samples could not be fetched.")
    page.unroute("**/samples.png")
    page.get_by_role("button", name="Next sample").click()
    expect_digit(page, 0)


@pytest.mark.parametrize(
    ("status", "words"),
    [(200, "Something else than the service answered."), (500, "The service answered with status 500.")],
)
def test_an_answer_that_is_not_the_services_is_told(opened: Open, site: str, status: int, words: str) -> None:
    page = opened(site, "500")
    page.route("**/v1/predict*", lambda route: route.fulfill(status=status, body="<p>Log in", content_type="text/html"))
    draw(page, 7)
    expect_words(page, words)
    expect(page.locator("#token-state")).to_have_text("")


def test_a_service_that_fails_is_asked_ever_less_often(opened: Open, site: str) -> None:
    page = opened(site, "503")
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        route.fulfill(status=503, json={"detail": "no"})

    page.route("**/v1/predict*", answer)
    page.clock.install()
    page.clock.pause_at("2100-01-01")
    draw(page, 7)
    page.clock.run_for(100)
    for number, seconds in enumerate((5, 10, 20), start=1):
        expect_words(page, "No. It is asked again by itself.")
        page.clock.run_for((seconds - 1) * 1000)
        page.wait_for_timeout(50)
        assert len(asked) == number
        with page.expect_response("**/v1/predict*"):
            page.clock.run_for(1500)
        page.wait_for_timeout(50)


def test_a_gateway_that_throttles_is_asked_again(opened: Open, site: str) -> None:
    page = opened(site, "429")
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=429, json={"message": "Too Many Requests"}, headers={"retry-after": "6"})
        else:
            route.continue_()

    page.route("**/v1/predict*", answer)
    draw(page, 7)
    expect_words(page, "Too Many Requests. It is asked again by itself.")
    expect_digit(page, 7)


# For everybody, everywhere


@contextmanager
def mounted() -> Iterator[str]:
    with LocalServer(app_from_environment({**os.environ, "DIGITS_BASE_PATH": "/digits"})) as server:
        yield f"{server.url}/digits"


def test_the_page_works_behind_a_path(opened: Open, published: Bucket) -> None:
    with mounted() as url:
        page = opened(url)
        page.goto(url)  # without the slash
        draw(page, 7)
        expect_digit(page, 7)
        page.get_by_role("button", name="Next sample").click()
        expect_digit(page, 0)
        assert f"'{url}/v1/predict" in page.locator("#request").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1100, "height": 900}}, PHONE], ids=["desktop", "phone"])
def test_nothing_stands_in_the_way_of_anybody(opened: Open, site: str, scheme: str, size: dict[str, Any]) -> None:
    page = opened(site, "401|422", token=None, color_scheme=scheme, reduced_motion="reduce", **size)

    def check() -> None:
        result = Axe().run(page, options={"resultTypes": ["violations"]})
        assert result.response["violations"] == [], result.generate_report()

    check()
    page.locator("#sheet").press(" ")
    expect_words(page, "The pen is down.")
    check()
    page.locator("#sheet").press("Delete")
    draw(page, 7)
    expect_words(page, "Type an access token")
    check()
    enter_token(page, EVENT_TOKEN)
    expect_digit(page, 7)
    check()
    page.get_by_role("button", name="Clear").click()
    draw_number(page)
    expect_digit(page, 2026)
    check()
    page.get_by_role("button", name="Clear").click()
    read_as(page, number("35", "801", accepted=False))
    draw(page, 7)
    expect_words(page, "Not sure. Perhaps 35 and 801")
    check()
    page.get_by_role("button", name="Clear").click()
    answer_with(page, {**PREDICTION, "accepted": False}, 200)
    draw(page, 7)
    expect_words(page, "Not sure.")
    check()


# What Safari 16.4 has not got; OffscreenCanvas came with it, and may be turned off.
MISSING = """
  delete AbortSignal.any;
  delete window.OffscreenCanvas;
  delete HTMLCanvasElement.prototype.transferControlToOffscreen;
  delete PointerEvent.prototype.getCoalescedEvents;
  delete Promise.withResolvers;
"""


def test_the_page_works_in_safari_16(opened: Open, site: str) -> None:
    page = opened(site, "422")
    page.add_init_script(MISSING)
    page.reload()
    assert page.evaluate("() => [typeof OffscreenCanvas, typeof AbortSignal.any]") == ["undefined", "undefined"]
    draw_number(page)
    expect_digit(page, 2026)
    page.get_by_role("button", name="Clear").click()
    draw(page, 7)
    expect_digit(page, 7)
    page.get_by_role("button", name="Next sample").click()
    expect_digit(page, 0)
    choose(page, "photo.jpg", "image/jpeg", photo(3, 4500))
    expect_digit(page, 3)


def test_reduced_motion_is_honoured(opened: Open, site: str) -> None:
    script = "getComputedStyle(document.querySelector('.bar span')).transitionDuration"
    assert opened(site, reduced_motion="no-preference").evaluate(script) == "0.15s"
    assert opened(site, reduced_motion="reduce").evaluate(script) == "0s"


def test_the_copied_request_gives_the_same_answer(opened: Open, site: str, tmp_path: Path) -> None:
    page = opened(site, permissions=["clipboard-read", "clipboard-write"])
    draw(page, 7)
    expect_digit(page, 7)
    answer = run_command(page, tmp_path)
    assert answer["pred"] == 7
    assert answer["explain"]["image"] == page.locator("#seen").get_attribute("src")


def test_the_copied_request_of_a_large_picture_names_what_can_be_saved(opened: Open, site: str, tmp_path: Path) -> None:
    page = opened(site, permissions=["clipboard-read", "clipboard-write"])
    choose(page, "it's a photo (1).jpg", "image/jpeg", photo(7, 1500))
    expect_digit(page, 7)
    with page.expect_download() as download:
        page.get_by_role("link", name="picture.jpeg").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    answer = run_command(page, tmp_path)
    assert answer["pred"] == 7
    assert answer["explain"]["image"] == page.locator("#seen").get_attribute("src")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#request")).to_have_text("Draw something first.")
    expect(page.locator("#save")).to_be_hidden()


def test_the_reference_asks_for_nothing_elsewhere_and_calls_the_api(site: str, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(f"{site}/docs")
    operation = page.locator("#operations-service-model")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_text("Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text("canonical_form")
    expect(page.locator(".opblock")).to_have_count(len(operations()))
    context.close()
    assert complaints == []
    assert hosts == {urlsplit(site).netloc}


def operations() -> list[str]:
    paths = app_from_environment({}).openapi()["paths"].values()
    return [operation["operationId"] for path in paths for operation in path.values()]
