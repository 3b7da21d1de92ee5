"""Writes to the object store: each says what it expects to find there, and happens once or not at all."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from digits.errors import ConfigurationError, ConflictError, InputError, ObjectNotFoundError, StoreError
from digits.registry.endpoint import check_endpoint, endpoint_of
from digits.registry.store import StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_CONFIG = Config(  # type: ignore[call-arg]  # the stubs lack the last one
    connect_timeout=3,
    read_timeout=15,  # three of them end before the time that a batch keeps for its end
    retries={"mode": "standard", "max_attempts": 3},
    ignore_configured_endpoint_urls=True,  # only `endpoint_of` reads them, as for readers
)
_LOST = {"PreconditionFailed", "ConditionalRequestConflict"}
# S3's answer while it cannot tell which of two writes wins; a retry gets a clear answer.
_UNDECIDED = "ConditionalRequestConflict"
_UNDECIDED_TRIES = 4
# The metadata key under which each write carries a unique name.
_WRITE = "digits-write"
_ABSENT = {"NoSuchKey", "404"}
# Objects of no known size are written in parts, of which S3 takes none below 5 MiB but the last, and 10,000 at most.
PART_BYTES = 8 * 2**20

# The last is of an error answer that breaks off: botocore lets through what its own client says of that.
FAILURES = (BotoCoreError, ClientError, HTTPError)


def first_line(error: Exception) -> str:
    """Return the first line of an AWS client's error; the others only explain it."""
    return str(error).partition("\n")[0].rstrip(":")


class Bucket:
    """A bucket as writers see it: create, replace, never overwrite blindly."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Bucket:
        """Bind the bucket and endpoint that the environment names; raises as the constructor does."""
        return cls(environment.get("DIGITS_BUCKET", ""), endpoint=endpoint_of(environment))

    def __init__(self, name: str, client: S3Client | None = None, endpoint: str | None = None) -> None:
        """Bind a bucket; credentials and region are those that boto3 finds.

        Args:
            endpoint: address of an S3-compatible store; None is AWS.

        Raises:
            ConfigurationError: no name, an invalid endpoint, or boto3 finds no usable configuration.
        """
        if not name:
            raise ConfigurationError("no bucket: set DIGITS_BUCKET to the bucket that holds the models")
        check_endpoint(endpoint)
        self.name = name
        try:
            self._client = client or boto3.client("s3", config=_CONFIG, endpoint_url=endpoint)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(f"S3 cannot be addressed: {first_line(error)}") from error

    def get(self, key: str, most_bytes: int | None = None) -> StoredObject:
        """Return an object.

        Raises:
            ObjectNotFoundError: there is no such key.
            InputError: it is larger than is asked for, and not read.
            StoreError: the store did not answer, or refused.
        """
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key)
            if most_bytes is not None and answer["ContentLength"] > most_bytes:
                answer["Body"].close()
                raise InputError(f"the file has {answer['ContentLength']:,} bytes, where up to {most_bytes:,} are read")
            return StoredObject(answer["Body"].read(), answer["ETag"])
        except FAILURES as error:
            raise self._error(key, error) from error

    def state(self, key: str) -> tuple[int, str]:
        """Return the size of an object in bytes, and its ETag; raises as `get` does."""
        try:
            answer = self._client.head_object(Bucket=self.name, Key=key)
        except FAILURES as error:
            raise self._error(key, error) from error
        return answer["ContentLength"], answer["ETag"]

    def get_range(self, key: str, start: int, stop: int, etag: str) -> bytes:
        """Return bytes of an object, from `start` to before `stop`, at least one.

        Raises:
            ConflictError: the object is not any more in the state that `etag` names.
            ObjectNotFoundError, StoreError: as in `get`.
        """
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key, Range=f"bytes={start}-{stop - 1}", IfMatch=etag)
            return answer["Body"].read()
        except FAILURES as error:
            raise self._error(key, error) from error

    def create(self, key: str, data: bytes) -> str:
        """Write an object that must not exist yet, and return its ETag.

        Raises:
            ConflictError: it exists.
            StoreError: the store did not answer, or refused.
        """
        return self._put(key, data, IfNoneMatch="*")

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write an object that must still be in the state that `etag` names, and return its new ETag.

        Raises:
            ConflictError: it is not.
            StoreError: the store did not answer, or refused.
        """
        try:
            return self._put(key, data, IfMatch=etag)
        except ObjectNotFoundError as error:
            raise ConflictError(f"{key} was deleted by somebody else meanwhile") from error

    def _put(self, key: str, data: bytes, **condition: Any) -> str:
        """Write with a unique name in the metadata, which identifies a write whose answer got lost."""
        metadata = {_WRITE: uuid.uuid4().hex}
        for tries_left in reversed(range(_UNDECIDED_TRIES)):
            try:
                return self._client.put_object(Bucket=self.name, Key=key, Body=data, Metadata=metadata, **condition)[
                    "ETag"
                ]
            except FAILURES as error:
                failure = self._error(key, error)
                if tries_left and _is_undecided(error):
                    time.sleep(0.1)
                    continue
                etag = self._etag_of_write(key, metadata) if _may_have_written(error) else None
                if etag is None:
                    raise failure from error
                return etag
        raise AssertionError("unreachable")

    def _etag_of_write(self, key: str, metadata: dict[str, str]) -> str | None:
        """Return the object's ETag if this very write made it, at an earlier try of the client; None otherwise."""
        try:
            stored = self._client.head_object(Bucket=self.name, Key=key)
        except FAILURES as error:
            if isinstance(self._error(key, error), ObjectNotFoundError):
                return None
            raise StoreError(f"{key} may have been written, or not: look before trying again") from error
        return stored["ETag"] if stored["Metadata"].get(_WRITE) == metadata[_WRITE] else None

    def upload(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write an object of any size that must not exist yet; it is there as a whole or not at all.

        Raises:
            ConflictError: it exists.
            StoreError: the store did not answer, or refused.
        """
        parts = _in_parts(chunks)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            self.create(key, first)
            return
        try:
            upload_id = self._client.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"]
        except FAILURES as error:
            raise self._error(key, error) from error
        try:
            self._upload_parts(key, upload_id, chain((first, second), parts))
        except BaseException:
            with suppress(*FAILURES):  # what is left is deleted by the bucket's lifecycle
                self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
            raise

    def _upload_parts(self, key: str, upload_id: str, parts: Iterable[bytes]) -> None:
        sent: list[CompletedPartTypeDef] = []
        try:
            for number, part in enumerate(parts, 1):
                answer = self._client.upload_part(
                    Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, Body=part
                )
                sent.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": sent}, IfNoneMatch="*"
            )
        except FAILURES as error:
            raise self._error(key, error) from error

    def delete(self, key: str) -> None:
        """Delete an object; it is no error if it does not exist.

        Raises:
            StoreError: the store did not answer, or refused.
        """
        try:
            self._client.delete_object(Bucket=self.name, Key=key)
        except FAILURES as error:
            raise self._error(key, error) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Return all keys under a prefix, in order; raises as `entries` does."""
        return (key for key, _ in self.entries(prefix))

    def entries(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Return all keys under a prefix, in order, and when each was last written.

        Raises:
            StoreError: the store did not answer, or refused.
        """
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield entry["Key"], entry["LastModified"]
        except FAILURES as error:
            raise self._error(prefix, error) from error

    def _error(self, key: str, error: Exception) -> Exception:
        if not isinstance(error, ClientError):
            return StoreError(f"the object store did not answer for {key}: {first_line(error)}")
        code = error.response.get("Error", {}).get("Code", "")
        if code in _ABSENT:
            return ObjectNotFoundError(key)
        if code in _LOST:
            return ConflictError(f"{key} was written by somebody else meanwhile")
        if code == "NoSuchBucket":
            return ConfigurationError(f"there is no bucket {self.name!r}")
        return StoreError(f"the object store refused {key}: {code or error}")


def _in_parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    part = bytearray()
    for chunk in chunks:
        part += chunk
        if len(part) >= PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _may_have_written(error: Exception) -> bool:
    """Return whether the object may have been written despite the error: a lost race, or no clear answer."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response.get("Error", {}).get("Code") in _LOST or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _is_undecided(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == _UNDECIDED
