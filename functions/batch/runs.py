"""A run: one input, one model, one result. What it has read so far is in the store, so that it may stop anywhere.

work/<run>/run.json           what it reads, and with which model; never changes
work/<run>/claim.json         who is at it; swapped with If-Match
work/<run>/labels.json        what a table of the input told of its pictures
work/<run>/lines/<number>     lines that are read, and where to go on after them; each is created whole, once
out/<name>.jsonl              all of them
out/<name>.summary.json       written last, and the result is whole only with it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict

from digits.errors import ConflictError, ObjectNotFoundError
from digits.model.identity import sha256
from digits.registry.layout import BATCH_NEXT, BATCH_OUT, BATCH_WORK
from digits.registry.store import StoredObject
from functions.batch.answering import Answer, Reading, encoded
from functions.batch.errors import BatchFailedError, ClaimedError
from functions.batch.labels import Labels

CHUNK_BYTES = 8 * 2**20  # of an object that may be large
MOST_INVOCATIONS = 100
MOST_TRIES = 2  # of the same place, by invocations that did not live to tell; Lambda makes a third, which tells


class Store(Protocol):
    """What a run needs of an object store; `digits.registry.bucket.Bucket` tells the rest."""

    def get(self, key: str) -> StoredObject:
        """Return an object, or raise ObjectNotFoundError."""

    def state(self, key: str) -> tuple[int, str]:
        """Return the size and the ETag of an object, or raise ObjectNotFoundError."""

    def get_range(self, key: str, start: int, stop: int, etag: str) -> bytes:
        """Return bytes of an object in this state, or raise ConflictError."""

    def create(self, key: str, data: bytes) -> str:
        """Write an object that must not exist, or raise ConflictError."""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write an object that must be in this state, or raise ConflictError."""

    def upload(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write an object of any size that must not exist, or raise ConflictError."""

    def delete(self, key: str) -> None:
        """Delete an object."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Return all keys under a prefix, in order."""


class Begun(BaseModel):
    """What a run reads, and with which model.

    Attributes:
        name: of the result.
        key: of the input; a prefix where it is many objects.
        etag: of the input's state; empty where it is many objects.
        version: of the model.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    key: str
    etag: str
    size_bytes: int
    kind: str
    length: str | None
    version: str
    accuracy: float
    begun_at: AwareDatetime

    @property
    def reading(self) -> Reading:
        """How it reads."""
        return Reading(self.kind, self.length)


class Claim(BaseModel):
    """Who is at a run.

    Attributes:
        holder: nobody, if it is empty.
        invocation: how many have been at it, this one included.
        at: how many lines there were when it began; `tries`, how many times in a row it has begun there.
        seconds: the time that all before have spent on it.
    """

    holder: str
    expires_at: AwareDatetime
    invocation: int = 1
    at: int = 0
    tries: int = 1
    seconds: float = 0.0


class Place(BaseModel):
    """Where a run is.

    Attributes:
        first, stop: numbers of the first of its latest lines, and of the one that comes after them.
        after: where the source goes on.
        done: whether all of it is read.
    """

    first: int = 0
    stop: int = 0
    after: int = 0
    done: bool = False


def run_id(*what: str) -> str:
    """Return the name of the run that reads something."""
    return sha256("\n".join(what).encode())[:20]


@dataclass(frozen=True)
class Run:
    """A run's objects."""

    store: Store
    id: str

    @property
    def folder(self) -> str:
        """Where all that is deleted at its end is kept: a prefix."""
        return f"{BATCH_WORK}{self.id}/"

    # What it is

    def begun(self) -> Begun | None:
        """Return what it reads; None if it has not begun, or has ended."""
        stored = self._stored("run.json")
        return Begun.model_validate_json(stored.data) if stored else None

    def begin(self, begun: Begun) -> Begun:
        """Begin it, and return how it really began, which somebody else may have done first."""
        try:
            self.store.create(f"{self.folder}run.json", begun.model_dump_json().encode())
        except ConflictError:
            return self.begun() or begun
        return begun

    # Who is at it

    def claim(self, holder: str, duration: timedelta) -> tuple[Claim, str]:
        """Claim it, and return the claim and its ETag.

        Raises:
            ClaimedError: somebody else is at it.
            BatchFailedError: it has been begun too often.
        """
        stored, now, at = self._stored("claim.json"), datetime.now(UTC), self.place().stop
        claim = Claim(holder=holder, expires_at=now + duration, at=at)
        if stored:
            last = Claim.model_validate_json(stored.data)
            if last.holder not in ("", holder) and now < last.expires_at:
                raise ClaimedError(f"{last.holder} is at it until {last.expires_at:%H:%M:%S} UTC at most")
            claim.invocation, claim.seconds = last.invocation + 1, last.seconds
            claim.tries = last.tries + 1 if last.at == at else 1
        if claim.tries > MOST_TRIES:
            raise BatchFailedError(f"no progress: {MOST_TRIES} invocations in a row read no more than {at:,} pictures")
        if claim.invocation > MOST_INVOCATIONS:
            raise BatchFailedError(f"{MOST_INVOCATIONS} invocations were not enough: use the state machine")
        return claim, self._write_claim(claim, stored.etag if stored else None)

    def release(self, claim: Claim, etag: str, seconds: float, *, forget_try: bool = False) -> None:
        """Give a claim back.

        Args:
            seconds: how long it was held.
            forget_try: whether it was not its own fault that it got no further.
        """
        released = claim.model_copy(update={"holder": "", "seconds": claim.seconds + seconds})
        if forget_try:
            released.tries -= 1
        self._write_claim(released, etag)

    def check(self, etag: str) -> None:
        """Make sure that a claim is still held; raises ClaimedError."""
        stored = self._stored("claim.json")
        if stored is None or stored.etag != etag:
            raise ClaimedError("the claim ended, and somebody else has gone on")

    def _write_claim(self, claim: Claim, etag: str | None) -> str:
        key, document = f"{self.folder}claim.json", claim.model_dump_json().encode()
        try:
            return self.store.replace(key, document, etag) if etag else self.store.create(key, document)
        except ConflictError as error:
            raise ClaimedError("somebody else has just begun with it") from error

    # What it has read

    def place(self) -> Place:
        """Return where it is."""
        last = None
        for key in self._line_keys():
            last = key
        return Place() if last is None else self._lines(last)[0]

    def write_lines(self, lines: bytes, place: Place, *, again: bool = False) -> None:
        """Keep lines, once.

        Args:
            again: whether it is well if an earlier try has written them.

        Raises:
            ClaimedError: somebody else has written them.
        """
        head = place.model_dump_json().encode() + b"\n"
        try:
            self.store.create(f"{self.folder}lines/{place.first:012}", head + lines)
        except ConflictError as error:
            if not again:
                raise ClaimedError("somebody else has gone on with it") from error

    def parts(self) -> Iterator[tuple[Place, bytes]]:
        """Return all that it has read, in order: where lines are, and the lines."""
        return map(self._lines, self._line_keys())

    def lines(self) -> Iterator[bytes]:
        """Return all lines that it has read, in order."""
        return (line for _, lines in self.parts() for line in lines.splitlines())

    def part_count(self) -> int:
        """Return in how many parts they are."""
        return sum(1 for _ in self._line_keys())

    def _line_keys(self) -> Iterator[str]:
        return self.store.keys(f"{self.folder}lines/")

    def _lines(self, key: str) -> tuple[Place, bytes]:
        head, _, lines = self.store.get(key).data.partition(b"\n")
        return Place.model_validate_json(head), lines

    def keep_labels(self, labels: Labels) -> None:
        """Keep what tables of the input have told until now."""
        key, document = f"{self.folder}labels.json", json.dumps(labels).encode()
        stored = stored_at(self.store, key)
        if stored:
            self.store.replace(key, document, stored.etag)
        else:
            self.store.create(key, document)

    def labels(self) -> Labels:
        """Return what a table of the input told."""
        stored = self._stored("labels.json")
        labels: Labels = json.loads(stored.data) if stored else {}
        return labels

    def clear(self) -> None:
        """Delete what is not needed any more."""
        for prefix in (f"{BATCH_NEXT}{self.id}/", self.folder):
            for key in list(self.store.keys(prefix)):
                self.store.delete(key)

    def _stored(self, name: str) -> StoredObject | None:
        return stored_at(self.store, f"{self.folder}{name}")


def stored_at(store: Store, key: str) -> StoredObject | None:
    """Return an object, or None."""
    try:
        return store.get(key)
    except ObjectNotFoundError:
        return None


def ranges_of(store: Store, key: str) -> Iterator[bytes]:
    """Return the bytes of an object, a few at a time and all of one state of it."""
    size, etag = store.state(key)
    for start in range(0, size, CHUNK_BYTES):
        yield store.get_range(key, start, min(size, start + CHUNK_BYTES), etag)


def lines_key(name: str) -> str:
    """Return where the lines of a result are."""
    return f"{BATCH_OUT}{name}.jsonl"


def summary_key(name: str) -> str:
    """Return where the summary of a result is."""
    return f"{BATCH_OUT}{name}.summary.json"


def line_of(name: str, page: int | None, digest: str | None, label: str | None, answer: Answer) -> bytes:
    """Return a line of a result, which gets its index when all lines are put together."""
    told: dict[str, str | int | None] = {"name": name}
    if page is not None:
        told["page"] = page
    told["sha256"] = digest
    if label is not None:
        told["label"] = label
    return b"%b,%b\n" % (encoded(told)[:-1], answer[1:])
