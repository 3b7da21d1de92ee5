"""Latency and throughput of the artifact under uvicorn; server and clients run in separate processes."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.client import HTTPConnection

import numpy as np

from benchmarks import emulator
from benchmarks.ports import reserved_port, wait_for
from benchmarks.serving.calls import time_calls
from benchmarks.serving.events import DIGIT
from benchmarks.serving.yardsticks import Yardsticks
from local.build import bare_python
from local.lambda_invoke import EVENT_TOKEN
from local.server import HOST

_REQUESTS_PER_CLIENT = 40


def measure(yardsticks: Yardsticks, concurrencies: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return latency and throughput by the number of simultaneous requests."""
    with _served(yardsticks) as port, ProcessPoolExecutor(1) as processes:
        _ask(port, 1)  # loads the model
        found = {}
        for concurrency in concurrencies:
            seconds, elapsed = processes.submit(_load, port, concurrency).result()
            found[str(concurrency)] = {
                "p50_milliseconds": statistics.median(seconds) * 1e3,
                "p99_milliseconds": float(np.percentile(seconds, 99)) * 1e3,
                "requests_per_second": len(seconds) / elapsed,
            }
        return found


@contextlib.contextmanager
def _served(yardsticks: Yardsticks) -> Iterator[int]:
    """Serve the artifact's application with uvicorn, which is not part of the artifact; yields the port."""
    server, empty = yardsticks.folder / "server", yardsticks.folder / "empty"
    server.mkdir()
    empty.mkdir()
    emulator.link_packages(server, ("uvicorn", "click", "h11"))
    command = [*bare_python(), "-m", "uvicorn", "asgi:app", "--log-level", "warning"]
    command += ["--lifespan", "off", "--no-access-log", "--port"]
    path = os.pathsep.join((yardsticks.ours["PYTHONPATH"], str(server), str(yardsticks.handlers)))
    environment = {"PATH": os.environ["PATH"], **yardsticks.ours, "PYTHONPATH": path}
    with reserved_port() as port, subprocess.Popen([*command, str(port)], cwd=empty, env=environment) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _load(port: int, concurrency: int) -> tuple[list[float], float]:
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as threads:
        asked = [threads.submit(_ask, port, _REQUESTS_PER_CLIENT) for _ in range(concurrency)]
        seconds = [each for client in asked for each in client.result()]
    return seconds, time.perf_counter() - started


def _ask(port: int, requests: int) -> list[float]:
    connection = HTTPConnection(HOST, port)
    headers = {"authorization": f"Bearer {EVENT_TOKEN}", "content-type": "image/png"}
    body = DIGIT.read_bytes()

    def ask() -> None:
        connection.request("POST", "/v1/predict", body, headers)
        answer = connection.getresponse()
        assert json.loads(answer.read())["pred"] == 7, answer.status

    with contextlib.closing(connection):
        return time_calls(ask, requests)
