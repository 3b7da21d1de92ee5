"""The batch function while its store fails: from a cold start, with its model loaded, and in the middle of a batch."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

from botocore.config import Config

from digits.errors import DigitsError
from digits.registry import bucket as registry_bucket
from digits.registry.layout import BATCH_OUT, BATCH_WORK
from functions.batch import handler as batch
from functions.batch import reading, results
from tests.batches import Context, dropped, end_batch_container
from tests.reliability import proxy, store_faults
from tests.reliability.proxy import Exchange, Fault
from tests.reliability.rows import Row
from tests.reliability.victims import PART_LINES, PICTURES, one_batch
from tests.reliability.world import World

# The function waits 15 seconds for an answer, three times; here it waits for less, so that all of this ends.
READ_TIMEOUT_SECONDS = 0.25
FUNCTION_SECONDS = 60.0
_MIDDLE = 10  # the request at which a batch is in the middle
MOST_TRIES = 6  # of Lambda's own, and of an operator who drops the file again
FAULTS: dict[str, Fault | None] = {
    **proxy.FAULTS,
    "slow, by 0.1 s": proxy.slow(0.1),
    "pointer gone": proxy.only(proxy.gone, "current.json"),
    "manifest gone": proxy.only(proxy.gone, "manifest.json"),
    "model gone": proxy.only(proxy.gone, "model.tflite"),
}
PHASES = ("cold", "warm", "in the middle")
# A listener that is closed while others write is that of another row, and a batch asks for its model at its beginning.
_NOT_IN_THE_MIDDLE = ("refused", "pointer gone", "manifest gone", "model gone")


def run(world: World, faults: tuple[str, ...] = tuple(FAULTS), phases: tuple[str, ...] = PHASES) -> Iterator[Row]:
    """Have each fault in each phase, and have the batch read again once it is over."""
    before = registry_bucket._CONFIG, reading.PART_LINES
    patient = Config(connect_timeout=READ_TIMEOUT_SECONDS, read_timeout=READ_TIMEOUT_SECONDS)
    registry_bucket._CONFIG, reading.PART_LINES = before[0].merge(patient), PART_LINES
    try:
        expected = undisturbed(world)
        for name, phase in itertools.product(faults, phases):
            if phase == "in the middle" and name in _NOT_IN_THE_MIDDLE:
                continue
            row = Row("store", f"{name}, batch, {phase}")
            _disturbed(world, FAULTS[name], phase, expected, row)
            yield row
    finally:
        registry_bucket._CONFIG, reading.PART_LINES = before
        end_batch_container()


def lines_of(world: World, name: str) -> list[bytes]:
    """Return the lines of a result."""
    return world.bucket.get(f"{BATCH_OUT}{name}.jsonl").data.splitlines()


def undisturbed(world: World) -> list[bytes]:
    """Return the lines of a batch that nothing happens to."""
    world.reset()
    end_batch_container()
    key = one_batch(world.bucket, "undisturbed.zip")
    batch.handler(dropped(key), Context("undisturbed", FUNCTION_SECONDS))
    lines = lines_of(world, "undisturbed.zip")
    if [json.loads(line)["pred"] for line in lines] != [number % 10 for number in range(PICTURES)]:
        raise AssertionError(f"a batch that nothing happens to is not read: {lines}")
    return lines


def _disturbed(world: World, fault: Fault | None, phase: str, expected: list[bytes], row: Row) -> None:
    world.reset()
    end_batch_container()
    key = one_batch(world.bucket, "disturbed.zip")
    if phase == "warm":
        batch.handler(dropped(one_batch(world.bucket, "before.zip")), Context("before", FUNCTION_SECONDS))
    before = store_faults.asked(world)
    try:
        if phase == "in the middle":
            begun = itertools.count()

            def seen(exchange: Exchange) -> Fault | None:
                return fault if next(begun) >= _MIDDLE else None

            world.proxy.seen = seen
            world.proxy.lifted.clear()
            before += _MIDDLE
            row.add(*_try(key))
        else:
            with world.proxy.broken(fault):
                row.add(*_try(key))
    finally:
        world.proxy.seen = proxy.unseen
        world.proxy.lifted.set()
    store_faults.note_met(world, row, before)
    started = time.monotonic()
    row.add(problem_of_result(world, key, "disturbed.zip", expected))
    row.figures["recovered_after_s"] = time.monotonic() - started


def _try(key: str) -> tuple[str | None, float]:
    """Invoke it once, under the fault; the batch may fail, and be tried again, but must end within its time."""
    started = time.monotonic()
    try:
        batch.handler(dropped(key), Context("one", FUNCTION_SECONDS))
    except DigitsError:
        pass
    except Exception as error:
        return f"{type(error).__name__}: {error}", time.monotonic() - started
    seconds = time.monotonic() - started
    return (f"ended after {seconds:.0f} s" if seconds > FUNCTION_SECONDS else None), seconds


def problem_of_result(world: World, key: str, name: str, expected: list[bytes]) -> str | None:
    """Have a batch tried until it is done, and tell what is wrong with its result."""
    for _ in range(MOST_TRIES):
        try:
            done = batch.handler(dropped(key), Context("one", FUNCTION_SECONDS))
        except DigitsError as error:
            problem = f"{type(error).__name__}: {error}"
            continue
        if done["outcome"] == results.DONE:
            break
        problem = json.dumps(done, default=str)[:200]
    else:
        return f"not read after {MOST_TRIES} tries: {problem}"
    found = lines_of(world, name)
    if found != expected:
        return f"{len(found)} lines, where {len(expected)} were expected; {len(set(expected) - set(found))} differ"
    left = list(world.bucket.keys(BATCH_WORK))
    return f"left behind: {left}" if left else None
