"""The API while its store fails: cold, warm, and in the middle of a refresh."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial

from digits.model.identity import MANIFEST_FILE, MODEL_FILE, READER_FILE
from digits.registry.layout import POINTER_KEY, TOKENS_KEY
from digits.registry.store import LONGEST_SECONDS
from tests.reliability import proxy
from tests.reliability.proxy import Fault
from tests.reliability.rows import Row
from tests.reliability.world import Container, World

MOST_SECONDS = 5.0  # until a container without a model says that it has none
# Of a re-check whose every request is answered at the last moment: tokens, the pointer where it becomes due meanwhile,
# and the networks.
MOST_WARM_SECONDS = 3 * LONGEST_SECONDS + 0.5
REFRESH_SECONDS = 0.6
SLOW = ("stalled", "slow", "trickling", "pointer fails")  # each of which takes seconds, and is tried once
# Where something is not asked for, it cannot fail: without news a re-check reads pointer and tokens alone, digits need
# no reader, and a first number needs nothing else.
UNMET: dict[str, tuple[str, ...]] = {
    "cold": ("reader",),
    "warm": ("manifest", "model", "reader"),
    "first number": ("pointer", "manifest", "model", "tokens"),
}
_RECOVERY_SECONDS = 20.0

FAULTS: dict[str, Fault | None] = {
    **proxy.FAULTS,
    "slow, by 0.5 s": proxy.slow(0.5),
    "slow, by 1.9 s": proxy.slow(1.9),
    "trickling": proxy.trickling,
    "pointer fails, all else is slow": proxy.one_after(proxy.failing, POINTER_KEY, proxy.slow(1.9)),
    "pointer gone": proxy.only(proxy.gone, POINTER_KEY),
    "pointer damaged": proxy.only(proxy.garbage, POINTER_KEY),
    "manifest gone": proxy.only(proxy.gone, MANIFEST_FILE),
    "model gone": proxy.only(proxy.gone, MODEL_FILE),
    "model flipped": proxy.only(proxy.flipped, MODEL_FILE),
    "reader gone": proxy.only(proxy.gone, READER_FILE),
    "reader flipped": proxy.only(proxy.flipped, READER_FILE),
    "tokens gone": proxy.only(proxy.gone, TOKENS_KEY),
    "tokens damaged": proxy.only(proxy.garbage, TOKENS_KEY),
    "tokens flipped": proxy.only(proxy.flipped, TOKENS_KEY),
}


def run(
    world: World, faults: tuple[str, ...] = tuple(FAULTS), tries: int = 2, refresh_seconds: float = REFRESH_SECONDS
) -> Iterator[Row]:
    """Have each fault, in each phase.

    Args:
        tries: of each, but of those that take seconds.
        refresh_seconds: for how long a container is asked that cannot refresh.
    """
    phases: dict[str, Callable[[World, Fault | None, Row], None]]
    phases = {
        "cold": _cold,
        "warm": partial(_re_check, seconds=refresh_seconds, promoted=False),
        "refresh": partial(_re_check, seconds=refresh_seconds, promoted=True),
        "first number": _first_number,
    }
    for name, (phase, happen) in itertools.product(faults, phases.items()):
        if phase in UNMET and name.startswith(UNMET[phase]):
            continue
        row = Row("store", f"{name}, {phase}")
        for _ in range(1 if name.startswith(SLOW) else tries):
            world.reset()
            happen(world, FAULTS[name], row)
        yield row


def _cold(world: World, fault: Fault | None, row: Row) -> None:
    container, before = Container(world.proxy.url), asked(world)
    with world.proxy.broken(fault):
        answer = container.predict()
        problem = world.problem_of(answer, 7)
        if answer["statusCode"] == 503:
            problem = None if "retry-after" in answer["headers"] else "503 without Retry-After"
        if container.seconds > MOST_SECONDS:
            problem = f"{answer['statusCode']} after {container.seconds:.2f} s"
        row.add(problem, container.seconds)
    note_met(world, row, before)
    _recover(row, lambda: world.problem_of(container.predict(), 7))
    container.close()


def _re_check(world: World, fault: Fault | None, row: Row, seconds: float, *, promoted: bool) -> None:
    """Have a container re-check what it knows while the store fails, with or without news there; it reads numbers."""
    container = Container(world.proxy.url, ttl_seconds=0.05)
    container.number()
    live = (world.other if promoted else world.version)[0].version
    world.registry.promote(live)
    time.sleep(0.06)
    before, allowed = asked(world), {world.version[0].version, live}
    with world.proxy.broken(fault):
        deadline = time.monotonic() + seconds
        for turn in itertools.count():
            if turn >= 2 and time.monotonic() >= deadline:
                break
            if turn % 4 != 1:
                problem = world.problem_of(container.predict(), 7, allowed)
            else:
                problem = world.problem_of_number(container.number())
            if container.seconds > MOST_WARM_SECONDS:
                problem = f"an answer after {container.seconds:.2f} s"
            row.add(problem, container.seconds)
    note_met(world, row, before)
    _recover(row, lambda: world.problem_of(container.predict(), 7, {live}))
    container.close()


def _first_number(world: World, fault: Fault | None, row: Row) -> None:
    """Ask a container for a number that has read digits alone: what that needs is not there yet; digits go on."""
    container = Container(world.proxy.url)
    container.predict()
    before = asked(world)
    with world.proxy.broken(fault):
        answer = container.number()
        problem = world.problem_of_number(answer)
        if answer["statusCode"] == 503:
            problem = None if "retry-after" in answer["headers"] else "503 without Retry-After"
        if container.seconds > MOST_SECONDS:
            problem = f"{answer['statusCode']} after {container.seconds:.2f} s"
        row.add(problem, container.seconds)
        row.add(world.problem_of(container.predict(), 7), container.seconds)
    note_met(world, row, before)
    _recover(row, lambda: world.problem_of_number(container.number()))
    container.close()


def asked(world: World) -> int:
    """Return how many requests have met a fault, where there is one."""
    return len(world.proxy.keys) - world.proxy.spared


def note_met(world: World, row: Row, before: int) -> None:
    """Note how many requests met the fault; a row without any would prove nothing."""
    met = asked(world) - before
    row.figures["met"] = row.figures.get("met", 0) + met
    if not met and not row.attack.startswith("refused"):  # which come nowhere to be counted
        row.add("the fault was not met")


def _recover(row: Row, ask: Callable[[], str | None]) -> None:
    """Wait until all is well again, and note how long that took."""
    started = time.monotonic()
    while (problem := ask()) is not None:
        if "wrong answer" in problem or time.monotonic() - started > _RECOVERY_SECONDS:
            row.add(f"not recovered: {problem}")
            return
        time.sleep(0.02)
    row.figures["recovered_after_s"] = max(time.monotonic() - started, row.figures.get("recovered_after_s", 0.0))
