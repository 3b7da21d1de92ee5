"""An input read from where its run is, until its end or for as long as there is time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from digits.errors import (
    ConflictError,
    DigitsError,
    InputError,
    NoReaderError,
    ObjectNotFoundError,
    UnknownVersionError,
)
from functions.batch import results
from functions.batch.answering import Answers, Reading
from functions.batch.contents import Item
from functions.batch.errors import BatchFailedError, ClaimedError, SourceError
from functions.batch.results import Document, Spent
from functions.batch.runs import Begun, Claim, Place, Run, Store, line_of, run_id
from functions.batch.sources import Source

PART_LINES = 4_096
PART_BYTES = 4 * 2**20
PART_SECONDS = 5.0
# Of the time of an invocation, so much is kept for its end, and no more than that many seconds.
RESERVED_SHARE, RESERVED_SECONDS = 0.2, 60.0
_AFTER_ITS_TIME = timedelta(seconds=60)

type Left = Callable[[], float]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is to be read, and by whom.

    Attributes:
        name: of the result.
        key, etag, size_bytes: of the input.
        reading: how it is read.
        open: returns the input.
        answering: see `Answers`.
        holder: who reads; the same for a second try of the same.
        left: how many seconds there are.
        seen: is told how many pictures are read.
    """

    store: Store
    name: str
    key: str
    etag: str
    size_bytes: int
    reading: Reading
    open: Callable[[], Source]
    answering: Answers
    holder: str
    left: Left
    seen: Callable[[int], None] = lambda _: None

    @property
    def run(self) -> Run:
        """Its run."""
        return Run(self.store, run_id(self.key, self.etag, self.name))


def read(job: Job) -> Document | None:
    """Read an input to its end, and return the summary; None where there was not the time, and it has to be gone on.

    Raises:
        ClaimedError: somebody else is at it.
        BatchFailedError: it cannot be read, now and later; the summary tells why.
        ConflictError: there is another result of this name.
        NoModelError, StoreError, CorruptModelError: trying again later may help.
    """
    run, started, left = job.run, time.monotonic(), job.left()
    before = results.finished(job.store, job.name)
    if before and before["source"]["etag"] == job.etag:
        if before["outcome"] == results.FAILED:
            raise BatchFailedError(f"{job.key}: {before['problem']['detail']} (its summary tells that it has failed)")
        results.check_there(job.store, job.name)
        run.clear()  # where the process that ended it was killed before it could
        return before
    if before and before["outcome"] != results.FAILED:
        raise ConflictError(
            f"the result {job.name} is of another input of that name, or was read otherwise: move it away"
        )
    begun = run.begun() or run.begin(
        results.to_begin(
            job.store, job.name, job.reading, job.answering, key=job.key, etag=job.etag, size_bytes=job.size_bytes
        )
    )
    try:
        claim, etag = run.claim(job.holder, timedelta(seconds=left) + _AFTER_ITS_TIME)
    except BatchFailedError as error:
        raise results.fail(run, begun, error, Spent(0, 0)) from error

    def spent() -> Spent:
        return Spent(claim.seconds + time.monotonic() - started, claim.invocation)

    reserved = min(RESERVED_SHARE * left, RESERVED_SECONDS)
    try:
        if not _go_on(job, begun, etag, lambda: job.left() > reserved):
            run.release(claim, etag, time.monotonic() - started)
            return None
        run.check(etag)
        return results.finish(run, begun, run.lines(), spent())
    except ClaimedError:
        raise
    except (InputError, NoReaderError, UnknownVersionError) as error:
        raise results.fail(run, begun, error, spent()) from error
    except KeyboardInterrupt:
        run.release(claim, etag, time.monotonic() - started, forget_try=True)
        raise
    except (DigitsError, ObjectNotFoundError):
        _release_quietly(run, claim, etag, time.monotonic() - started)
        raise


def _release_quietly(run: Run, claim: Claim, etag: str, seconds: float) -> None:
    try:
        run.release(claim, etag, seconds, forget_try=True)
    except DigitsError as error:
        logger.warning("the claim is not given back, and ends by itself: %s", error)


def _go_on(job: Job, begun: Begun, etag: str, is_time: Callable[[], bool]) -> bool:
    """Read on under the claim of an ETag; tells whether all is read."""
    run, place = job.run, job.run.place()
    if place.done:
        return True
    source = job.open()
    source.labels.update(run.labels())
    answering, _, _ = job.answering(begun.version, begun.reading)
    until = _Until(source.items(place.after), is_time)
    part = _Part(run, etag, source, place)
    try:
        for item, answer in answering.answers(until):
            part.add(item, line_of(item.name, item.page, item.content.sha256, item.label, answer))
            if part.is_large():
                part.write()
            job.seen(part.count)
    except KeyboardInterrupt:
        part.write()
        raise
    if not until.is_cut and not part.count:
        raise SourceError("it holds no picture")
    part.write(done=not until.is_cut)
    return not until.is_cut


class _Until:
    """Pictures, for as long as there is time; no file of several is left in the middle."""

    def __init__(self, items: Iterator[Item], is_time: Callable[[], bool]) -> None:
        self._items, self._is_time, self.is_cut = items, is_time, False

    def __iter__(self) -> Iterator[Item]:
        may_stop = True
        for item in self._items:
            if may_stop and not self._is_time():
                self.is_cut = True
                return
            may_stop = item.after is not None
            yield item


class _Part:
    """Lines that are not kept yet, and where they go."""

    def __init__(self, run: Run, etag: str, source: Source, place: Place) -> None:
        self._run, self._etag, self._source, self._labels = run, etag, source, len(source.labels)
        self._first, self._after = place.stop, place.after
        self._clear()

    def _clear(self) -> None:
        self._lines: list[bytes] = []
        self._bytes, self._kept, self._since = 0, 0, time.monotonic()

    @property
    def count(self) -> int:
        """How many lines there are, with all before."""
        return self._first + len(self._lines)

    def add(self, item: Item, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        if item.after is not None:
            self._kept, self._after = len(self._lines), item.after

    def is_large(self) -> bool:
        grown = len(self._lines) >= PART_LINES or self._bytes >= PART_BYTES
        return self._kept == len(self._lines) and (grown or time.monotonic() - self._since > PART_SECONDS)

    def write(self, *, done: bool = False) -> None:
        """Keep what may be kept: the pages of a file that is not read to its end are read again."""
        if not (self._kept or done):
            return
        self._run.check(self._etag)
        if len(self._source.labels) > self._labels:  # first, as the table that told them is not read again
            self._run.keep_labels(self._source.labels)
            self._labels = len(self._source.labels)
        stop = self._first + self._kept
        place = Place(first=self._first, stop=stop, after=self._after, done=done)
        self._run.write_lines(b"".join(self._lines[: self._kept]), place)
        self._first = stop
        self._clear()
