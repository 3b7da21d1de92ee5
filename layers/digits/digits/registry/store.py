"""Reading the object store from the request path: one conditional GET, and a cache on top of it.

The reader needs nothing else, so it uses obstore, whose client is ready in a tenth of the time that
boto3 takes to import. Writers use boto3 (`digits.bucket`).
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from obstore.exceptions import BaseError, NotModifiedError
from obstore.store import S3Store

from digits.errors import ConfigurationError, DigitsError, ObjectNotFoundError, StoreError
from digits.registry.credentials import container_credentials

# A read is over after TIMEOUT, or twice that where the store fails first and hangs then. A re-check that
# finds a new model reads three objects, in the one request that does it.
CONNECT_TIMEOUT = timedelta(seconds=1)
TIMEOUT = timedelta(seconds=2)
# Nothing that is read here is anywhere near; what is larger would only fill the memory.
LARGEST_OBJECT_BYTES = 16 * 2**20
# After a failed read with nothing to fall back on, callers get the same failure for this long.
RETRY_SECONDS = 1.0
# Further failures in a row double the wait, up to so many times.
LONGEST_BACKOFF = 8

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

    def reconnect(self) -> None:
        """Leave connections and credentials behind, as those in a restored snapshot are stale."""


def read(reader: ObjectReader, key: str) -> bytes:
    """Return the bytes of an object, whatever its state; raises as `ObjectReader.get` does."""
    stored = reader.get(key)
    assert stored is not None
    return stored.data


class S3Reader:
    """An `ObjectReader` over S3 or a store that speaks its protocol."""

    def __init__(self, bucket: str, region: str, endpoint: str | None, environment: Mapping[str, str]) -> None:
        """Name the bucket; nothing is sent before the first `get`, which also reports what is wrong here.

        Args:
            endpoint: URL of an S3-compatible store; None is AWS.
            environment: where Lambda puts container credentials. Keys in the process's environment
                are found by the client itself.
        """
        self._problem = _configuration_problem(bucket, endpoint)
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._bucket, self._region, self._environment = bucket, region, environment
        # Always said, as the client would otherwise take an empty AWS_ENDPOINT_URL_S3 for an address.
        self._endpoint = endpoint or f"https://s3.{region}.{domain}"
        self._store = None if self._problem else self._connect()

    def reconnect(self) -> None:
        """See `ObjectReader.reconnect`."""
        self._store = None if self._problem else self._connect()

    def _connect(self) -> S3Store:
        return S3Store(
            self._bucket,
            region=self._region,
            config={"aws_endpoint_url_s3": self._endpoint},
            client_options={"connect_timeout": CONNECT_TIMEOUT, "timeout": TIMEOUT, "allow_http": True},
            retry_config={"max_retries": 1, "retry_timeout": TIMEOUT},
            credential_provider=container_credentials(self._environment),
        )

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """See `ObjectReader.get`; raises ConfigurationError too, where bucket or endpoint make no sense."""
        if self._store is None:
            raise ConfigurationError(self._problem)
        try:
            result = self._store.get(key, options={"if_none_match": etag} if etag else None)
            size_bytes = result.meta["size"]
            if size_bytes > LARGEST_OBJECT_BYTES:
                raise StoreError(f"{key} has {size_bytes:,} bytes, and no more than {LARGEST_OBJECT_BYTES:,} are read")
            return StoredObject(bytes(result.bytes()), result.meta["e_tag"] or "")
        except NotModifiedError:
            return None
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise StoreError("there is no such bucket") from error
            raise ObjectNotFoundError(key) from error
        except (BaseError, OSError) as error:
            raise StoreError(f"the object store did not give {key}: {str(error).partition('\n')[0]}") from error


def _configuration_problem(bucket: str, endpoint: str | None) -> str | None:
    if not bucket:
        return "no bucket: set DIGITS_BUCKET to the bucket that holds the models"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        return f"DIGITS_BUCKET is {bucket!r}, which is no name of a bucket"
    if endpoint and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/?", endpoint):
        return f"AWS_ENDPOINT_URL_S3 is {endpoint!r}, which is no http or https address"
    return None


@dataclass(frozen=True)
class _State[T]:
    """What a cache knows: the last good value and the tag of its bytes, and why the last read failed."""

    value: T | None = None
    etag: str | None = None
    failure: DigitsError | None = None


class CachedObject[T]:
    """One object of the store, parsed, and re-checked at most every so many seconds.

    The first caller reads it while the others wait. Later re-checks are done by one caller, in its
    own request, while the others go on with what there is. Where a re-check fails, the last good
    value stays, the failure is logged and counted, and the next re-check waits longer.

    Attributes:
        failures: failed reads in a row, up to now.
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
        self._state: _State[T] = _State()
        self._next_check = float("-inf")
        self.failures = 0

    def expire(self) -> None:
        """Let the next caller ask the store, whenever it was asked last."""
        self._next_check = float("-inf")

    @property
    def value(self) -> T | None:
        """The value as it is, without asking the store."""
        return self._state.value

    def get(self) -> T:
        """Return the value, read or re-checked where it is due.

        Raises:
            DigitsError: there is no good value; what `missing` makes, a StoreError, or what
                `parse` raised.
        """
        if self._clock() >= self._next_check and self._lock.acquire(blocking=self.value is None):
            try:
                if self._clock() >= self._next_check:
                    self._refresh()
            finally:
                self._lock.release()
        state = self._state
        if state.value is not None:
            return state.value
        assert state.failure is not None
        raise state.failure.with_traceback(None)

    def _refresh(self) -> None:
        try:
            self._state = self._read()
        except ObjectNotFoundError:
            kept = self._state if self._keep_when_missing else _State[T]()
            self._state = replace(kept, failure=self._missing())
        except DigitsError as error:
            # Without what it came from, which would keep the refused model in memory.
            error.__cause__ = error.__context__ = None
            self._state = replace(self._state, failure=error.with_traceback(None))
        finally:
            self.failures = self.failures + 1 if self._state.failure else 0
            self._next_check = self._clock() + self._wait_seconds()
        if self._state.failure is not None:
            kept_or_not = "nothing to fall back on" if self.value is None else "the last good one stays"
            logger.warning("%s: %s (failure %d, %s)", self._key, self._state.failure, self.failures, kept_or_not)

    def _wait_seconds(self) -> float:
        wait_seconds = RETRY_SECONDS if self.value is None else self._ttl_seconds
        return wait_seconds * min(2.0 ** min(max(0, self.failures - 1), LONGEST_BACKOFF), LONGEST_BACKOFF)

    def _read(self) -> _State[T]:
        stored = self._reader.get(self._key, self._state.etag)
        if stored is None:
            return replace(self._state, failure=None)
        return _State(self._parse(stored.data), stored.etag)
