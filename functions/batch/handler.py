"""What Lambda calls: an object that was dropped into the bucket, a run to be gone on with, a task of the state machine.

An exception that leaves has Lambda try again, twice, and then put the event into the queue of failures.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache, partial
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid4

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from digits.errors import ObjectNotFoundError
from digits.registry.bucket import Bucket
from digits.registry.layout import BATCH_IN, BATCH_NEXT
from digits.registry.versions import Registry
from functions.batch import results
from functions.batch.answering import DIGITS, NUMBERS, Reading
from functions.batch.errors import ClaimedError, SourceError
from functions.batch.models import Models
from functions.batch.reading import Job, read
from functions.batch.results import Document
from functions.batch.runs import Run
from functions.batch.sources import ObjectFile, Source
from functions.batch.tasks import fetch_of, run_task

# What the log tells of a batch, of its summary.
_TOLD = ("source", "run", "model", "pictures", "outcomes", "verdicts")


def handler(event: Any, context: Any) -> Document:
    """Do what an event asks for, and return how that ended.

    Raises:
        DigitsError: it could not be done; the message is one line for a person.
    """
    logger = Logger(service="batch")
    logger.append_keys(requestId=context.aws_request_id)
    started = time.monotonic()
    try:
        done = _do(event, context)
    except ClaimedError as error:
        logger.info("nothing to do: %s", error)
        return {"outcome": "claimed"}
    except Exception as error:
        logger.error("the batch failed: %s", error)  # noqa: TRY400  # Lambda logs the trace of what leaves
        _count("failed")
        raise
    if "outcomes" in done:
        seconds = round(time.monotonic() - started, 3)
        logger.info("a batch is read", extra={name: done[name] for name in _TOLD} | {"duration_s": seconds})
        _count("read", done["outcomes"])
    return done


def _do(event: Any, context: Any) -> Document:
    bucket, models = _container()
    if isinstance(event, dict) and "task" in event:
        return run_task(event, bucket, models)
    return _read_object(_key_of(event, bucket), bucket, models, context)


def _count(outcome: str, pictures: dict[str, int] | None = None) -> None:
    """Count a batch that ended, and its pictures by what became of them."""
    metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or "LambdaDigits")
    metrics.add_dimension("outcome", outcome)
    metrics.add_metric("batches", MetricUnit.Count, 1)
    for name, count in (pictures or {}).items():
        metrics.add_metric(f"batch_{name.replace(' ', '_')}", MetricUnit.Count, count)
    metrics.flush_metrics()


@cache
def _container() -> tuple[Bucket, Models]:
    """Made in the first invocation, once per container."""
    bucket = Bucket.from_environment(os.environ)
    return bucket, Models(Registry(bucket).load)


def _key_of(event: Any, bucket: Bucket) -> str:
    """Return the key that an event of EventBridge tells, which is not encoded."""
    try:
        name, key = event["detail"]["bucket"]["name"], event["detail"]["object"]["key"]
    except (KeyError, TypeError):
        raise SourceError("the event is neither that of an object that was created, nor a task") from None
    if name != bucket.name:
        raise SourceError(f"the event is of the bucket {name!r}, and this function reads {bucket.name!r}")
    return str(key)


def _read_object(key: str, bucket: Bucket, models: Models, context: Any) -> Document:
    run = Run(bucket, key.split("/")[2]) if key.startswith(BATCH_NEXT) else None
    begun = run and run.begun()
    if run and not begun:
        return {"outcome": "ended before"}
    source = begun.key if begun else key
    if not source.startswith(BATCH_IN) or source.endswith("/"):
        return {"outcome": "ignored"}
    try:
        size, etag = bucket.state(source)
    except ObjectNotFoundError:
        error = SourceError(f"there is no object {source}: it was deleted before it was read")
        raise (results.fail(run, begun, error, results.Spent(0, 0)) if run and begun else error) from None
    name = source.removeprefix(BATCH_IN)
    job = Job(
        store=bucket,
        name=name,
        key=source,
        etag=etag,
        size_bytes=size,
        reading=Reading(NUMBERS if name.startswith(f"{NUMBERS}/") else DIGITS),
        open=partial(_open, bucket, source, size, etag),
        answering=models.answering,
        holder=context.aws_request_id,
        left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    summary = read(job)
    if summary is None:
        return _have_it_gone_on(job, bucket)
    return summary


def _open(bucket: Bucket, key: str, size: int, etag: str) -> Source:
    return Source(PurePosixPath(key).name, ObjectFile.opened(bucket, key, size, etag), size, fetch_of(bucket))


def _have_it_gone_on(job: Job, bucket: Bucket) -> Document:
    """Write the object whose creation is the event of the next invocation."""
    place = job.run.place()
    key = f"{BATCH_NEXT}{job.run.id}/{uuid4().hex}"  # its own: a second event of one run does no harm, none would
    bucket.create(key, json.dumps({"key": job.key, "pictures": place.stop}).encode())
    return {"outcome": "goes on", "pictures": place.stop, "next": key}
