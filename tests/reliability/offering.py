"""An open-loop load: requests are sent when they are due, whether or not those before them have been answered.

A closed loop waits for answers and so spares a slow service what its users would not spare it. Latency counts from the
moment that a request was due.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import quantiles

FAILED = 0  # instead of a status: no answer
PATIENCE_SECONDS = 10.0
IDLE_SECONDS = 2.0  # servers end connections that are idle, uvicorn after 5 seconds


@dataclass(frozen=True)
class Request:
    """A request, as bytes on the wire, and what tells whether its answer is right.

    Attributes:
        problem: is given the body of a 200.
    """

    data: bytes
    problem: Callable[[bytes], str | None]

    @classmethod
    def post(cls, path: str, token: str, kind: str, body: bytes, problem: Callable[[bytes], str | None]) -> Request:
        """Return a POST."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
        return cls(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, problem)


@dataclass(frozen=True)
class Sample:
    """What became of a request.

    Attributes:
        due: seconds from the start.
        seconds: from then until the answer was there.
        problem: what was wrong with a 200, or with a refusal that is not a clean one.
    """

    due: float
    seconds: float
    status: int
    problem: str | None = None


class Connections:
    """Connections to a service: one that was used a moment ago is used again."""

    def __init__(self, port: int) -> None:
        """Name the service."""
        self._port = port
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Lend one."""
        while self._idle and self._idle[0][0] < time.monotonic() - IDLE_SECONDS:
            self._idle.pop(0)[2].close()
        if self._idle:
            _, reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        except BaseException:
            writer.close()
            raise
        self._idle.append((time.monotonic(), reader, writer))

    async def close(self) -> None:
        """End all that are idle."""
        for _, _, writer in self._idle:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def ask(connections: Connections, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to a request."""
    async with connections.one() as (reader, writer):
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            raise ConnectionError("the service ended the connection")
        return int(head[0].split()[1]), headers, body


async def offer(
    port: int, rate: float, seconds: float, next_request: Callable[[float], Request], seed: int = 1
) -> list[Sample]:
    """Offer requests at a rate, at random as people send them (a Poisson process), and return what became of them.

    Args:
        rate: a second.
        next_request: is told how many seconds have passed.
    """
    connections, chance, samples = Connections(port), random.Random(seed), list[Sample]()
    started = time.perf_counter()

    async def send(due: float) -> None:
        request = next_request(due)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, headers, body = await ask(connections, request.data)
            taken = time.perf_counter() - started - due
            problem = request.problem(body) if status == 200 else _unclean(status, headers)
            samples.append(Sample(due, taken, status, problem))
        except Exception as error:  # of the connection, or of an answer that is none: nothing is dropped silently
            samples.append(Sample(due, time.perf_counter() - started - due, FAILED, f"{type(error).__name__}: {error}"))

    under_way, due = set[asyncio.Task[None]](), 0.0
    while due < seconds:
        wait = started + due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(send(due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        due += chance.expovariate(rate)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS + 5):
            await asyncio.gather(*under_way)
    await connections.close()
    return samples


def _unclean(status: int, headers: dict[str, str]) -> str | None:
    """Tell what is missing from a refusal under load."""
    if status not in (429, 503):
        return f"status {status}"
    missing = [name for name in ("retry-after", "x-request-id") if name not in headers]
    return f"{status} without {' and '.join(missing)}" if missing else None


def percentile(samples: Sequence[Sample], hundredth: int) -> float:
    """Return a percentile of the seconds that right answers took; infinity where there are hardly any."""
    taken = [sample.seconds for sample in samples if sample.status == 200]
    return quantiles(taken, n=100)[hundredth - 1] if len(taken) > 1 else float("inf")
