"""What a person does in a browser, whichever it is, in the actions that both WebDrivers share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WINDOW = (1100, 900)  # wide and high, in pixels
TIMEOUT_SECONDS = 20
_POLL_SECONDS = 0.05

type Point = tuple[float, float]
type Actions = list[dict[str, Any]]


class Browser(ABC):
    """A running browser with one window."""

    @abstractmethod
    def open(self, url: str) -> None:
        """Load a page, and wait until it has loaded."""

    @abstractmethod
    def run(self, function: str, *arguments: object) -> Any:
        """Call a JavaScript function in the page; arguments and result are what JSON can hold."""

    @abstractmethod
    def act(self, actions: Actions) -> None:
        """Perform the actions of input devices, as https://www.w3.org/TR/webdriver2/#actions describes them."""

    @abstractmethod
    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in a field for files."""

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.run("(selector) => document.querySelector(selector).textContent", selector))

    def wait_for(self, function: str, *arguments: object) -> None:
        """Wait until a JavaScript function returns something true."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not self.run(function, *arguments):
            assert time.monotonic() < deadline, f"in vain: {function} {arguments}; it says {self.text('body')}"
            time.sleep(_POLL_SECONDS)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        self.wait_for("(selector, text) => document.querySelector(selector).textContent.includes(text)", selector, text)

    def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        self.drag(selector, [(0.5, 0.5)])

    def drag(self, selector: str, points: Sequence[Point]) -> None:
        """Move the pressed mouse from point to point, which are shares of an element's sides."""
        places = [{"type": "pointerMove", "duration": 20, **self._place(selector, point)} for point in points]
        actions = [places[0], {"type": "pointerDown", "button": 0}, *places[1:], {"type": "pointerUp", "button": 0}]
        self.act([{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}])

    def press(self, keys: str) -> None:
        """Press keys one after the other; those without a letter are WebDriver's."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.act([{"type": "key", "id": "keyboard", "actions": actions}])

    def _place(self, selector: str, point: Point) -> dict[str, int]:
        """Return where a point of an element is in the window, and scroll it there."""
        script = """(selector) => {
          const element = document.querySelector(selector);
          element.scrollIntoView({ block: "nearest" });
          const { left, top, width, height } = element.getBoundingClientRect();
          return [left, top, width, height];
        }"""
        left, top, width, height = self.run(script, selector)
        return {"x": round(left + point[0] * width), "y": round(top + point[1] * height)}
