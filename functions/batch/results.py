"""All lines of a run put together: one ordered table, and what it adds up to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from digits.errors import ConflictError, DigitsError
from functions.batch.answering import Answers, Reading
from functions.batch.errors import BatchFailedError
from functions.batch.runs import Begun, Run, Store, lines_key, ranges_of, stored_at, summary_key
from functions.batch.summary import Summary
from functions.predict_api import problems

DONE, FAILED = "done", "failed"

type Document = dict[str, Any]


@dataclass(frozen=True)
class Spent:
    """What a run has taken."""

    seconds: float
    invocations: int


class _Table:
    """Lines that get their indices, and are counted, as they go by."""

    def __init__(self, lines: Iterable[bytes], summary: Summary) -> None:
        self._lines, self._summary, self._digest = lines, summary, hashlib.sha256()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for index, line in enumerate(self._lines):
            whole = b'{"index":%d,%b\n' % (index, line[1:])
            self._summary.add(json.loads(whole))
            self._digest.update(whole)
            self.size_bytes += len(whole)
            yield whole

    @property
    def sha256(self) -> str:
        """Digest of what has gone by."""
        return self._digest.hexdigest()


def finished(store: Store, name: str) -> Document | None:
    """Return the summary of a result that there is; None if there is none."""
    stored = stored_at(store, summary_key(name))
    if stored is None:
        return None
    try:
        document = json.loads(stored.data)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "source" not in document:
        raise ConflictError(f"{summary_key(name)} is no summary that this release can read: move it away")
    return document


def check_free(store: Store, name: str) -> None:
    """Make sure that no lines lie where those of a result will.

    Raises:
        ConflictError: some do.
    """
    if _has_lines(store, name):
        raise ConflictError(f"{lines_key(name)} exists already, and is of no run: move it away")


def check_there(store: Store, name: str) -> None:
    """Make sure that the lines of a result are where its summary says.

    Raises:
        ConflictError: they are not.
    """
    if not _has_lines(store, name):
        raise ConflictError(f"{lines_key(name)} is gone: delete {summary_key(name)} to have it read again")


def _has_lines(store: Store, name: str) -> bool:
    return lines_key(name) in store.keys(lines_key(name))


def to_begin(
    store: Store, name: str, reading: Reading, answering: Answers, *, key: str, etag: str = "", size_bytes: int = 0
) -> Begun:
    """Return how a run begins now, with the model that `answering` takes for it; see `Begun`.

    Raises:
        ConflictError: lines lie where its own will.
        DigitsError: see `answering`.
    """
    check_free(store, name)
    _, version, accuracy = answering(None, reading)
    return Begun(
        name=name,
        key=key,
        etag=etag,
        size_bytes=size_bytes,
        kind=reading.kind,
        length=reading.length,
        version=version,
        accuracy=accuracy,
        begun_at=datetime.now(UTC),
    )


def finish(run: Run, begun: Begun, lines: Iterable[bytes], spent: Spent) -> Document:
    """Write a result, the summary last, and delete what the run kept.

    Args:
        lines: in order, without their indices.

    Raises:
        ConflictError: there is another result of this name.
    """
    summary = Summary(run.labels())
    table = _Table(lines, summary)
    key = lines_key(begun.name)
    try:
        run.store.upload(key, table)
    except ConflictError:
        # An earlier try may have got that far; it had the same lines.
        there = hashlib.sha256()
        for chunk in ranges_of(run.store, key):
            there.update(chunk)
        if there.hexdigest() != table.sha256:
            raise ConflictError(f"{key} exists already: move it away, or choose another name") from None
    document = _document(DONE, run, begun, summary, spent)
    document["lines"] = {"key": key, "size_bytes": table.size_bytes, "sha256": table.sha256}
    _write_summary(run.store, begun, document)
    run.clear()
    return document


def fail(run: Run, begun: Begun, error: DigitsError, spent: Spent) -> BatchFailedError:
    """Record that a run has failed for good, with what it has read until then, and return the error to raise."""
    summary = Summary(run.labels())
    for _ in _Table(run.lines(), summary):
        pass
    document = _document(FAILED, run, begun, summary, spent)
    document["problem"] = problem_of(error)
    _write_summary(run.store, begun, document)
    run.clear()
    return BatchFailedError(f"{begun.key}: {error}")


def problem_of(error: DigitsError) -> Document:
    """Return the problem document of what is wrong."""
    described = problems.describe(error, "")
    del described["request_id"]
    return {**described, "detail": str(error)}


def _document(outcome: str, run: Run, begun: Begun, summary: Summary, spent: Spent) -> Document:
    return {
        "outcome": outcome,
        "run": run.id,
        "source": {"key": begun.key, "etag": begun.etag, "size_bytes": begun.size_bytes},
        "read": {"kind": begun.kind, "length": begun.length},
        "model": {"version": begun.version, "accuracy": begun.accuracy},
        **summary.told(),
        "begun_at": begun.begun_at.isoformat(timespec="seconds"),
        "seconds": round(spent.seconds, 3),
        "pictures_per_second": round(summary.pictures / spent.seconds, 1) if spent.seconds else None,
        "invocations": spent.invocations,
    }


def _write_summary(store: Store, begun: Begun, document: Document) -> None:
    """Write a summary; that of a run that failed may lie there."""
    key, data = summary_key(begun.name), json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    stored = stored_at(store, key)
    if stored is None:
        store.create(key, data)
    elif json.loads(stored.data)["outcome"] == FAILED:
        store.replace(key, data, stored.etag)
    else:
        raise ConflictError(f"{key} exists already: move it away, or choose another name")
