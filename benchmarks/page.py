"""How long it takes from the lifted pen to the answer on the page: a real browser, on loopback."""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, expect

from benchmarks.browser import STROKES, draw, find_chromium, running_browser
from benchmarks.machine import machine
from digits.errors import DigitsError, OperationError
from functions.predict_api.app import app_from_environment
from local.lambda_invoke import EVENT_TOKEN, furnish
from local.server import LocalServer
from local.stack import running_store
from training.artifacts import OUTPUT

ROUNDS = 25
AIM_MILLISECONDS = 100
RESULTS = Path(__file__).parent / "results/page.json"


def main() -> int:
    """Measure, print and write; exit status 1 where the aim is missed."""
    try:
        milliseconds = _measure()
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    low, middle, high = statistics.quantiles(milliseconds, n=4)
    met = middle < AIM_MILLISECONDS
    print(
        f"from the lifted pen to the answer, {len(milliseconds)} digits: median {middle:.0f} ms, "
        f"quartiles {low:.0f}..{high:.0f} ms; aim under {AIM_MILLISECONDS}: {'met' if met else 'MISSED'}"
    )
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "milliseconds": {"median": middle, "quartiles": [low, high], "all": milliseconds},
        "aim": AIM_MILLISECONDS,
        "met": met,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    return int(not met)


def _measure() -> list[float]:
    program = find_chromium()
    if program is None:
        raise OperationError("needs Chromium: install Debian's package, or name the program in CHROMIUM")
    with running_store(), LocalServer(app_from_environment(os.environ)) as server:
        furnish(OUTPUT)
        with running_browser(program) as browser:
            page = browser.new_page()
            page.goto(f"{server.url}/")
            page.get_by_label("Token", exact=True).fill(EVENT_TOKEN)
            page.get_by_role("button", name="Use").click()
            _draw(page, 7)  # the first answer loads the model
            return [_draw(page, digit) for _ in range(ROUNDS) for digit in STROKES]


def _draw(page: Page, digit: int) -> float:
    """Draw on an empty sheet; return what the page says that it took, in milliseconds."""
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#time")).to_have_text("–")
    draw(page, digit)
    expect(page.locator("#digit")).to_have_text(str(digit))
    time = page.locator("#time")
    expect(time).to_have_text(re.compile(r"^\d+ ms"))
    return float(time.inner_text().split()[0])


if __name__ == "__main__":
    sys.exit(main())
