"""Reading the object store from the request path: one conditional GET, and a cache on top of it.

The reader needs nothing else, so it uses obstore, whose client is ready in a tenth of the time that
boto3 takes to import. Writers use boto3 (`digits.bucket`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from obstore.exceptions import BaseError, NotModifiedError
from obstore.store import S3Store

from digits.credentials import container_credentials
from digits.errors import ConfigurationError, DigitsError, ObjectNotFoundError, StoreError

CONNECT_TIMEOUT = timedelta(seconds=1)
TIMEOUT = timedelta(seconds=3)
# After a failed read with nothing to fall back on, callers get the same failure for this long.
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredObject:
    """The bytes of an object and the tag that names this state of it."""

    data: bytes
    etag: str


class ObjectReader(Protocol):
    """What the request path needs of an object store."""

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """Return the object, or None where it still is the state that `etag` names.

        Raises:
            ObjectNotFoundError: there is no such key.
            StoreError: the store did not answer, or refused.
        """


def read(reader: ObjectReader, key: str) -> bytes:
    """Return the bytes of an object, whatever its state; raises as `ObjectReader.get` does."""
    stored = reader.get(key)
    assert stored is not None
    return stored.data


class S3Reader:
    """An `ObjectReader` over S3 or a store that speaks its protocol."""

    def __init__(self, bucket: str, region: str, endpoint: str | None, environment: Mapping[str, str]) -> None:
        """Name the bucket; nothing is sent before the first `get`.

        Args:
            bucket: empty is reported by `get`, so that what needs no store still works.
            endpoint: URL of an S3-compatible store; None is AWS.
            environment: where Lambda puts container credentials. Keys in the process's environment
                are found by the client itself.

        Raises:
            ConfigurationError: the endpoint is no URL.
        """
        self._store: S3Store | None = None
        if not bucket:
            return
        try:
            self._store = S3Store(
                bucket,
                region=region,
                client_options={"connect_timeout": CONNECT_TIMEOUT, "timeout": TIMEOUT, "allow_http": True},
                retry_config={"max_retries": 1, "retry_timeout": 2 * TIMEOUT},
                credential_provider=container_credentials(environment),
                config={"endpoint": endpoint} if endpoint else {},
            )
        except (BaseError, ValueError) as error:
            raise ConfigurationError(f"the object store cannot be addressed: {_first_line(error)}") from error

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """See `ObjectReader.get`; a reader without a bucket raises ConfigurationError."""
        if self._store is None:
            raise ConfigurationError("no bucket: set DIGITS_BUCKET to the bucket that holds the models")
        try:
            result = self._store.get(key, options={"if_none_match": etag} if etag else None)
            return StoredObject(bytes(result.bytes()), result.meta["e_tag"] or "")
        except NotModifiedError:
            return None
        except FileNotFoundError as error:
            raise ObjectNotFoundError(key) from error
        except (BaseError, OSError) as error:
            raise StoreError(f"the object store did not give {key}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class CachedObject[T]:
    """One object of the store, parsed, and re-checked at most every so many seconds.

    The first caller reads it while the others wait. Later re-checks are done by one caller, in its
    own request, while the others go on with what there is. Where a re-check fails, the last good
    value stays.
    """

    def __init__(
        self,
        reader: ObjectReader,
        key: str,
        *,
        parse: Callable[[bytes], T],
        missing: Callable[[], DigitsError],
        ttl_seconds: float,
        keep_when_missing: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind a key of the store to what its bytes mean.

        Args:
            parse: makes the value; what it raises counts as a failed read.
            missing: makes the error of an absent key.
            keep_when_missing: whether a key that is gone at a re-check is a failed read, which
                leaves the last good value standing, or an answer, which ends it.
        """
        self._reader = reader
        self._key = key
        self._parse = parse
        self._missing = missing
        self._ttl_seconds = ttl_seconds
        self._keep_when_missing = keep_when_missing
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._etag: str | None = None
        self._failure: DigitsError | None = None
        self._next_check = float("-inf")

    def get(self) -> T:
        """Return the value, read or re-checked where it is due.

        Raises:
            DigitsError: there is no good value; what `missing` makes, a StoreError, or what
                `parse` raised.
        """
        if self._clock() >= self._next_check and self._lock.acquire(blocking=self._value is None):
            try:
                if self._clock() >= self._next_check:
                    self._refresh()
            finally:
                self._lock.release()
        value, failure = self._value, self._failure
        if value is not None:
            return value
        assert failure is not None
        raise failure.with_traceback(None)

    def _refresh(self) -> None:
        try:
            stored = self._reader.get(self._key, self._etag)
            if stored is not None:
                self._value, self._etag = self._parse(stored.data), stored.etag
            self._failure = None
        except ObjectNotFoundError:
            self._failure = self._missing()
            if not self._keep_when_missing:
                self._value = self._etag = None
        except DigitsError as error:
            self._failure = error
        if self._failure is not None:
            logger.warning("%s: %s", self._key, self._failure)
        wait_seconds = RETRY_SECONDS if self._value is None else self._ttl_seconds
        self._next_check = self._clock() + wait_seconds
