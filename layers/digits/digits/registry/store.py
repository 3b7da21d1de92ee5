"""Reading the object store from the request path: one conditional GET.

The reader needs nothing else, so it uses obstore, whose client is ready in a tenth of the time that
boto3 takes to import. Writers use boto3 (`digits.registry.bucket`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from obstore.exceptions import BaseError, NotModifiedError
from obstore.store import S3Store

from digits.errors import ConfigurationError, ObjectNotFoundError, StoreError
from digits.moments import Moment, now
from digits.registry.credentials import container_credentials
from digits.registry.endpoint import check_endpoint

CONNECT_TIMEOUT = timedelta(seconds=1)
TIMEOUT = timedelta(seconds=2)
# No read is waited for longer, not even if the store first fails and then hangs. A cold start has two of them
# after each other: tokens and pointer, then manifest and networks.
LONGEST_SECONDS = 2.25
# What was asked for ahead is not used if it is older, as in a container that was frozen meanwhile.
FRESH_SECONDS = 5.0
_THREADS = 16  # more than there are objects to read: a read that nobody waits for any more still has one
# Nothing that is read here is nearly as large; a larger object would only fill the memory.
LARGEST_OBJECT_BYTES = 16 * 2**20


@dataclass(frozen=True)
class StoredObject:
    """The bytes of an object, and the ETag of this state of it."""

    data: bytes
    etag: str


class ObjectReader(Protocol):
    """What the request path needs from an object store."""

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """Return the object, or None if it still is in the state that `etag` names.

        Raises:
            ObjectNotFoundError: there is no such key.
            StoreError: the store did not answer, or refused.
        """

    def begin(self, key: str, etag: str | None = None) -> None:
        """Ask for an object ahead: `get` with the same arguments, if it comes soon, waits for this answer."""

    def reconnect(self) -> None:
        """Replace connections and credentials, because those in a restored snapshot are stale."""


def read(reader: ObjectReader, key: str) -> bytes:
    """Return the bytes of an object; raises as `ObjectReader.get` does."""
    stored = reader.get(key)
    assert stored is not None
    return stored.data


@dataclass(frozen=True)
class _Begun:
    """A read that is under way."""

    etag: str | None
    at: Moment
    answer: Future[StoredObject | None]


class S3Reader:
    """An `ObjectReader` over S3 or a store that speaks its protocol."""

    def __init__(self, bucket: str, region: str, endpoint: str | None, environment: Mapping[str, str]) -> None:
        """Name the bucket; nothing is sent before the first `get`, which also reports invalid settings.

        Args:
            endpoint: URL of an S3-compatible store; None is AWS.
            environment: where Lambda puts container credentials. Keys in the process's environment
                are found by the client itself.
        """
        self._problem = _configuration_problem(bucket, endpoint)
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._bucket, self._region, self._environment = bucket, region, environment
        # Always given, because the client would otherwise take an empty AWS_ENDPOINT_URL_S3 for an address.
        self._endpoint = endpoint or f"https://s3.{region}.{domain}"
        self._store = None if self._problem else self._connect()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        self._begun: dict[str, _Begun] = {}
        self._begun_lock = threading.Lock()

    def reconnect(self) -> None:
        """See `ObjectReader.reconnect`."""
        with self._begun_lock:
            self._begun.clear()
        self._store = None if self._problem else self._connect()

    def _connect(self) -> S3Store:
        return S3Store(
            self._bucket,
            region=self._region,
            config={"aws_endpoint_url_s3": self._endpoint},
            client_options={
                "connect_timeout": CONNECT_TIMEOUT,
                "timeout": TIMEOUT,
                "allow_http": True,
                # A connection that died while the container was frozen would go on being used until it times out.
                "pool_max_idle_per_host": "0",
            },
            retry_config={"max_retries": 1, "retry_timeout": TIMEOUT},
            credential_provider=container_credentials(self._environment),
        )

    def begin(self, key: str, etag: str | None = None) -> None:
        """See `ObjectReader.begin`."""
        with self._begun_lock:
            if _asked_for(self._begun.get(key), etag) is None:
                # What nobody has come for is forgotten.
                fresh = {each: read for each, read in self._begun.items() if read.at.until(now()) <= FRESH_SECONDS}
                self._begun = {**fresh, key: self._ask(key, etag)}

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """See `ObjectReader.get`; raises ConfigurationError too, if bucket or endpoint are invalid."""
        with self._begun_lock:
            ahead = self._begun.pop(key, None)
        begun = _asked_for(ahead, etag) or self._ask(key, etag)
        if ahead is not None and ahead.at.until(begun.at) < LONGEST_SECONDS:
            begun = replace(begun, at=ahead.at)  # a second try has what is left of the first one's time
        try:
            return begun.answer.result(max(0.0, LONGEST_SECONDS - begun.at.until(now())))
        except TimeoutError as error:
            raise StoreError(f"the object store did not give {key} within {LONGEST_SECONDS} s") from error

    def _ask(self, key: str, etag: str | None) -> _Begun:
        return _Begun(etag, now(), self._threads.submit(self._read, key, etag))

    def _read(self, key: str, etag: str | None) -> StoredObject | None:
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


def _asked_for(begun: _Begun | None, etag: str | None) -> _Begun | None:
    """Return a read that was begun if it is the one that is wanted, fresh, and has not failed or hung."""
    if begun is None or begun.etag != etag:
        return None
    done, age_seconds = begun.answer.done(), begun.at.until(now())
    if age_seconds > (FRESH_SECONDS if done else LONGEST_SECONDS) or (done and begun.answer.exception()):
        return None
    return begun


def _configuration_problem(bucket: str, endpoint: str | None) -> str | None:
    if not bucket:
        return "no bucket: set DIGITS_BUCKET to the bucket that holds the models"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        return f"DIGITS_BUCKET is {bucket!r}, which is no name of a bucket"
    try:
        check_endpoint(endpoint)
    except ConfigurationError as error:
        return str(error)
    return None
