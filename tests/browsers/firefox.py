"""Firefox, over WebDriver BiDi: Debian has no geckodriver, and BiDi needs none."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from tests.browsers.browser import TIMEOUT_SECONDS, WINDOW, Actions, Browser

PROGRAMS = ("firefox-esr",)
PACKAGES = "firefox-esr"
_ADDRESS_FILE = "WebDriverBiDiServer.json"  # written into the profile


@contextmanager
def running() -> Iterator[Firefox]:
    """Run a Firefox without a window, in a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as profile:
        command = ["firefox-esr", "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield from _connected(_address(Path(profile), process))
            finally:
                process.terminate()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    file = profile / _ADDRESS_FILE
    deadline = time.monotonic() + 3 * TIMEOUT_SECONDS
    while not (file.exists() and file.read_text()):
        assert process.poll() is None, "Firefox ended at once"
        assert time.monotonic() < deadline, "Firefox opens no WebDriver"
        time.sleep(0.1)
    server = json.loads(file.read_text())
    return f"ws://{server['ws_host']}:{server['ws_port']}/session"


def _connected(address: str) -> Iterator[Firefox]:
    connection = websocket.create_connection(address, timeout=3 * TIMEOUT_SECONDS, suppress_origin=True)
    try:
        yield Firefox(connection)
    finally:
        connection.close()


class Firefox(Browser):
    """A session of WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/)."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._sent = 0
        self._send("session.new", capabilities={})
        (context,) = self._send("browsingContext.getTree")["contexts"]
        self._context = context["context"]
        width, height = WINDOW
        self._send("browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height})

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, function: str, *arguments: object) -> Any:
        wrapped = f"async (text) => JSON.stringify(await ({function})(...JSON.parse(text))) ?? 'null'"
        return json.loads(self._call(wrapped, json.dumps(arguments))["value"])

    def act(self, actions: Actions) -> None:
        self._send("input.performActions", context=self._context, actions=actions)

    def choose(self, selector: str, file: Path) -> None:
        element = self._call("(selector) => document.querySelector(selector)", selector)
        field = {"sharedId": element["sharedId"]}
        self._send("input.setFiles", context=self._context, element=field, files=[str(file)])

    def _call(self, function: str, argument: str) -> dict[str, Any]:
        answer = self._send(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[{"type": "string", "value": argument}],
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        result: dict[str, Any] = answer["result"]
        return result

    def _send(self, method: str, **parameters: object) -> dict[str, Any]:
        self._sent += 1
        self._connection.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        answer = json.loads(self._connection.recv())
        while answer.get("id") != self._sent:  # an event
            answer = json.loads(self._connection.recv())
        assert answer["type"] == "success", answer
        result: dict[str, Any] = answer["result"]
        return result
