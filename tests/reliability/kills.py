"""Processes that are killed with SIGKILL: at random times, and at each of their requests to the store in turn."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from digits.errors import DigitsError
from digits.model.identity import MANIFEST_FILE, READER_FILE
from digits.registry.decisions import recorded
from digits.registry.layout import BATCH_IN, LEASE_KEY, MODELS, POINTER_KEY
from tests.batches import end_batch_container
from tests.reliability import batch_faults, victims
from tests.reliability.proxy import Exchange, Fault, unseen
from tests.reliability.rows import Row
from tests.reliability.victims import Victim
from tests.reliability.world import World, forks
from training.artifacts import latest_folder, read_folder
from training.lease import Lease

RETRAIN_SECONDS = 120.0
_WHOLE_SECONDS = 30.0  # in which each victim ends by itself
_BATCH = f"{BATCH_IN}killed.zip"


class Killer:
    """Starts processes, and kills them."""

    def __init__(self, world: World, seed: int = 1) -> None:
        """Begin with nobody killed."""
        self._world, self.random, self._processes = world, random.Random(seed), forks()

    def undisturbed(self, victim: Victim, *arguments: Any) -> tuple[float, int]:
        """Let one live, and return the seconds that it took, and its requests to the store."""
        self._processes.Process(target=os.getpid).start()  # the first one waits for the imports
        self._world.proxy.keys.clear()
        process, started = self._start(victim, arguments), time.monotonic()
        process.join(_WHOLE_SECONDS)
        if process.exitcode != 0:
            raise AssertionError(f"{victim.__name__} ended with {process.exitcode}")
        return time.monotonic() - started, len(self._world.proxy.keys)

    def at_random(self, seconds: float, victim: Victim, *arguments: Any) -> bool:
        """Kill one at a random time within so many seconds, and tell whether it still lived."""
        process = self._start(victim, arguments)
        process.join(self.random.uniform(0, seconds))
        if process.is_alive():
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        return process.exitcode == -signal.SIGKILL

    def at_request(self, number: int, victim: Victim, *arguments: Any) -> bool:
        """Kill one at a request to the store, before or after it comes there; returns as `at_random`."""
        seen = 0
        answered = self.random.random() < 0.5

        def count(exchange: Exchange) -> Fault | None:
            nonlocal seen
            seen += 1
            return kill if seen == number else None

        def kill(exchange: Exchange) -> None:
            if answered:
                exchange.forward()
            started.wait(_WHOLE_SECONDS)  # it may ask before its parent knows who it is
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
            exchange.cut(reset=True)

        process, started = self._made(victim, arguments), threading.Event()  # made before its first request comes
        self._world.proxy.seen = count
        process.start()
        started.set()
        process.join(_WHOLE_SECONDS)
        killed = process.exitcode == -signal.SIGKILL
        process.kill()
        process.join()
        self._world.proxy.seen = unseen
        return killed

    def _start(self, victim: Victim, arguments: tuple[Any, ...]) -> BaseProcess:
        process = self._made(victim, arguments)
        process.start()
        return process

    def _made(self, victim: Victim, arguments: tuple[Any, ...]) -> BaseProcess:
        return self._processes.Process(target=victim, args=(self._world.environment(), *arguments))


def run(world: World, trained: Path, kills: int = 49) -> Iterator[Row]:
    """Kill each kind of process so many times, and see that what they left can be gone on with."""
    killer = Killer(world)
    expected = batch_faults.undisturbed(world)

    def published() -> None:
        """Both versions, as they are once the world is reset."""

    def batch() -> None:
        victims.one_batch(world.bucket, "killed.zip")

    retrain = (str(trained), "one", RETRAIN_SECONDS)
    for name, prepare, victim, arguments, problem_of in (
        ("publisher", published, victims.publish, (_later(world),), _publishes),
        ("promoter", published, victims.promote, (world.other[0].version,), _promotes),
        ("retrainer", world.store.reset, victims.retrain, retrain, _retrains(trained)),
        ("batch", batch, victims.read_batch, (_BATCH,), _reads(expected)),
    ):
        row = Row("killed", name)
        world.reset()
        prepare()
        seconds, requests = killer.undisturbed(victim, *arguments)
        killed = tries = 0
        while killed < kills and tries < 2 * kills:
            world.reset()
            prepare()
            if tries % 2:
                was_killed = killer.at_random(seconds, victim, *arguments)
            else:
                was_killed = killer.at_request(1 + killer.random.randrange(requests), victim, *arguments)
            tries, killed = tries + 1, killed + was_killed
            problem = _problem_of_registry(world) or problem_of(world)
            if was_killed or problem:  # those that had ended before do not count
                row.add(problem)
        if killed < kills:
            row.add(f"only {killed} of {tries} were killed")
        row.figures = {"requests_of_one": requests, "seconds_of_one": seconds, "tries": tries}
        yield row


def _problem_of_registry(world: World) -> str | None:
    """Tell what is wrong with the registry: a version that is visible and not whole, or a pointer to none."""
    registry = world.registry
    try:
        for version in registry.versions():
            registry.verify(version)
            recorded(world.bucket, version)
        if registry.live():
            registry.load()
    except DigitsError as error:
        return f"the registry is broken: {error}"
    return None


def _later(world: World) -> Any:
    """Return a version that is not published, with few files."""
    manifest, files = world.version
    version = f"20310101T000000Z-{manifest.version[-8:]}"
    kept = {name: data for name, data in files.items() if name.endswith(".tflite")}
    assert READER_FILE in kept
    records = {name: manifest.files[name] for name in kept}
    return manifest.model_copy(update={"version": version, "files": records}), kept


def _publishes(world: World) -> str | None:
    manifest, files = _later(world)
    world.registry.publish(manifest, files)
    return None if world.registry.verify(manifest.version) == manifest else "another manifest"


def _promotes(world: World) -> str | None:
    version = world.other[0].version
    live = world.registry.live()
    if live is None or live.version not in (version, world.version[0].version):
        return f"{live} is live"
    victims.promote(world.environment(), version)
    live = world.registry.live()
    outcomes = [decision.outcome for decision in recorded(world.bucket, version)]
    if live is None or live.version != version or "promote" not in outcomes:
        return f"{live} is live, decided: {outcomes}"
    return None


def _retrains(trained: Path) -> Callable[[World], str | None]:
    def problem_of(world: World) -> str | None:
        before = datetime.now(UTC)
        if LEASE_KEY in world.bucket.keys(LEASE_KEY):
            lease = Lease.model_validate_json(world.bucket.get(LEASE_KEY).data)
            if lease.expires_at > before + timedelta(seconds=RETRAIN_SECONDS):
                return f"the lease lasts until {lease.expires_at}, and it is {before}"
        victims.retrain(world.environment(), str(trained), "one", RETRAIN_SECONDS)  # as Lambda tries again
        live = world.registry.live()
        if live is None or live.version != trained.name:
            return f"{live} is live after another try"
        left = {key for key in world.bucket.keys(MODELS) if key != POINTER_KEY}
        whole = {key for key in left if f"/{trained.name}/" in key}
        return f"left behind: {left - whole}" if left != whole else None

    return problem_of


def _reads(expected: list[bytes]) -> Callable[[World], str | None]:
    def problem_of(world: World) -> str | None:
        end_batch_container()
        return batch_faults.problem_of_result(world, _BATCH, "killed.zip", expected)

    return problem_of


def trainings(kills: int = 4, seed: int = 1) -> Row:
    """Kill real trainings; what lies in the folder then must be whole, or not be taken for a model."""
    row, chance = Row("killed", "trainer"), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        output = Path(name)
        command = [sys.executable, "-m", "tests.reliability.small_training", "--output", name]
        whole = 0.0
        number = 0
        while number < 2 or (row.count < kills and number < 3 * kills):
            started = time.monotonic()
            # The first two are let live; the second one finds the distorted digits that the first one has kept.
            # Half of the others are killed near the end, where files are written.
            patience = chance.uniform((0.7 if number % 2 else 0.2) * whole, whole) if number > 1 else None
            number += 1
            with (output / "log").open("wb") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log)
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    process.kill()
                process.wait()
            if patience is None:
                whole = time.monotonic() - started
                assert process.returncode == 0, (output / "log").read_text()[-1_000:]
            else:
                problem = _problem_of_folder(output)
                if process.returncode not in (0, -signal.SIGKILL):
                    problem = f"after a kill the next training ended with {process.returncode}"
                if process.returncode == -signal.SIGKILL or problem:
                    row.add(problem)
    if row.count < kills:
        row.add(f"only {row.count} of {number} were killed")
    row.figures = {"seconds_of_one": whole, "tries": number}
    return row


def _problem_of_folder(output: Path) -> str | None:
    try:
        for manifest in output.glob(f"*/{MANIFEST_FILE}"):
            read_folder(manifest.parent)
        read_folder(latest_folder(output))
    except (DigitsError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None
