"""A proxy between a service and its object store that breaks what passes through it."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from local.store import BUCKET

_RESET = struct.pack("ii", 1, 0)  # to be closed by a reset: lingers for no time
_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
_OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


@dataclass
class Answer:
    """What the store answers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Exchange:
    """A request on its way, and what a fault may do with it.

    Attributes:
        key: of the object, or of a listing the prefix.
    """

    method: str
    key: str
    proxy: Proxy
    _handler: BaseHTTPRequestHandler
    _body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def forward(self) -> Answer:
        """Have the store answer."""
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        try:
            connection.request(self.method, self._handler.path, self._body or None, self.headers)
            answer = connection.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS]
            length = answer.getheader("content-length")
            body = answer.read()
            if self.method == "HEAD" and length:
                kept.append(("Content-Length", length))
            return Answer(answer.status, kept, body)
        finally:
            connection.close()

    def whole(self) -> Answer:
        """Have the store answer with the object, whether or not the caller knows it."""
        self.headers = {name: value for name, value in self.headers.items() if name.lower() != "if-none-match"}
        return self.forward()

    def give(self, answer: Answer, *, length: int | None = None, date: float | None = None) -> None:
        """Answer.

        Args:
            length: what is said of the body's length; the truth, where it is not given.
            date: seconds since the epoch, of the answer's date.
        """
        handler = self._handler
        handler.send_response_only(answer.status)
        handler.send_header("Date", formatdate(time.time() if date is None else date, usegmt=True))
        for name, value in answer.headers:
            handler.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            handler.send_header("Content-Length", str(len(answer.body) if length is None else length))
        handler.end_headers()
        if self.method != "HEAD":
            handler.wfile.write(answer.body)
        handler.wfile.flush()

    def refuse(self, status: int, code: str, *, date: float | None = None) -> None:
        """Answer with an error, as the store words them."""
        self.give(Answer(status, [("Content-Type", "application/xml")], _ERROR.format(code=code).encode()), date=date)

    def cut(self, *, reset: bool) -> None:
        """End the connection."""
        self._handler.close_connection = True
        if reset:
            self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._handler.connection.close()


type Fault = Callable[[Exchange], None]


def none(exchange: Exchange) -> None:
    """Let it pass."""
    exchange.give(exchange.forward())


def unseen(_: Exchange) -> Fault | None:
    """Look at nothing."""
    return None


def reset_in_body(exchange: Exchange) -> None:
    """Reset the connection in the middle of the body."""
    answer = exchange.whole()
    exchange.give(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]), length=len(answer.body))
    exchange.cut(reset=True)


def stalled(exchange: Exchange) -> None:
    """Never answer."""
    exchange.proxy.lifted.wait(60)
    exchange.cut(reset=False)


def stalled_body(exchange: Exchange) -> None:
    """Never send the second half of the body."""
    answer = exchange.whole()
    exchange.give(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]), length=len(answer.body))
    exchange.proxy.lifted.wait(60)
    exchange.cut(reset=False)


def slow(seconds: float) -> Fault:
    """Answer late."""

    def fault(exchange: Exchange) -> None:
        exchange.proxy.lifted.wait(seconds)
        none(exchange)

    return fault


def trickling(exchange: Exchange) -> None:
    """Send the body in many small pieces over 20 seconds, so that no single one is late."""
    answer = exchange.whole()
    exchange.give(Answer(answer.status, answer.headers, b""), length=len(answer.body))
    step = max(1, len(answer.body) // 200)
    for start in range(0, len(answer.body), step):
        exchange.proxy.lifted.wait(0.1)
        exchange._handler.wfile.write(answer.body[start : start + step])
        exchange._handler.wfile.flush()


def throttled(exchange: Exchange) -> None:
    """Ask for fewer requests."""
    exchange.refuse(503, "SlowDown")


def failing(exchange: Exchange) -> None:
    """Fail."""
    exchange.refuse(500, "InternalError")


def denied(exchange: Exchange) -> None:
    """Deny access."""
    exchange.refuse(403, "AccessDenied")


def skewed(exchange: Exchange) -> None:
    """Find that the caller's clock is wrong, by an hour."""
    exchange.refuse(403, "RequestTimeTooSkewed", date=time.time() + 3600)


def truncated(exchange: Exchange) -> None:
    """End the connection in an orderly way before the body's end."""
    answer = exchange.whole()
    exchange.give(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]), length=len(answer.body))
    exchange.cut(reset=False)


def shortened(exchange: Exchange) -> None:
    """Send half of the body as if it were all of it."""
    answer = exchange.whole()
    exchange.give(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]))


def flipped(exchange: Exchange) -> None:
    """Flip one bit of the body, another one each time."""
    answer = exchange.whole()
    body = bytearray(answer.body)
    if body and answer.status == 200:
        place = exchange.proxy.random.randrange(8 * len(body))
        body[place // 8] ^= 1 << place % 8
    exchange.give(Answer(answer.status, answer.headers, bytes(body)))


def garbage(exchange: Exchange) -> None:
    """Send something else."""
    exchange.give(Answer(200, [("ETag", '"garbage"')], b"\x00\xffnot what you asked for"))


def gone(exchange: Exchange) -> None:
    """Know of no such object."""
    exchange.refuse(404, "NoSuchKey")


def only(fault: Fault, *endings: str) -> Fault:
    """Break the reading of the objects alone whose keys end like this."""

    def chosen(exchange: Exchange) -> None:
        if exchange.method == "GET" and exchange.key.endswith(endings):
            fault(exchange)
        else:
            exchange.proxy.spared += 1
            none(exchange)

    return chosen


def one_after(first: Fault, ending: str, others: Fault) -> Fault:
    """Break the first reading of one object in one way, whenever things begin to break, and all else in another."""

    def chosen(exchange: Exchange) -> None:
        if exchange.key.endswith(ending) and not exchange.proxy.begun:
            exchange.proxy.begun = True
            first(exchange)
        else:
            others(exchange)

    return chosen


# What may happen to any object; None refuses connections.
FAULTS: dict[str, Fault | None] = {
    "refused": None,
    "reset in the middle of a body": reset_in_body,
    "stalled": stalled,
    "stalled in the middle of a body": stalled_body,
    "503 SlowDown": throttled,
    "500": failing,
    "403": denied,
    "clock skew": skewed,
    "truncated": truncated,
    "shortened": shortened,
    "one bit flipped": flipped,
}


class Proxy:
    """The proxy; use it as a context manager.

    Attributes:
        fault: what is done with each request.
        lifted: set while nothing holds answers back.
        keys: what was asked for: method and key.
        spared: how many requests passed a fault that is for others.
        begun: whether a fault that is for one request has met it.
        seen: is shown each request, and may return a fault for it alone.
    """

    def __init__(self, upstream: str) -> None:
        """Name the store: the URL that clients know."""
        self.upstream = urlsplit(upstream).netloc
        self.fault: Fault = none
        self.lifted = threading.Event()
        self.random = random.Random(1)
        self.keys: list[tuple[str, str]] = []
        self.spared = 0
        self.begun = False
        self.seen: Callable[[Exchange], Fault | None] = unseen
        self._port = 0
        self._connections: set[socket.socket] = set()
        self._dead: set[socket.socket] = set()
        self._over = threading.Event()

    def __enter__(self) -> Proxy:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.lifted.set()
        self._over.set()
        self.close()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._port}"

    def listen(self) -> None:
        """Begin to take connections, at the same port again."""
        self._server = _Server(("127.0.0.1", self._port), _handler_of(self))
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="proxy", daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on, and end those that there are."""
        self._server.shutdown()
        self._server.server_close()
        self.drop()

    def drop(self) -> None:
        """Reset all connections that there are."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)

    def deaden(self) -> None:
        """Never answer again over the connections that there are, and do not end them either."""
        self._dead |= self._connections

    @contextmanager
    def broken(self, fault: Fault | None) -> Iterator[None]:
        """Have a fault for a while; None refuses connections."""
        self.lifted.clear()
        self.begun = False
        if fault is None:
            self.close()
        else:
            self.fault = fault
        try:
            yield
        finally:
            self.fault = none
            self.lifted.set()
            if fault is None:
                self.listen()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Say nothing: connections end here as they are told to."""


def _handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            proxy._connections.add(self.connection)

        def finish(self) -> None:
            proxy._connections.discard(self.connection)
            proxy._dead.discard(self.connection)
            super().finish()

        def handle_one_request(self) -> None:
            with suppress(ConnectionError, ValueError):  # of a connection that was ended under it
                super().handle_one_request()
                return
            self.close_connection = True

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            key = path.removeprefix(f"/{BUCKET}").removeprefix("/")
            if self.connection in proxy._dead:
                proxy._over.wait(60)
                self.close_connection = True
                return
            proxy.keys.append((self.command, key))
            exchange = Exchange(self.command, key, proxy, self, body, dict(self.headers.items()))
            (proxy.seen(exchange) or proxy.fault)(exchange)

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
