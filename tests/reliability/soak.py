"""A service under half of the load that it can take, for minutes, while everything is done to it that operators do."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import numpy as np

from digits.registry import tokens
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.reliability import offering, proxy
from tests.reliability.mixture import Expected, mixture
from tests.reliability.offering import Request, Sample
from tests.reliability.rows import Row
from tests.reliability.service import Service, service
from tests.reliability.world import World

MOST_TTL_SECONDS = 0.2
ROTATED_TOKEN = "token-after-the-rotation-of-the-soak"  # pragma: allowlist secret  # of this suite alone
# In shares of the whole time.
PROMOTION, ROLLBACK, NEW_TOKEN, SWITCH, OLD_TOKEN_ENDS, OUTAGE, OUTAGE_ENDS, AGAIN = (
    *(0.15, 0.3, 0.4, 0.45, 0.5, 0.6, 0.75, 0.85),
)
# What may be open, or held in memory, more than before: connections of clients, the allocator's own.
MOST_DESCRIPTORS_MORE, MOST_MEGABYTES_MORE = 10, 4.0
LEAST_SECONDS = 120.0  # before that, memory only tells how a service warms up
_WARM_SHARE = 0.1  # of the time, after which memory is looked at


@dataclass(frozen=True)
class Look:
    """What the service held at a time, in seconds from the start."""

    at: float
    kilobytes: int
    descriptors: int


def run(world: World, seconds: float = 600.0, rate: float = 100.0, swaps: int = 200) -> Iterator[Row]:
    """Have the service answer a mixture of requests, promote, roll back, rotate its token, take away its store.

    Args:
        rate: requests a second.
        swaps: changes of the model after that, which must not add to memory for ever.
    """
    world.reset()
    ttl_seconds = min(MOST_TTL_SECONDS, seconds / 100)
    row = Row("soak", "all of it under half of the knee's load")
    looks: list[Look] = []
    with (
        service(world, DIGITS_MODEL_TTL_SECONDS=str(ttl_seconds)) as served,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes,
    ):
        processes.submit(offer_mixture, served.port, 10.0, 1.0, world.expected).result()  # loads the model
        started = time.monotonic()
        asked = processes.submit(offer_mixture, served.port, rate, seconds, world.expected)
        with _watched(served, started, looks):
            old_token = _operate(world, served, started, seconds, ttl_seconds)
            samples, versions = asked.result()
        swapped = _swapped(world, served, ttl_seconds, swaps) if swaps else None
    for sample in samples:
        row.add(sample.problem or (None if sample.status == 200 else f"status {sample.status}"), sample.seconds)
    row.figures = {
        "rate_rps": rate,
        "p50_s": offering.percentile(samples, 50),
        "p99_s": offering.percentile(samples, 99),
        "versions_seen": len(versions),
        "memory_slope_kB_min": _slope([(look.at / 60, look.kilobytes) for look in looks], seconds / 60),
        "memory_kB": looks[-1].kilobytes,
        "descriptors_at_most": max(look.descriptors for look in looks),
        "descriptors_at_the_end": looks[-1].descriptors,
        "looks": [[round(look.at, 1), look.kilobytes, look.descriptors] for look in looks],
    }
    if len(versions) != 2:
        row.add(f"{len(versions)} versions have answered")
    # Between the rollback and the last promotion there is one model.
    quiet = [look.kilobytes / 1024 for look in looks if (ROLLBACK + 0.05) * seconds < look.at < AGAIN * seconds]
    grown = median(quiet[-(len(quiet) // 3) :]) - median(quiet[: 1 + len(quiet) // 3])
    row.figures["grown_MB_with_one_model"] = grown
    if grown > MOST_MEGABYTES_MORE and seconds >= LEAST_SECONDS:
        row.add(f"{grown:.1f} MB more, with one model all the time")
    if looks[-1].descriptors > looks[0].descriptors + MOST_DESCRIPTORS_MORE:
        row.add(f"{looks[0].descriptors} descriptors at first, {looks[-1].descriptors} in the end")
    yield row
    ended = Row("soak", "the token that was rotated out")
    ended.add(None if old_token == 401 else f"status {old_token}")
    yield ended
    if swapped:
        yield swapped


@contextmanager
def _watched(served: Service, started: float, looks: list[Look]) -> Iterator[None]:
    """Look at what a service holds, each second."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            looks.append(Look(time.monotonic() - started, served.resident_kilobytes, served.descriptors))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def _swapped(world: World, served: Service, ttl_seconds: float, swaps: int) -> Row:
    """Change the model again and again: what that takes of memory must end."""
    row, kilobytes = Row("soak", "one change of the model after the other"), []
    for number in range(swaps):
        version = (world.version, world.other)[number % 2][0].version
        world.registry.promote(version)
        deadline = time.monotonic() + 20 * ttl_seconds + 10
        while (found := _asked(served, ROTATED_TOKEN))[1].get("x-model-version") != version:
            if time.monotonic() > deadline:
                break
            time.sleep(ttl_seconds / 4)
        row.add(None if found[0] == 200 and time.monotonic() <= deadline else f"{found} after change {number}")
        kilobytes.append(served.resident_kilobytes)
    quarter = swaps // 4
    grown = (median(kilobytes[-quarter:]) - median(kilobytes[quarter : 2 * quarter])) / 1024
    if grown > MOST_MEGABYTES_MORE:
        row.add(f"{grown:.1f} MB more after {2 * quarter} changes")
    row.figures = {"grown_MB_in_half_of_them": grown, "memory_kB_after_each": kilobytes}
    return row


def _operate(world: World, served: Service, started: float, seconds: float, ttl_seconds: float) -> int:
    """Do to the service what operators do; returns what its old token was told after it had ended."""

    def at(share: float, do: Callable[[], object]) -> None:
        time.sleep(max(0.0, started + share * seconds - time.monotonic()))
        do()

    def outage(fault: Callable[..., None]) -> None:
        world.proxy.fault = fault
        world.proxy.lifted.clear()

    at(PROMOTION, lambda: world.registry.promote(world.other[0].version))
    at(ROLLBACK, lambda: world.registry.promote(world.version[0].version))
    at(NEW_TOKEN, lambda: tokens.add(world.bucket, "rotated", ROTATED_TOKEN))
    at(OLD_TOKEN_ENDS, lambda: tokens.revoke(world.bucket, "events"))
    status = _status_of_old_token(served, ttl_seconds)
    at(OUTAGE, lambda: outage(proxy.reset_in_body))
    at((OUTAGE + OUTAGE_ENDS) / 2, lambda: outage(proxy.stalled))
    at(OUTAGE_ENDS, lambda: outage(proxy.none))
    world.proxy.lifted.set()
    at(AGAIN, lambda: world.registry.promote(world.other[0].version))
    return status


def _status_of_old_token(served: Service, ttl_seconds: float) -> int:
    time.sleep(2 * ttl_seconds)
    return _asked(served, EVENT_TOKEN)[0]


def _asked(served: Service, token: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of one answer."""

    async def answer() -> tuple[int, dict[str, str]]:
        request = Request.post("/v1/predict", token, "image/png", events.digit_file(7), lambda _: None)
        connections = offering.Connections(served.port)
        status, headers, _ = await offering.ask(connections, request.data)
        await connections.close()
        return status, headers

    return asyncio.run(answer())


def _slope(points: list[tuple[float, int]], minutes: float) -> float:
    """Return by how much memory grows in a minute, after the service has warmed up: a straight line through it."""
    warm = [point for point in points if point[0] >= _WARM_SHARE * minutes]
    if len(warm) < 3:
        return 0.0
    return float(np.polyfit([at for at, _ in warm], [kilobytes for _, kilobytes in warm], 1)[0])


def offer_mixture(port: int, rate: float, seconds: float, expected: Expected) -> tuple[list[Sample], set[str]]:
    """Offer the mixture, with the new token once there is one; in a process of its own.

    Returns:
        What became of the requests, and the versions that have answered.
    """
    seen: set[str] = set()
    before, after = (mixture(token, expected, seen) for token in (EVENT_TOKEN, ROTATED_TOKEN))

    def next_request(at: float) -> Request:
        return next(before if at < SWITCH * seconds else after)

    return asyncio.run(offering.offer(port, rate, seconds, next_request)), seen
