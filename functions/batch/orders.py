"""What the state machine is started with, as the table of what it reads."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from pydantic import BaseModel, ConfigDict, Field

from digits.errors import ObjectNotFoundError
from digits.registry.bucket import Bucket
from digits.registry.layout import BATCH, BATCH_NEXT, BATCH_OUT, BATCH_WORK
from functions.batch.answering import DIGITS, NUMBERS
from functions.batch.archives import is_passed_over, is_table
from functions.batch.contents import MOST_FILE_BYTES
from functions.batch.errors import SourceError
from functions.batch.labels import Labels, read_labels
from functions.batch.lists import Entry, manifest
from functions.batch.sources import ObjectFile

# What the first task lists and the last one puts together, batch by batch, within 15 minutes each.
MOST_KEYS = 2_000_000
MOST_BATCHES = 10_000
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,99}"
_COLUMNS = ("index", "key", "label")
_OWN = (BATCH_OUT, BATCH_NEXT, BATCH_WORK)


class Order(BaseModel):
    """What the state machine is started with.

    Attributes:
        name: of the result.
        prefix: of the objects to read; or `manifest`, the key of a CSV that names them.
        kind, length: see `functions.batch.answering.Reading`.
        batch_size: how many objects an invocation reads.
        concurrency: how many invocations there are at the same time.
        tolerated_failure_percentage: of the batches; what they hold is then not read, and the lines say so.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    prefix: str | None = None
    manifest: str | None = None
    kind: str = Field(default=DIGITS, pattern=f"^({DIGITS}|{NUMBERS})$")
    length: str | None = None
    batch_size: int = Field(default=200, ge=1, le=1_000)
    concurrency: int = Field(default=50, ge=1, le=1_000)
    tolerated_failure_percentage: float = Field(default=1, ge=0, le=100, strict=False)


def key_of(order: Order) -> str:
    """Return what an order has read: a prefix, or the key of a manifest.

    Raises:
        SourceError: it has read nothing, or what it may not.
    """
    if order.length is not None and order.kind != NUMBERS:
        raise SourceError(f"a 'length' is that of numbers: it goes with a 'kind' of {NUMBERS!r}")
    if (order.prefix is None) == (order.manifest is None):
        raise SourceError("give either a 'prefix' or a 'manifest'")
    key = order.prefix or order.manifest or ""
    if not key.startswith(BATCH):
        raise SourceError(f"{key!r} is not under {BATCH}, where the function may read")
    if any(key.startswith(own) or own.startswith(key) for own in _OWN):
        raise SourceError(f"{key} holds what the function writes itself: give a prefix of pictures alone")
    return key


class Table:
    """The table of what an order has read, written row by row; raises SourceError where no run can read that.

    Attributes:
        count: how many rows there have been.
    """

    def __init__(self, order: Order, bucket: Bucket) -> None:
        """List what lies under the prefix, or read the manifest, as soon as rows are asked for."""
        self._key, self._most = key_of(order), min(MOST_KEYS, MOST_BATCHES * order.batch_size)
        self._entries = _listed(bucket, self._key) if order.prefix else _named(bucket, self._key)
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        yield _row(_COLUMNS)
        for key, label in self._entries:
            yield _row((str(self.count), key, label or ""))
            self.count += 1
            if self.count > self._most:
                raise SourceError(
                    f"{self._key} holds more than the {self._most:,} objects that a run of this batch_size reads"
                )
        if not self.count:
            raise SourceError(f"{self._key} holds no picture")


def _row(cells: Iterable[str]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _listed(bucket: Bucket, prefix: str) -> Iterator[Entry]:
    labels: Labels = {}
    for key in bucket.keys(prefix):
        if is_table(key):
            labels.update(read_labels(bucket.get(key, MOST_FILE_BYTES).data, key))
    for key in bucket.keys(prefix):
        if not (key.endswith("/") or is_passed_over(key)):
            yield key, labels.get(key)


def _named(bucket: Bucket, key: str) -> Iterator[Entry]:
    try:
        size, etag = bucket.state(key)
    except ObjectNotFoundError:
        raise SourceError(f"there is no object {key}") from None
    return manifest(ObjectFile.opened(bucket, key, size, etag))
