"""A lease in the bucket: if two retrainings run at the same time, the second notices and stops.

It only saves work. Even without it nothing can be overwritten: versions are immutable and promotions conditional.
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

# How long a lease lasts unless it is renewed. A killed run keeps others out for no longer than this.
TERM = timedelta(minutes=15)
# Longer than any term: a lease that expires later than this was written with a wrong clock.
LONGEST = timedelta(minutes=20)
_RENEWALS_A_TERM = 5  # so that it survives a short outage of the store

logger = logging.getLogger(__name__)


class LeaseTakenError(ConflictError):
    """Somebody else holds the lease."""


class Lease(BaseModel):
    """Who may retrain, and until when."""

    holder: str
    expires_at: AwareDatetime

    def stops(self, holder: str, now: datetime) -> bool:
        """Whether it keeps this holder out; a retried invocation has the same name as the first try."""
        return self.holder != holder and now < self.expires_at < now + LONGEST


def new_holder() -> str:
    """Return a unique name for this run: host, process and a random part."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


@contextmanager
def held(bucket: Bucket, holder: str, duration: timedelta | None = None) -> Iterator[None]:
    """Hold the lease, and release it at the end.

    Args:
        holder: name of this run.
        duration: how long the lease lasts if this process is killed; at most `TERM`. If not given, it lasts for
            `TERM` and is renewed until the run ends.

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
        # If it expired, somebody else may hold it by now. If the store is down, it expires on its own.
        with suppress(ConflictError, StoreError):
            self._write(timedelta(0))

    def _renew(self) -> None:
        while not self._done.wait(self._term.total_seconds() / _RENEWALS_A_TERM):
            try:
                self._write(self._term)
            except ConflictError:
                logger.warning("the lease expired and somebody else took it: this run goes on without it")
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
    """Write a lease over the state that `etag` names, or as a new object if it is None, and return its ETag."""
    document = lease.model_dump_json().encode()
    try:
        return bucket.create(LEASE_KEY, document) if etag is None else bucket.replace(LEASE_KEY, document, etag)
    except ConflictError:
        stored = _stored(bucket)
        before = _read(stored.data) if stored else None
        if stored is None or before is None or before.holder != lease.holder:
            raise
        # The previous write succeeded after all, but the store could not say so.
        return bucket.replace(LEASE_KEY, document, stored.etag)


def _stored(bucket: Bucket) -> StoredObject | None:
    try:
        return bucket.get(LEASE_KEY)
    except ObjectNotFoundError:
        return None


def _read(data: bytes) -> Lease | None:
    """Return the lease; None if it cannot be read, so that a broken one keeps nobody out forever."""
    try:
        return Lease.model_validate_json(data)
    except ValidationError:
        return None
