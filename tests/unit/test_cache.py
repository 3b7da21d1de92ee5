"""The cache in front of the object store."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from digits.errors import CorruptModelError, NoModelError, ObjectNotFoundError, StoreError
from digits.moments import Moment
from digits.registry.cache import LONGEST_BACKOFF, CachedObject
from digits.registry.store import StoredObject


class FakeReader:
    """A store of one object; a test changes what it holds or how it fails."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.failure: Exception | None = None
        self.etags: list[str | None] = []
        self.ahead: list[tuple[str, str | None]] = []
        self.delay_seconds = 0.0

    def begin(self, key: str, etag: str | None = None) -> None:
        self.ahead.append((key, etag))

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        self.etags.append(etag)
        time.sleep(self.delay_seconds)
        if self.failure:
            raise self.failure
        if self.data is None:
            raise ObjectNotFoundError(key)
        return None if etag == self.data.decode() else StoredObject(self.data, self.data.decode())

    def reconnect(self) -> None:
        raise AssertionError("nothing reconnects")


class Clock:
    """A clock that a test moves; the wall clock may be moved by itself, as while a container is frozen."""

    now = 0.0
    wall_ahead = 1e9

    def __call__(self) -> Moment:
        return Moment(self.now, self.now + self.wall_ahead)


def cached(
    reader: FakeReader,
    clock: Clock,
    greatest_age_seconds: float = float("inf"),
    longest_backoff: float = LONGEST_BACKOFF,
) -> CachedObject[str]:
    return CachedObject(
        reader,
        "key",
        parse=bytes.decode,
        missing=lambda: NoModelError("nothing"),
        ttl_seconds=60,
        greatest_age_seconds=greatest_age_seconds,
        longest_backoff=longest_backoff,
        clock=clock,
    )


def test_within_the_ttl_the_store_is_not_asked_again() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    assert [value.get(), value.get()] == ["a", "a"]
    assert reader.etags == [None]


def test_after_the_ttl_the_store_is_asked_for_news_only() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    clock.now = 61
    assert value.get() == "a"
    assert reader.etags == [None, "a"]
    reader.data, clock.now = b"b", 122
    assert value.get() == "b"


def test_a_failed_re_check_keeps_the_last_good_value() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    reader.failure, clock.now = StoreError("down"), 61
    assert value.get() == "a"
    reader.failure, reader.data, clock.now = None, b"b", 122
    assert value.get() == "b"


def test_a_failed_first_read_is_an_error_that_is_soon_tried_again() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    reader.failure = StoreError("down")
    value = cached(reader, clock)
    with pytest.raises(StoreError):
        value.get()
    reader.failure = None
    with pytest.raises(StoreError):
        value.get()
    assert len(reader.etags) == 1
    clock.now = 1.1
    assert value.get() == "a"


def test_failures_are_counted_and_each_in_a_row_doubles_the_wait() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    reader.failure = StoreError("down")
    asked = [0.0]
    while len(asked) < 7:
        clock.now += 1
        before = len(reader.etags)
        assert value.get() == "a"
        asked += [clock.now] * (len(reader.etags) - before)
    assert [after - before for before, after in itertools.pairwise(asked)] == [60, 60, 120, 240, 480, 480]
    assert value.failures == 6
    reader.failure = None
    clock.now += 480
    value.get()
    assert value.failures == 0


def test_any_number_of_failures_can_be_counted() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    reader.failure = StoreError("down")
    for _ in range(1_100):
        clock.now += 480
        assert value.get() == "a"
    assert value.failures == 1_100
    before = len(reader.etags)
    value.get()
    assert len(reader.etags) == before


def test_a_failure_keeps_nothing_of_what_failed_in_memory() -> None:
    def refuse(data: bytes) -> str:
        refused = Refused()
        watched.append(weakref.ref(refused))
        try:
            return str(int("no number"))
        except ValueError as error:
            raise CorruptModelError(f"{len(data)} bytes are no good") from error

    watched: list[weakref.ref[Refused]] = []
    value = CachedObject(
        FakeReader(b"a"),
        "key",
        parse=refuse,
        missing=lambda: NoModelError("nothing"),
        ttl_seconds=60,
    )
    with pytest.raises(CorruptModelError):
        value.get()
    gc.collect()
    assert [each() for each in watched] == [None]


class Refused:
    """What was read, and is not kept."""


def test_what_is_expired_is_asked_for_at_once() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    reader.data = b"b"
    value.expire()
    assert value.get() == "b"


def test_what_is_expired_while_it_is_asked_for_is_asked_for_again() -> None:
    class Expiring(FakeReader):
        def get(self, key: str, etag: str | None = None) -> StoredObject | None:
            stored = super().get(key, etag)
            if len(self.etags) == 1:
                value.expire()
                self.data = b"b"
            return stored

    value = cached(Expiring(b"a"), Clock())
    assert [value.get(), value.get()] == ["a", "b"]


def test_a_value_that_took_longer_to_confirm_than_it_may_be_old_is_read_again_at_once() -> None:
    clock = Clock()

    class Frozen(FakeReader):
        def get(self, key: str, etag: str | None = None) -> StoredObject | None:
            stored = super().get(key, etag)
            clock.now += 3600 if len(self.etags) == 1 else 0
            return stored

    reader = Frozen(b"a")
    assert cached(reader, clock, greatest_age_seconds=900).get() == "a"
    assert len(reader.etags) == 2


def test_what_nobody_expected_of_an_object_is_a_failed_read() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    reader.failure, clock.now = ZeroDivisionError(), 61
    assert value.get() == "a"
    assert value.failures == 1


def test_a_key_that_vanishes_keeps_the_value_until_its_greatest_age() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock, greatest_age_seconds=100)
    value.get()
    reader.data, clock.now = None, 61
    assert value.get() == "a"
    clock.now = 101
    with pytest.raises(NoModelError):
        value.get()


def test_what_is_due_may_be_asked_for_ahead() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.begin()
    assert reader.ahead == [("key", None)]
    value.get()
    value.begin()
    clock.now = 61
    value.begin()
    assert reader.ahead == [("key", None), ("key", "a")]


def together(value: CachedObject[str], count: int) -> list[str]:
    """The answers to callers that arrive together."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda _: value.get(), range(count)))


def test_callers_that_arrive_together_wait_for_one_read() -> None:
    reader = FakeReader(b"a")
    reader.delay_seconds = 0.2
    value = cached(reader, Clock())
    assert together(value, 20) == ["a"] * 20
    assert reader.etags == [None]


# Time


def test_time_goes_on_while_the_monotonic_clock_stands_still() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    reader.data = b"b"
    clock.wall_ahead += 61  # as Lambda freezes a container
    assert value.get() == "b"


def test_a_wall_clock_that_is_set_back_does_no_harm() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock)
    value.get()
    clock.wall_ahead -= 86_400
    assert value.get() == "a"
    assert reader.etags == [None]
    reader.data, clock.now = b"b", 61
    assert value.get() == "b"


def aging(reader: FakeReader, clock: Clock) -> CachedObject[str]:
    return cached(reader, clock, greatest_age_seconds=900)


@pytest.mark.parametrize("frozen", [True, False])
def test_beyond_its_greatest_age_a_value_is_not_answered(frozen: bool) -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = aging(reader, clock)
    value.get()
    reader.failure = StoreError("down")
    for seconds in (100, 500, 900):
        clock.now = seconds
        assert value.get() == "a"
    if frozen:
        clock.wall_ahead += 1
    else:
        clock.now = 901
    for _ in range(2):
        with pytest.raises(StoreError):
            value.get()
    reader.failure = None
    clock.now += 8  # the longest wait between tries, with nothing to fall back on
    assert value.get() == "a"


def test_what_the_store_confirms_does_not_age() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = aging(reader, clock)
    while clock.now < 3_600:
        clock.now += 300
        assert value.get() == "a"
    assert set(reader.etags) == {None, "a"}


def test_callers_of_a_value_that_is_too_old_wait_for_the_read_instead_of_getting_it() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = aging(reader, clock)
    value.get()
    reader.data, reader.delay_seconds, clock.now = b"b", 0.2, 901
    assert together(value, 8) == ["b"] * 8
    assert reader.etags == [None, "a"]


def test_a_value_that_becomes_too_old_while_another_caller_asks_is_waited_for() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = aging(reader, clock)
    value.get()
    reader.delay_seconds, clock.now = 0.2, 61
    first = threading.Thread(target=value.get)
    first.start()
    while not value._lock.locked():
        time.sleep(0.001)
    clock.now = 901.5  # beyond the greatest age, with the store being asked by the other
    assert value.get() == "a"
    first.join()


def test_a_cache_without_back_off_asks_again_after_each_ttl() -> None:
    reader, clock = FakeReader(b"a"), Clock()
    value = cached(reader, clock, longest_backoff=1)
    value.get()
    reader.failure = StoreError("down")
    for clock.now in range(60, 901, 60):
        assert value.get() == "a"
    reader.failure, reader.data, clock.now = None, b"b", 960
    assert value.get() == "b"
