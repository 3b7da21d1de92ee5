"""Every way in which threads can get into each other's way around loading and swapping, searched by a scheduler.

Threads run one at a time, and may be made to wait before each line of the code under test. All schedules with up to a
number of such preemptions are run (Musuvathi and Qadeer, "Iterative context bounding for systematic testing of
multithreaded programs", 2007).
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from digits.errors import NoModelError, ObjectNotFoundError, StoreError
from digits.model import proof
from digits.model.proof import LazyReader
from digits.moments import Moment
from digits.registry import cache
from digits.registry import store as digits_store
from digits.registry.cache import CachedObject
from digits.registry.store import S3Reader, StoredObject
from tests.reliability.rows import Row

PREEMPTIONS = 2
_FILES = {cache.__file__, digits_store.__file__, proof.__file__}
_MOST_STEPS = 2_000

type Preemptions = tuple[tuple[int, int], ...]


class Scheduler:
    """Runs threads one line at a time; use a new one for each schedule.

    Attributes:
        choices: at each step, the threads that could have gone on, and the one that did.
    """

    def __init__(self, works: Sequence[Callable[[], None]], preemptions: Preemptions) -> None:
        """Take what the threads do, and at which steps another thread than the running one goes on."""
        self._preemptions = dict(preemptions)
        self._turns = [threading.Semaphore(0) for _ in works]
        self._back = threading.Semaphore(0)
        self._alive = [True] * len(works)
        self._blocked: dict[int, Lock] = {}
        self.choices: list[tuple[list[int], int]] = []
        self.errors: list[BaseException] = []
        self._of_thread = threading.local()
        self._threads = [
            threading.Thread(target=self._run, args=(number, work), daemon=True) for number, work in enumerate(works)
        ]

    def run(self) -> str | None:
        """Run them to their ends, and return what is wrong: a deadlock, or an error."""
        for thread in self._threads:
            thread.start()
        current = 0
        while any(self._alive):
            able = [
                number
                for number, alive in enumerate(self._alive)
                if alive and not (number in self._blocked and self._blocked[number].held)
            ]
            if not able:
                return "deadlock"
            if len(self.choices) > _MOST_STEPS:
                return "no end"
            chosen = self._preemptions.get(len(self.choices), current)
            current = chosen if chosen in able else able[0]
            self.choices.append((able, current))
            self._turns[current].release()
            self._back.acquire()
        for thread in self._threads:
            thread.join()
        return f"{type(self.errors[0]).__name__}: {self.errors[0]}" if self.errors else None

    def pause(self) -> None:
        """Let another thread go on before this one does; called in the threads."""
        number = self._of_thread.number
        self._back.release()
        self._turns[number].acquire()

    def block(self, lock: Lock) -> None:
        """Wait until a lock is free."""
        self._blocked[self._of_thread.number] = lock
        self.pause()
        del self._blocked[self._of_thread.number]

    def _run(self, number: int, work: Callable[[], None]) -> None:
        self._of_thread.number = number
        self._turns[number].acquire()
        sys.settrace(self._trace)
        try:
            work()
        except BaseException as error:
            self.errors.append(error)
        finally:
            sys.settrace(None)
            self._alive[number] = False
            self._back.release()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in _FILES:
            return None
        if event == "line":
            self.pause()
        return self._trace


class Lock:
    """A lock that tells the scheduler who waits."""

    def __init__(self) -> None:
        self.held = False
        self.scheduler: Scheduler | None = None

    def acquire(self, blocking: bool = True) -> bool:
        """Take it, as `threading.Lock` does."""
        while self.held:
            if not blocking:
                return False
            assert self.scheduler
            self.scheduler.block(self)
        self.held = True
        return True

    def release(self) -> None:
        """Give it back."""
        self.held = False

    def locked(self) -> bool:
        """Tell whether somebody has it."""
        return self.held

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@dataclass
class Store:
    """A store of one object, whose state is a number."""

    data: bytes | None = b"1"
    failing: bool = False
    reads: int = 0

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """See `ObjectReader.get`."""
        self.reads += 1
        if self.failing:
            raise StoreError("down")
        if self.data is None:
            raise ObjectNotFoundError(key)
        return None if etag == self.data.decode() else StoredObject(self.data, self.data.decode())

    def begin(self, key: str, etag: str | None = None) -> None:
        """See `ObjectReader.begin`."""

    def reconnect(self) -> None:
        """See `ObjectReader.reconnect`."""


@dataclass
class Scene:
    """Threads around one cache: what each does, and what must hold in the end."""

    works: list[Callable[[], None]]
    locks: list[Lock]
    problem: Callable[[], str | None]
    seen: list[list[int]] = field(default_factory=list)


def _cached(store: Store, clock: list[float], greatest_age: float = float("inf")) -> tuple[CachedObject[int], Lock]:
    cached = CachedObject(
        store,
        "key",
        parse=int,
        missing=lambda: NoModelError("nothing"),
        ttl_seconds=10,
        greatest_age_seconds=greatest_age,
        clock=lambda: Moment(clock[0], clock[0]),
    )
    lock = Lock()
    cached._lock = lock  # type: ignore[assignment]
    return cached, lock


def first_load(threads: int = 2) -> Scene:
    """Threads that all need a model that is not loaded yet: one reads it, all get it."""
    store, clock = Store(), [0.0]
    cached, lock = _cached(store, clock)
    seen: list[int] = []
    works = [lambda: seen.append(cached.get())] * threads
    return Scene(works, [lock], lambda: None if (seen, store.reads) == ([1] * threads, 1) else f"{seen}, {store.reads}")


def three_first_loads() -> Scene:
    """Three threads at a first load."""
    return first_load(3)


def swap() -> Scene:
    """Threads at a swap: each sees the old one or the new one, none the old one after the new one; one reads."""
    store, clock = Store(), [0.0]
    cached, lock = _cached(store, clock)
    cached.get()
    store.data, clock[0] = b"2", 11.0
    seen: list[list[int]] = [[], []]

    def work(mine: list[int]) -> Callable[[], None]:
        return lambda: mine.extend((cached.get(), cached.get()))

    works = [work(mine) for mine in seen]

    def problem() -> str | None:
        right = all(mine in ([1, 1], [1, 2], [2, 2]) for mine in seen) and cached.value == 2
        return None if right and store.reads == 2 else f"{seen}, {cached.value}, {store.reads} reads"

    return Scene(works, [lock], problem)


def failed_refresh() -> Scene:
    """Threads at a re-check that fails: all go on with the last good one."""
    store, clock = Store(), [0.0]
    cached, lock = _cached(store, clock)
    cached.get()
    store.failing, clock[0] = True, 11.0
    seen: list[int] = []
    works = [lambda: seen.append(cached.get())] * 2
    return Scene(works, [lock], lambda: None if (seen, store.reads) == ([1, 1], 2) else f"{seen}, {store.reads}")


def too_old() -> Scene:
    """Threads with a value that is too old, while the store fails: nobody gets it."""
    store, clock = Store(), [0.0]
    cached, lock = _cached(store, clock, greatest_age=15)
    cached.get()
    store.failing, clock[0] = True, 20.0
    seen: list[object] = []

    def work() -> None:
        try:
            seen.append(cached.get())
        except StoreError as error:
            seen.append(type(error))

    return Scene([work, work], [lock], lambda: None if seen == [StoreError] * 2 else f"{seen}")


def expired() -> Scene:
    """A snapshot that is restored while a request re-checks: the next one asks for news."""
    store, clock = Store(), [0.0]
    cached, lock = _cached(store, clock)
    cached.get()
    clock[0] = 11.0
    seen: list[int] = []

    def restore() -> None:
        store.data = b"2"
        cached.expire()
        cached.begin()

    works = [restore, lambda: seen.append(cached.get())]
    # A request that is under way while it is expired may have read before; the next one must not.
    return Scene(works, [lock], lambda: None if cached.get() == 2 and seen[0] in (1, 2) else f"{seen}")


class _AtOnce:
    """Does what threads would do later."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """See `Executor.submit`."""
        answer: Future[Any] = Future()
        answer.set_result(work(*arguments))
        return answer


def asked_ahead() -> Scene:
    """Threads that all ask ahead and then get: no answer is given twice, and none is left."""
    reader, lock, reads = S3Reader("bucket", "us-east-1", "http://127.0.0.1:1", {}), Lock(), itertools.count()
    reader._threads = _AtOnce()  # type: ignore[assignment]
    reader._begun_lock = lock  # type: ignore[assignment]
    reader._read = lambda *_: StoredObject(b"", str(next(reads)))  # type: ignore[method-assign]
    seen: list[str] = []

    def work() -> None:
        reader.begin("key")
        stored = reader.get("key")
        seen.append(stored.etag if stored else "")

    return Scene([work] * 2, [lock], lambda: None if len({*seen}) == 2 and not reader._begun else f"{seen}")


def lazy_reader() -> Scene:
    """Threads that all need the reader of numbers: it is fetched and proved once."""
    fetched: list[int] = []
    reader = LazyReader(None, None)
    lock = Lock()
    reader._record = object()  # type: ignore[assignment]
    reader._lock = lock  # type: ignore[assignment]
    reader._fetch = lambda: fetched.append(1) or b""  # type: ignore[func-returns-value]
    reader._prove = lambda *_: object()  # type: ignore[assignment,method-assign]
    seen: list[object] = []
    works = [lambda: seen.append(reader.get())] * 2
    return Scene(works, [lock], lambda: None if len({*map(id, seen)}) == len(fetched) == 1 else f"{seen}, {fetched}")


def failing_reader() -> Scene:
    """Threads that all need a reader of numbers that cannot be fetched: all are told so, and none waits for another."""
    fetched: list[int] = []
    reader, lock = LazyReader(None, None), Lock()
    reader._record = object()  # type: ignore[assignment]
    reader._lock = lock  # type: ignore[assignment]

    def fetch() -> bytes:
        fetched.append(1)
        raise StoreError("down")

    reader._fetch = fetch
    seen: list[str] = []

    def work() -> None:
        for _ in range(2):
            try:
                reader.get()
            except StoreError as error:
                seen.append(str(error))

    right = ["down"] * 4
    return Scene([work] * 2, [lock], lambda: None if (seen, len(fetched)) == (right, 1) else f"{seen}, {fetched}")


SCENES: dict[Callable[[], Scene], int] = {
    first_load: 0,
    swap: 0,
    failed_refresh: 0,
    too_old: 0,
    expired: 0,
    asked_ahead: 0,
    lazy_reader: 0,
    failing_reader: 0,
    three_first_loads: -1,
}


def run(preemptions: int = PREEMPTIONS) -> Iterator[Row]:
    """Run all schedules of all scenes.

    Args:
        preemptions: up to how many; with three threads, up to one less.
    """
    for scene, fewer in SCENES.items():
        name = str(scene.__doc__).rstrip(".")
        bound = preemptions + fewer
        row = Row("interleavings", f"{name}, up to {bound} preemptions")
        for schedule, problem in _searched(scene, bound):
            row.add(f"{schedule}: {problem}" if problem else None)
        yield row


def _searched(scene: Callable[[], Scene], bound: int) -> Iterator[tuple[Preemptions, str | None]]:
    waiting: list[Preemptions] = [()]
    while waiting:
        preemptions = waiting.pop()
        made = scene()
        scheduler = Scheduler(made.works, preemptions)
        for lock in made.locks:
            lock.scheduler = scheduler
        problem = scheduler.run()
        yield preemptions, problem or made.problem()
        if len(preemptions) < bound:
            after = preemptions[-1][0] if preemptions else -1
            for step, (able, chosen) in enumerate(scheduler.choices):
                if step > after:
                    waiting += [(*preemptions, (step, other)) for other in able if other != chosen]
