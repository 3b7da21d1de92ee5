"""A lease in the bucket: of two retrainings at the same time, the second notices and leaves.

It saves work and nothing else: versions are immutable and promotions conditional, whatever happens to it.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ValidationError

from digits.errors import ConflictError, DigitsError, ObjectNotFoundError, StoreError
from digits.registry.bucket import Bucket
from digits.registry.layout import LEASE_KEY
from digits.registry.store import StoredObject

# How long a lease lasts unless it is renewed, and so how long a killed run keeps others out at most.
TERM = timedelta(minutes=15)
# Longer than any term: a lease that runs out later was written by a clock that is wrong.
LONGEST = timedelta(minutes=20)
_RENEWALS_A_TERM = 5  # so that a store that is away for a while does not end it

logger = logging.getLogger(__name__)


class LeaseTakenError(ConflictError):
    """Somebody else holds the lease."""


class Lease(BaseModel):
    """Who may retrain, and until when."""

    holder: str
    expires_at: AwareDatetime

    def stops(self, holder: str, now: datetime) -> bool:
        """Whether it keeps somebody else out; a retried invocation has the name of the first."""
        return self.holder != holder and now < self.expires_at < now + LONGEST


def new_holder() -> str:
    """Return a name for this run that no other has: host, process, and something random."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


@contextmanager
def held(bucket: Bucket, holder: str, duration: timedelta | None = None) -> Iterator[None]:
    """Hold the lease, and give it back in the end.

    Args:
        holder: name of this run.
        duration: after which it ends by itself, where this process should be killed; at most `TERM`. Without
            one the run takes as long as it takes: the lease lasts for a term, and is renewed.

    Raises:
        LeaseTakenError: another run holds it.
    """
    holding = _Holding(bucket, holder, TERM if duration is None else min(duration, TERM))
    if duration is None:
        holding.keep_renewing()
    try:
        yield
    finally:
        holding.give_back()


class _Holding:
    """The lease while this process holds it."""

    def __init__(self, bucket: Bucket, holder: str, term: timedelta) -> None:
        self._bucket, self._holder, self._term = bucket, holder, term
        self._etag = _take(bucket, self._lease(term))
        self._done = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)

    def keep_renewing(self) -> None:
        self._renewing.start()

    def give_back(self) -> None:
        self._done.set()
        if self._renewing.ident is not None:
            self._renewing.join()
        # Where it ran out, somebody else may have taken it; where the store is away, it ends by itself.
        with suppress(ConflictError, StoreError):
            self._write(timedelta(0))

    def _renew(self) -> None:
        while not self._done.wait(self._term.total_seconds() / _RENEWALS_A_TERM):
            try:
                self._write(self._term)
            except ConflictError:
                logger.warning("the lease ran out, and somebody else took it: this run goes on without it")
                return
            except DigitsError as error:
                logger.warning("the lease is not renewed yet: %s", error)

    def _write(self, term: timedelta) -> None:
        self._etag = _replace(self._bucket, self._lease(term), self._etag)

    def _lease(self, term: timedelta) -> Lease:
        return Lease(holder=self._holder, expires_at=datetime.now(UTC) + term)


def _take(bucket: Bucket, lease: Lease) -> str:
    stored = _stored(bucket)
    before = _read(stored.data) if stored else None
    if before and before.stops(lease.holder, datetime.now(UTC)):
        raise LeaseTakenError(f"{before.holder} is retraining until {before.expires_at:%H:%M:%S} UTC at most")
    try:
        return _replace(bucket, lease, stored.etag if stored else None)
    except ConflictError as error:
        raise LeaseTakenError("somebody else has just begun to retrain") from error


def _replace(bucket: Bucket, lease: Lease, etag: str | None) -> str:
    """Write a lease over the state that `etag` names, or over nothing, and return the tag of its own state."""
    document = lease.model_dump_json().encode()
    try:
        return bucket.create(LEASE_KEY, document) if etag is None else bucket.replace(LEASE_KEY, document, etag)
    except ConflictError:
        stored = _stored(bucket)
        before = _read(stored.data) if stored else None
        if stored is None or before is None or before.holder != lease.holder:
            raise
        # The write before this one was done after all, when the store could not say so.
        return bucket.replace(LEASE_KEY, document, stored.etag)


def _stored(bucket: Bucket) -> StoredObject | None:
    try:
        return bucket.get(LEASE_KEY)
    except ObjectNotFoundError:
        return None


def _read(data: bytes) -> Lease | None:
    """Return the lease; None where it cannot be read, so that it keeps nobody out for good."""
    try:
        return Lease.model_validate_json(data)
    except ValidationError:
        return None
