"""Load at rising rates until the service cannot keep up, beyond that, and back."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks import emulator
from local.build import bare_python
from local.lambda_invoke import EVENT_TOKEN
from tests.reliability import offering
from tests.reliability.gateway import gateway
from tests.reliability.logs import keep
from tests.reliability.mixture import Expected, mixture
from tests.reliability.offering import Sample
from tests.reliability.rows import Row
from tests.reliability.service import service
from tests.reliability.world import World

# The knee is the last rate at which all is answered, and 99 of 100 within this.
BOUND_SECONDS = 0.25
FIRST_RATE, GROWTH = 50.0, 1.4
BEYOND = (1.5, 2.5)


def run(world: World, seconds: float = 4.0, first_rate: float = FIRST_RATE) -> Iterator[Row]:
    """Load the artifact under uvicorn, and in Lambda's runtime."""
    for name, serve in {"uvicorn": under_uvicorn, "the runtime emulator": in_the_emulator}.items():
        world.reset()
        with serve(world) as port:
            yield from _rows(name, world.expected, port, seconds, first_rate)


@contextmanager
def under_uvicorn(world: World) -> Iterator[int]:
    """Serve the artifact with uvicorn; gives the port."""
    with service(world) as served:
        yield served.port


@contextmanager
def in_the_emulator(world: World) -> Iterator[int]:
    """Serve the artifact in Lambda's runtime, behind a stand-in for the gateway; gives the port."""
    with tempfile.TemporaryDirectory() as name:
        environment = emulator.artifact_environment(emulator.link_runtime_client(Path(name)), world.environment())
        with (
            emulator.emulated(bare_python(), emulator.HANDLER, environment, tell=keep) as container,
            gateway(container) as port,
        ):
            yield port


def _rows(name: str, expected: Expected, port: int, seconds: float, rate: float) -> Iterator[Row]:
    offered(expected, port, 10, 1)  # loads the model
    curve, knee = [], 0.0
    up_to, beyond = (Row("load", f"{name}, {where} the knee") for where in ("up to", "beyond"))
    while True:
        samples = offered(expected, port, rate, seconds)
        curve.append(_point(rate, seconds, samples))
        if not _keeps_up(samples):
            _count(beyond, samples)
            break
        _count(up_to, samples, answered=True)
        knee, rate = rate, rate * GROWTH
    up_to.figures = {"knee_rps": knee, "p99_s": max((point["p99_s"] for point in curve[:-1]), default=0.0)}
    if not knee:
        up_to.add(f"{rate:.0f} requests a second are too many")
    base = knee or rate / 2
    for times in BEYOND:
        samples = offered(expected, port, base * times, seconds)
        curve.append(_point(base * times, seconds, samples))
        _count(beyond, samples)
    beyond.figures = {"refused_share": max(point["refused"] for point in curve)}
    after = Row("load", f"{name}, half the knee, right after")
    samples = offered(expected, port, base / 2, seconds)
    _count(after, samples, answered=True)
    after.figures = {"p99_s": offering.percentile(samples, 99)}
    if after.figures["p99_s"] > BOUND_SECONDS:
        after.add(f"99 of 100 were answered within {after.figures['p99_s']:.2f} s")
    up_to.figures["curve"] = sorted(curve, key=lambda point: point["rate"])
    most = max(point["answered_rps"] for point in curve)
    if knee < most / 2:
        up_to.add(f"it does not keep up beyond {knee:.0f} a second, though it can answer {most:.0f}")
    yield from (up_to, beyond, after)


def offered(expected: Expected, port: int, rate: float, seconds: float) -> list[Sample]:
    """Offer the mixture from a process of its own, and return what became of the requests."""
    # One that was not forked from this process, whose threads are many.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        return processes.submit(offer, port, rate, seconds, expected).result()


def offer(port: int, rate: float, seconds: float, expected: Expected) -> list[Sample]:
    """Offer the mixture."""
    requests = mixture(EVENT_TOKEN, expected, set())
    return asyncio.run(offering.offer(port, rate, seconds, lambda _: next(requests)))


def _keeps_up(samples: list[Sample]) -> bool:
    all_right = all(sample.status == 200 and sample.problem is None for sample in samples)
    return all_right and offering.percentile(samples, 99) <= BOUND_SECONDS


def _point(rate: float, seconds: float, samples: list[Sample]) -> dict[str, float]:
    right = [sample for sample in samples if sample.status == 200]
    return {
        "rate": rate,
        "answered_rps": len(right) / max(seconds, *(sample.due + sample.seconds for sample in samples)),
        "p50_s": offering.percentile(samples, 50),
        "p99_s": offering.percentile(samples, 99),
        "refused": sum(sample.status in (429, 503) for sample in samples) / len(samples),
    }


def _count(row: Row, samples: list[Sample], *, answered: bool = False) -> None:
    for sample in samples:
        row.add(
            sample.problem or (f"status {sample.status}" if answered and sample.status != 200 else None), sample.seconds
        )
