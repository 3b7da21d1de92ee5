"""WebKit, whose GTK port is the nearest to Safari that Debian has."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.command import Command
from selenium.webdriver.webkitgtk.service import Service

from tests.browsers.browser import WINDOW, Actions, Browser

PROGRAMS = ("WebKitWebDriver", "Xvfb")
PACKAGES = "webkit2gtk-driver xvfb"


@contextmanager
def running() -> Iterator[WebKit]:
    """Run a WebKit on a display that nobody sees."""
    with _display() as display:
        service = Service(shutil.which("WebKitWebDriver"), env={**os.environ, "DISPLAY": display})
        with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):  # of a call of Selenium's own
            driver = WebKitGTK(service=service)
        try:
            driver.set_window_size(*WINDOW)
            yield WebKit(driver)
        finally:
            driver.quit()


@contextmanager
def _display() -> Iterator[str]:
    ours, its = os.pipe()
    command = ["Xvfb", "-displayfd", str(its), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with open(ours) as answer, subprocess.Popen(command, pass_fds=[its], stderr=subprocess.DEVNULL) as process:  # noqa: PTH123
        os.close(its)
        try:
            yield f":{answer.readline().strip()}"
        finally:
            process.terminate()


class WebKit(Browser):
    """A session of the classic WebDriver."""

    def __init__(self, driver: WebKitGTK) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        self._driver.get(url)

    def run(self, function: str, *arguments: object) -> Any:
        return self._driver.execute_script(f"return ({function})(...arguments)", *arguments)

    def act(self, actions: Actions) -> None:
        self._driver.execute(Command.W3C_ACTIONS, {"actions": actions})

    def choose(self, selector: str, file: Path) -> None:
        self._driver.find_element(By.CSS_SELECTOR, selector).send_keys(str(file))
