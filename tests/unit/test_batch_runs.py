"""A run that may be stopped, killed or started twice at any point, over a store that can fail at any request."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digits.errors import ConflictError, NoModelError, ObjectNotFoundError, StoreError, UnknownVersionError
from digits.model.identity import sha256
from digits.registry.store import StoredObject
from functions.batch import reading, runs
from functions.batch.answering import Answer, Answering, Reading, encoded
from functions.batch.contents import Item
from functions.batch.errors import BatchFailedError, ClaimedError, SourceError
from functions.batch.reading import Job, read
from functions.batch.results import Document
from functions.batch.runs import Claim, Run, lines_key, run_id, summary_key
from functions.batch.sources import Source

NAME, KEY = "scans.zip", "batch/in/scans.zip"
COUNT = 40


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class MemoryStore:
    """A store that counts requests, and may end the process before or after one of them."""

    objects: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0
    kill_at: int | None = None
    kill_after: bool = False
    failing: bool = False

    def _done(self, do: Callable[[], Any]) -> Any:
        if self.failing:
            raise StoreError("the store is away")
        self.requests += 1
        killed = self.requests == self.kill_at
        if killed and not self.kill_after:
            raise KilledError
        try:
            return do()
        finally:
            if killed:
                raise KilledError

    def get(self, key: str) -> StoredObject:
        def do() -> StoredObject:
            if key not in self.objects:
                raise ObjectNotFoundError(key)
            return StoredObject(self.objects[key], sha256(self.objects[key]))

        stored: StoredObject = self._done(do)
        return stored

    def state(self, key: str) -> tuple[int, str]:
        stored = self.get(key)
        return len(stored.data), stored.etag

    def get_range(self, key: str, start: int, stop: int, etag: str) -> bytes:
        stored = self.get(key)
        assert stored.etag == etag
        return stored.data[start:stop]

    def create(self, key: str, data: bytes) -> str:
        def do() -> str:
            if key in self.objects:
                raise ConflictError(key)
            self.objects[key] = data
            return sha256(data)

        return str(self._done(do))

    def replace(self, key: str, data: bytes, etag: str) -> str:
        def do() -> str:
            if key not in self.objects or sha256(self.objects[key]) != etag:
                raise ConflictError(key)
            self.objects[key] = data
            return sha256(data)

        return str(self._done(do))

    def upload(self, key: str, chunks: Iterable[bytes]) -> None:
        self.create(key, b"".join(chunks))

    def delete(self, key: str) -> None:
        self._done(lambda: self.objects.pop(key, None))

    def keys(self, prefix: str) -> Iterator[str]:
        found: list[str] = self._done(lambda: sorted(key for key in self.objects if key.startswith(prefix)))
        return iter(found)


class Lengths(Answering):
    """Reads how many bytes a file has; in its time, which is told picture by picture."""

    def __init__(self, seen: Callable[[], None] = lambda: None) -> None:
        self._seen = seen

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        for item in items:
            self._seen()
            yield item, encoded({"pred": len(item.content.request()["image"]) % 10, "conf": 0.5, "accepted": True})


def zipped(count: int = COUNT, first: str = "x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            entry = zipfile.ZipInfo(f"{number % 10}/{number:03}.png")  # of no time, so that all are alike
            archive.writestr(entry, first * (number + 1))
    return file.getvalue()


@dataclass
class Clock:
    """Seconds that are left; each picture takes one of them."""

    left: float = 1e6

    def tick(self) -> None:
        self.left -= 1


def job(store: MemoryStore, data: bytes, *, holder: str = "me", seconds: float = 1e6, version: str = "v1") -> Job:
    clock = Clock(seconds)

    def answering(asked: str | None, _: Reading) -> tuple[Answering, str, float]:
        return Lengths(clock.tick), asked or version, 0.99

    return Job(
        store=store,
        name=NAME,
        key=KEY,
        etag=sha256(data),
        size_bytes=len(data),
        reading=Reading(),
        open=lambda: Source(NAME, io.BytesIO(data), len(data), lambda _: b""),
        answering=answering,
        holder=holder,
        left=lambda: clock.left,
    )


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_LINES", 7)


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The lines of a run that nothing stops."""
    store = MemoryStore()
    assert read(job(store, zipped()))
    return store.objects[lines_key(NAME)]


def summary_of(store: MemoryStore) -> Document:
    document: Document = json.loads(store.objects[summary_key(NAME)])
    return document


def test_every_picture_has_a_line_in_order(whole: bytes) -> None:
    lines = [json.loads(line) for line in whole.splitlines()]
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert [line["name"] for line in lines] == [f"{number % 10}/{number:03}.png" for number in range(COUNT)]
    assert [line["sha256"] for line in lines] == [sha256(b"x" * (number + 1)) for number in range(COUNT)]


def test_only_the_result_is_left() -> None:
    store = MemoryStore()
    read(job(store, zipped()))
    assert store.objects.keys() == {lines_key(NAME), summary_key(NAME)}
    assert summary_of(store)["lines"]["sha256"] == sha256(store.objects[lines_key(NAME)])


@pytest.mark.parametrize("kill_after", [False, True])
def test_a_run_that_is_killed_at_any_request_ends_with_the_same_bytes(kill_after: bool, whole: bytes) -> None:
    at, kills = 0, 0
    while True:
        at += 1
        store = MemoryStore(kill_at=at, kill_after=kill_after)
        try:
            read(job(store, zipped()))
            break
        except KilledError:
            kills += 1
        assert (summary_key(NAME) in store.objects) <= (lines_key(NAME) in store.objects)
        store.kill_at = None
        summary = read(job(store, zipped()))  # a retry has the same name
        assert summary is not None
        assert summary["outcome"] == "done"
        assert store.objects[lines_key(NAME)] == whole
    assert kills > 20


@pytest.mark.parametrize("seconds", [2, 3, 5, 11, 17])
def test_a_run_without_the_time_goes_on_in_another_invocation(seconds: float, whole: bytes) -> None:
    store, invocations = MemoryStore(), 1
    while read(job(store, zipped(), holder=str(invocations), seconds=seconds)) is None:
        assert summary_key(NAME) not in store.objects
        assert lines_key(NAME) not in store.objects
        invocations += 1
    assert invocations > 2
    assert summary_of(store)["invocations"] == invocations
    assert store.objects[lines_key(NAME)] == whole


def test_a_second_delivery_changes_nothing() -> None:
    store = MemoryStore()
    first = read(job(store, zipped()))
    before = dict(store.objects)
    assert read(job(store, zipped(), holder="another")) == first
    assert store.objects == before


def test_of_two_at_once_one_ends_quietly(whole: bytes) -> None:
    store = MemoryStore()
    mine = job(store, zipped())
    others: list[str] = []

    def another(count: int) -> None:
        if count == COUNT // 2:
            with pytest.raises(ClaimedError):
                read(job(store, zipped(), holder="another"))
            others.append("ended")

    object.__setattr__(mine, "seen", another)
    assert read(mine)
    assert others == ["ended"]
    assert store.objects[lines_key(NAME)] == whole


def test_one_that_lost_its_claim_writes_nothing_more(whole: bytes) -> None:
    store = MemoryStore()
    late = job(store, zipped())

    def overtaken(count: int) -> None:
        if count == COUNT // 2:
            claim = Claim.model_validate_json(store.objects[f"{late.run.folder}claim.json"])
            claim.expires_at = datetime.now(UTC) - timedelta(seconds=1)
            store.objects[f"{late.run.folder}claim.json"] = claim.model_dump_json().encode()
            assert read(job(store, zipped(), holder="another"))

    object.__setattr__(late, "seen", overtaken)
    with pytest.raises(ClaimedError):
        read(late)
    assert store.objects[lines_key(NAME)] == whole


def test_invocations_that_get_nowhere_end_as_a_failure() -> None:
    store = MemoryStore()
    for _ in range(runs.MOST_TRIES):
        assert read(job(store, zipped(), seconds=0)) is None
    with pytest.raises(BatchFailedError, match="no progress"):
        read(job(store, zipped(), seconds=0))
    assert summary_of(store)["outcome"] == "failed"
    assert store.objects.keys() == {summary_key(NAME)}


def test_invocations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_INVOCATIONS", 3)
    store = MemoryStore()
    for _ in range(3):
        assert read(job(store, zipped(), seconds=2)) is None
    with pytest.raises(BatchFailedError, match="3 invocations were not enough"):
        read(job(store, zipped(), seconds=2))


def test_interrupts_count_as_no_try() -> None:
    store = MemoryStore()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    for _ in range(2 * runs.MOST_TRIES):
        interrupted = job(store, zipped())
        object.__setattr__(interrupted, "answering", lambda *_: (Lengths(lambda: interrupt(0)), "v1", 0.99))
        with pytest.raises(KeyboardInterrupt):
            read(interrupted)
    assert read(job(store, zipped()))


def test_a_crash_that_comes_again_is_told_at_the_third_try() -> None:
    """Lambda tries an event three times, under one name; then nobody comes again."""
    store = MemoryStore()
    for _ in range(2):
        crashing = job(store, zipped())
        object.__setattr__(crashing, "open", lambda: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            read(crashing)
    with pytest.raises(BatchFailedError, match="no progress"):
        read(job(store, zipped()))
    assert summary_of(store)["outcome"] == "failed"


def test_a_model_that_is_gone_is_a_failure() -> None:
    store = MemoryStore()
    assert read(job(store, zipped(), seconds=20)) is None
    gone = job(store, zipped())

    def unknown(*_: object) -> tuple[Answering, str, float]:
        raise UnknownVersionError("no model 'v1' is published")

    object.__setattr__(gone, "answering", unknown)
    with pytest.raises(BatchFailedError, match="no model 'v1'"):
        read(gone)
    assert summary_of(store)["problem"]["detail"] == "no model 'v1' is published"


def test_a_summary_without_its_lines_is_no_result() -> None:
    store = MemoryStore()
    read(job(store, zipped()))
    del store.objects[lines_key(NAME)]
    with pytest.raises(ConflictError, match="is gone"):
        read(job(store, zipped()))


def test_a_store_that_was_away_counts_as_no_try() -> None:
    store = MemoryStore()
    for _ in range(2 * runs.MOST_TRIES):
        failing = job(store, zipped())
        object.__setattr__(failing, "open", lambda: (_ for _ in ()).throw(StoreError("the store is away")))
        with pytest.raises(StoreError):
            read(failing)
    assert read(job(store, zipped()))


def test_without_a_model_nothing_begins() -> None:
    store = MemoryStore()
    without = job(store, zipped())

    def no_model(*_: object) -> tuple[Answering, str, float]:
        raise NoModelError("no model has been published yet")

    object.__setattr__(without, "answering", no_model)
    with pytest.raises(NoModelError):
        read(without)
    assert not store.objects


def test_a_run_goes_on_with_the_model_that_it_began_with() -> None:
    store = MemoryStore()
    assert read(job(store, zipped(), seconds=20)) is None
    summary = read(job(store, zipped(), version="v2"))
    assert summary is not None
    assert summary["model"]["version"] == "v1"


def test_a_result_of_another_input_is_not_overwritten() -> None:
    store = MemoryStore()
    read(job(store, zipped()))
    before = dict(store.objects)
    with pytest.raises(ConflictError, match="of another input"):
        read(job(store, zipped(first="y")))
    assert store.objects == before


def test_lines_of_no_run_are_not_overwritten() -> None:
    store = MemoryStore({lines_key(NAME): b"mine\n"})
    with pytest.raises(ConflictError, match="exists already"):
        read(job(store, zipped()))
    assert store.objects == {lines_key(NAME): b"mine\n"}


def test_an_input_that_was_mended_takes_the_place_of_a_failure(whole: bytes) -> None:
    store, broken = MemoryStore(), zipped()[:-50]
    for _ in range(2):  # a retry finds the failure
        with pytest.raises(BatchFailedError, match="damaged or truncated"):
            read(job(store, broken))
        assert summary_of(store)["problem"]["detail"] == "the archive is damaged or truncated"
    assert read(job(store, zipped()))
    assert store.objects[lines_key(NAME)] == whole


def test_an_input_without_pictures_fails() -> None:
    store = MemoryStore()
    with pytest.raises(BatchFailedError, match="holds no picture"):
        read(job(store, zipped(0)))
    assert summary_of(store)["pictures"] == 0


def test_a_failure_tells_what_was_read_until_then() -> None:
    good = b'{"pixels": [%b]}\n' % b",".join([b"0"] * 784)
    store = MemoryStore()
    failing = job(store, good)

    def items() -> Iterator[Item]:
        yield from Source("a.zip", io.BytesIO(zipped()), len(zipped()), lambda _: b"").items()
        raise SourceError("it is cut off")

    source = Source(NAME, io.BytesIO(good), len(good), lambda _: b"")
    object.__setattr__(source, "items", lambda _: items())
    object.__setattr__(failing, "open", lambda: source)
    with pytest.raises(BatchFailedError, match="cut off"):
        read(failing)
    assert summary_of(store)["pictures"] == COUNT - COUNT % 7


def test_an_interrupt_keeps_its_place(whole: bytes) -> None:
    store = MemoryStore()
    interrupted = job(store, zipped())

    def interrupt(count: int) -> None:
        if count == 17:
            raise KeyboardInterrupt

    object.__setattr__(interrupted, "seen", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(interrupted)
    assert Run(store, run_id(KEY, interrupted.etag, NAME)).place().stop == 17
    assert read(job(store, zipped(), holder="later"))
    assert store.objects[lines_key(NAME)] == whole


def test_labels_that_a_tar_told_early_are_known_after_a_stop() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        files = {"labels.csv": b"name,label\n" + b"".join(b"%03d.png,5\n" % number for number in range(20))}
        files |= {f"{number:03}.png": b"x" * 100 for number in range(20)}
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    store = MemoryStore()
    while read(job(store, file.getvalue(), seconds=8)) is None:
        pass
    assert summary_of(store)["labels"]["labelled"] == 20
