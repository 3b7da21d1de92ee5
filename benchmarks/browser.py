"""A headless Chromium on this machine, and a hand that draws on the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")

# Strokes of a pen that moves in straight lines, as shares of the sheet's sides.
Stroke = Sequence[tuple[float, float]]
STROKES: dict[int, list[Stroke]] = {
    0: [
        [
            (0.5, 0.2),
            (0.36, 0.3),
            (0.32, 0.5),
            (0.36, 0.7),
            (0.5, 0.8),
            (0.64, 0.7),
            (0.68, 0.5),
            (0.64, 0.3),
            (0.5, 0.2),
        ]
    ],
    1: [[(0.52, 0.2), (0.48, 0.8)]],
    4: [[(0.4, 0.2), (0.34, 0.55), (0.68, 0.55)], [(0.62, 0.3), (0.58, 0.85)]],
    7: [[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]],
}


def find_chromium() -> str | None:
    """Return the program, from the environment's CHROMIUM or the path."""
    return os.environ.get("CHROMIUM") or next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def running_browser(program: str) -> Iterator[Browser]:
    """Run a Chromium without a window."""
    # As root, and in many containers, its own sandbox cannot be set up; it only visits this machine.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def draw(page: Page, digit: int) -> None:
    """Draw a digit with the mouse."""
    for stroke in STROKES[digit]:
        draw_stroke(page, stroke)


def draw_stroke(page: Page, stroke: Stroke) -> None:
    """Draw one line from point to point with the mouse."""
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    first, *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=4)
    page.mouse.up()
