"""What the state machine has done: it begins a run of many objects, reads some of them, and puts all together.

Each task may be tried again, and does nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digits.errors import ImageError
from digits.model.manifest import first_problem
from digits.registry.bucket import Bucket
from digits.registry.layout import BATCH
from functions.batch import results
from functions.batch.answering import Reading, encoded
from functions.batch.contents import MOST_FILE_BYTES
from functions.batch.errors import SourceError
from functions.batch.labels import folder_label
from functions.batch.lists import Entry, Fetch, key_items, manifest
from functions.batch.models import Models
from functions.batch.orders import Order, Table, key_of
from functions.batch.results import Document
from functions.batch.runs import Begun, Place, Run, line_of, run_id
from functions.batch.sources import ObjectFile


class _Task(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Begin(_Task):
    """Begin a run; an execution of the state machine is one."""

    execution: str
    order: Order


class ItemReference(_Task):
    """A row of the table of items."""

    index: str = Field(pattern=r"^[0-9]+$")
    key: str
    label: str = ""


class ReadItems(_Task):
    """Read some of a run's objects, which follow each other."""

    run: str
    items: list[ItemReference] = Field(min_length=1)


class Merge(_Task):
    """Put a run's lines together, as the result of a name."""

    run: str
    name: str


def begin(task: Begin, bucket: Bucket, models: Models) -> Document:
    """Write the table of what is to be read, and return where it is, and how the state machine goes through it."""
    order, key = task.order, key_of(task.order)
    run = Run(bucket, run_id(task.execution))
    begun = run.begun() or _to_begin(order, key, bucket, models)
    table = Table(order, bucket)
    bucket.delete(_items_key(run))  # of an earlier try
    bucket.upload(_items_key(run), table)
    run.begin(begun)
    return {
        "run": run.id,
        "name": begun.name,
        "bucket": bucket.name,
        "items": _items_key(run),
        "results": f"{run.folder}results",
        "count": table.count,
        "batch_size": order.batch_size,
        "concurrency": order.concurrency,
        "tolerated_failure_percentage": order.tolerated_failure_percentage,
    }


def _to_begin(order: Order, key: str, bucket: Bucket, models: Models) -> Begun:
    if results.finished(bucket, order.name):
        raise SourceError(f"there is a result {order.name!r} already: choose another name, or move it away")
    return results.to_begin(bucket, order.name, Reading(order.kind, order.length), models.answering, key=key)


def _items_key(run: Run) -> str:
    return f"{run.folder}items.csv"


def read_items(task: ReadItems, bucket: Bucket, models: Models) -> Document:
    """Read objects that follow each other, keep their lines, and return how many there are."""
    run = Run(bucket, task.run)
    begun = _begun(run)
    answering, _, _ = models.answering(begun.version, begun.reading)
    entries = [(each.key, each.label or None) for each in task.items]
    first = int(task.items[0].index)
    lines = [
        line_of(item.name, item.page, item.content.sha256, item.label, answer)
        for item, answer in answering.answers(key_items(entries, fetch_of(bucket), first))
    ]
    place = Place(first=first, stop=first + len(entries), after=first + len(entries))
    run.write_lines(b"".join(lines), place, again=True)
    return {"first": first, "lines": len(lines)}


def merge(task: Merge, bucket: Bucket) -> Document:
    """Put a run's lines together, and return the summary."""
    run = Run(bucket, task.run)
    before = results.finished(bucket, task.name)
    if before and before["run"] == task.run:
        run.clear()
        return before
    begun = _begun(run)
    spent = results.Spent(time.time() - begun.begun_at.timestamp(), run.part_count())
    return results.finish(run, begun, _whole(run, bucket), spent)


def _whole(run: Run, bucket: Bucket) -> Iterator[bytes]:
    """Return all lines; one that says so stands for an object whose batch failed."""
    size, etag = bucket.state(_items_key(run))
    entries = manifest(ObjectFile.opened(bucket, _items_key(run), size, etag))
    at = 0
    for place, lines in run.parts():
        yield from map(_lost, islice(entries, place.first - at))
        yield from lines.splitlines()
        at = place.first + sum(1 for _ in islice(entries, place.stop - place.first))
    yield from map(_lost, entries)


def _lost(entry: Entry) -> bytes:
    key, label = entry
    problem = results.problem_of(ImageError("its batch failed, and it was not read"))
    return line_of(key, None, None, label or folder_label(key), encoded({"problem": problem})).rstrip(b"\n")


def _begun(run: Run) -> Begun:
    begun = run.begun()
    if begun is None:
        raise SourceError(f"there is no run {run.id}, or it has ended")
    return begun


def fetch_of(bucket: Bucket) -> Fetch:
    """Return what gets the objects that manifests name, of those that the function may read."""

    def fetch(key: str) -> bytes:
        if not key.startswith(BATCH):
            raise ImageError(f"the object is not under {BATCH}, where the function may read")
        return bucket.get(key, MOST_FILE_BYTES).data

    return fetch


def run_task(event: dict[str, Any], bucket: Bucket, models: Models) -> Document:
    """Do a task of the state machine.

    Raises:
        SourceError: it cannot be done, now and later.
        DigitsError: it cannot be done now.
    """
    arguments = {name: value for name, value in event.items() if name != "task"}
    try:
        match event["task"]:
            case "begin":
                return begin(Begin.model_validate(arguments), bucket, models)
            case "read":
                return read_items(ReadItems.model_validate(arguments), bucket, models)
            case "merge":
                return merge(Merge.model_validate(arguments), bucket)
            case other:
                raise SourceError(f"there is no task {other!r}")
    except ValidationError as error:
        raise SourceError(f"the task cannot be done: {first_problem(error)}") from error
