"""A lease in the bucket: of two retrainings at the same time, the second notices and leaves.

It saves work and nothing else: versions are immutable and promotions conditional, whatever happens to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ValidationError

from digits.errors import ConflictError, ObjectNotFoundError, StoreError
from digits.registry.bucket import Bucket
from digits.registry.layout import LEASE_KEY

# Longer than any invocation may last: a lease that runs out later was written by a clock that is wrong.
LONGEST = timedelta(minutes=20)


class LeaseTakenError(ConflictError):
    """Somebody else holds the lease."""


class Lease(BaseModel):
    """Who may retrain, and until when."""

    holder: str
    expires_at: AwareDatetime

    def stops(self, holder: str, now: datetime) -> bool:
        """Whether it keeps somebody else out; a retried invocation has the name of the first."""
        return self.holder != holder and now < self.expires_at < now + LONGEST


@contextmanager
def held(bucket: Bucket, holder: str, duration: timedelta) -> Iterator[None]:
    """Hold the lease, and give it back in the end.

    Args:
        holder: name of this run.
        duration: after which it ends by itself, where this process should be killed.

    Raises:
        LeaseTakenError: another run holds it.
    """
    etag = _take(bucket, Lease(holder=holder, expires_at=datetime.now(UTC) + duration))
    try:
        yield
    finally:
        given_back = Lease(holder=holder, expires_at=datetime.now(UTC))
        # Where it ran out, somebody else may have taken it; where the store is away, it ends by itself.
        with suppress(ConflictError, StoreError):
            bucket.replace(LEASE_KEY, given_back.model_dump_json().encode(), etag)


def _take(bucket: Bucket, lease: Lease) -> str:
    document = lease.model_dump_json().encode()
    try:
        stored = bucket.get(LEASE_KEY)
    except ObjectNotFoundError:
        stored = None
    standing = _read(stored.data) if stored else None
    if standing and standing.stops(lease.holder, datetime.now(UTC)):
        raise LeaseTakenError(f"{standing.holder} is retraining until {standing.expires_at:%H:%M:%S} UTC at most")
    try:
        return bucket.replace(LEASE_KEY, document, stored.etag) if stored else bucket.create(LEASE_KEY, document)
    except ConflictError as error:
        stored = bucket.get(LEASE_KEY)
        if stored.data == document:  # it was written, the answer got lost, and the client asked again
            return stored.etag
        raise LeaseTakenError("somebody else has just begun to retrain") from error


def _read(data: bytes) -> Lease | None:
    """Return the lease; None where it cannot be read, so that it keeps nobody out for good."""
    try:
        return Lease.model_validate_json(data)
    except ValidationError:
        return None
