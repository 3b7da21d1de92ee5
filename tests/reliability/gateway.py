"""A stand-in for the gateway in front of one container: it takes HTTP, and hands on one invocation at a time.

The emulator ends if it is sent a second event before the first is answered, as Lambda never does. So requests wait here
for their turn, as many as the stage's burst; whoever finds that many waiting is told 429, as the gateway tells.
"""

from __future__ import annotations

import base64
import queue
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.emulator import Container
from functions.predict_api import gateway as events_of_gateways

BURST = 40  # as template.yaml has it for the routes that read


@contextmanager
def gateway(container: Container) -> Iterator[int]:
    """Serve a container; gives the port."""
    waiting: queue.Queue[tuple[dict[str, Any], queue.Queue[dict[str, Any]]]] = queue.Queue(BURST)

    def invoke() -> None:
        while True:
            event, answer = waiting.get()
            answer.put(container(event))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            event = events_of_gateways.posted(self.path, headers, base64.b64encode(body).decode(), is_base64=True)
            answered: queue.Queue[dict[str, Any]] = queue.Queue(1)
            try:
                waiting.put_nowait((event, answered))
            except queue.Full:
                told = {"x-request-id": str(uuid.uuid4()), "retry-after": "1"}
                self._answer(429, told, b'{"message":"Too Many Requests"}')
                return
            answer = answered.get()
            text = answer["body"].encode()
            self._answer(
                answer["statusCode"], answer["headers"], base64.b64decode(text) if answer["isBase64Encoded"] else text
            )

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name != "content-length":
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024

        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that have gone."""

    threading.Thread(target=invoke, name="invocations", daemon=True).start()
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
