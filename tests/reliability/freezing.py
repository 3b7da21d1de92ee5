"""A container that is stopped between requests and in them, as Lambda freezes it, in the built function's runtime."""

from __future__ import annotations

import os
import signal
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import emulator
from digits.registry import tokens
from local.build import bare_python
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.reliability.logs import keep
from tests.reliability.proxy import Exchange, Fault, unseen
from tests.reliability.rows import Row
from tests.reliability.world import World

TTL_SECONDS = 60
# How long a container is really stopped, and how long its wall clock says that it was.
REALLY_SECONDS = 1.0
FREEZES_SECONDS = (10.0, 70.0, 600.0, 3600.0)
CONNECTIONS = ("live on", "are reset", "die without a word")
_CLOCKS = struct.Struct("<dd")
_HANDLERS = Path(__file__).parent / "handlers"
REVOKED = "token-that-is-revoked-while-frozen"  # pragma: allowlist secret  # of this suite alone


class Frozen:
    """A container in the emulator that can be stopped."""

    def __init__(self, container: emulator.Container, clocks: Path) -> None:
        self._container, self._clocks = container, clocks
        self._monotonic = self._wall = 0.0
        self.seconds = 0.0

    def freeze(self, seconds: float, meanwhile: Callable[[], None] = lambda: None, really: float = 0.0) -> None:
        """Stop it for a while that its clocks tell is of so many seconds: one stands, the other goes on.

        Args:
            really: for how long at least, in seconds.
        """
        (process,) = self._container.processes()
        os.kill(process, signal.SIGSTOP)
        started = time.monotonic()
        meanwhile()
        time.sleep(max(0.0, max(really, REALLY_SECONDS) - (time.monotonic() - started)))
        really = time.monotonic() - started
        self._monotonic += really
        self._wall += seconds - really
        self._clocks.write_bytes(_CLOCKS.pack(self._monotonic, self._wall))
        os.kill(process, signal.SIGCONT)

    def predict(self, token: str = EVENT_TOKEN) -> dict[str, Any]:
        """Have a seven read."""
        started = time.monotonic()
        answer: dict[str, Any] = self._container(
            events.post(events.image_json(7), {"authorization": f"Bearer {token}"})
        )
        self.seconds = time.monotonic() - started
        return answer


@contextmanager
def frozen(world: World) -> Iterator[Frozen]:
    """Begin a container."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clocks = folder / "clocks"
        clocks.write_bytes(_CLOCKS.pack(0, 0))
        client = folder / "client"
        client.mkdir()
        environment = emulator.artifact_environment(emulator.link_runtime_client(client), world.environment())
        environment |= {"DIGITS_FROZEN_CLOCKS": str(clocks), "DIGITS_MODEL_TTL_SECONDS": str(TTL_SECONDS)}
        environment["PYTHONPATH"] += f"{os.pathsep}{_HANDLERS}"
        with emulator.emulated(bare_python(), "frozen.handler", environment, tell=keep) as container:
            yield Frozen(container, clocks)


def run(
    world: World,
    freezes: tuple[float, ...] = FREEZES_SECONDS,
    connections: tuple[str, ...] = CONNECTIONS,
    really: float = 2.0 * TTL_SECONDS,
) -> Iterator[Row]:
    """Freeze containers between requests, with connections that live, end or die meanwhile; then in requests.

    Args:
        really: for how long one of them is stopped in fact, in seconds, where the others' clocks only say so.
    """
    happens = dict(zip(CONNECTIONS, (lambda: None, world.proxy.drop, world.proxy.deaden), strict=True))
    for name in connections:
        row = Row("frozen", f"between requests, connections {name}")
        for seconds in freezes:
            _between(world, seconds, happens[name], row)
        yield row
    row = Row("frozen", "between requests, stopped for minutes in fact")
    _between(world, really, world.proxy.deaden, row, really)
    yield row
    for phase in (_in_load, _in_refresh, _in_token_check):
        row = Row("frozen", str(phase.__doc__).rstrip("."))
        for seconds in freezes:
            phase(world, seconds, row)
        yield row


def _between(world: World, seconds: float, happen: Callable[[], None], row: Row, really: float = 0.0) -> None:
    world.reset()
    tokens.add(world.bucket, "revoked", REVOKED)
    with frozen(world) as container:
        row.add(world.problem_of(container.predict(REVOKED), 7), container.seconds)

        def meanwhile() -> None:
            tokens.revoke(world.bucket, "revoked")
            happen()

        container.freeze(seconds, meanwhile, really)
        status = container.predict(REVOKED)["statusCode"]
        right = (401,) if seconds > TTL_SECONDS else (200, 401)
        row.add(None if status in right else f"revoked token: {status} after {seconds} s", container.seconds)
        container.freeze(seconds, happen)
        row.add(world.problem_of(container.predict(), 7), container.seconds)


def _in_load(world: World, seconds: float, row: Row) -> None:
    """In a request, while it loads the model."""
    world.reset()
    with frozen(world) as container:
        _frozen_at(world, container, seconds, "model.tflite", row)


def _in_refresh(world: World, seconds: float, row: Row) -> None:
    """In a request, while it asks for news."""
    _in_re_check(world, seconds, "current.json", row)


def _in_token_check(world: World, seconds: float, row: Row) -> None:
    """In a request, while it asks for tokens."""
    _in_re_check(world, seconds, "tokens.json", row)


def _in_re_check(world: World, seconds: float, ending: str, row: Row) -> None:
    world.reset()
    with frozen(world) as container:
        container.predict()
        container.freeze(2 * TTL_SECONDS)
        _frozen_at(world, container, seconds, ending, row)


def _frozen_at(world: World, container: Frozen, seconds: float, ending: str, row: Row) -> None:
    """Stop a container when it asks for an object, once; the answer never comes: its connection ended meanwhile."""
    begun = threading.Event()

    def seen(exchange: Exchange) -> Fault | None:
        if begun.is_set() or not exchange.key.endswith(ending):
            return None
        begun.set()
        container.freeze(seconds)
        return lambda exchange: exchange.cut(reset=True)

    world.proxy.seen = seen
    problem = world.problem_of(container.predict(), 7)
    row.add(problem if begun.is_set() else "it was not frozen", container.seconds)
    world.proxy.seen = unseen
