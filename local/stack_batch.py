"""A batch on a deployed stack: what is here is uploaded, read there, and its result brought back."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from tqdm import tqdm

from digits.errors import ConfigurationError, ConflictError, NoModelError, OperationError
from digits.registry.bucket import Bucket, first_line
from digits.registry.layout import BATCH, BATCH_IN, BATCH_OUT
from digits.registry.versions import Registry
from functions.batch.answering import NUMBERS, Reading
from functions.batch.archives import is_passed_over, is_table
from functions.batch.results import FAILED, Document, finished
from functions.batch.runs import CHUNK_BYTES, lines_key, ranges_of, summary_key
from local.batch_report import show
from local.deploy import stack_output

SCANS = f"{BATCH}scans/"
MOST_NAME_CHARACTERS = 100
_POLL_SECONDS = 3.0

type Wait = Callable[[float], None]


def run(stack: str, given: str, out: Path, reading: Reading, wait: Wait = time.sleep) -> Document:
    """Have a stack read a file, a folder, or what lies in its bucket under a prefix or is named by a manifest there.

    Args:
        given: a path, or a prefix (`batch/scans/march/`) or key (`batch/manifests/march.csv`) of the bucket.

    Raises:
        DigitsError: it cannot be done, or failed there.
    """
    bucket = Bucket.from_environment({**os.environ, "DIGITS_BUCKET": stack_output(stack, "BucketName")})
    if Registry(bucket).live() is None:
        raise NoModelError(f"the stack {stack!r} has no model yet: publish one first")
    path = Path(given)
    if path.is_file():
        name = _drop(bucket, path, reading)
        summary = _awaited(bucket, name, wait)
    else:
        name, summary = _execute(stack_output(stack, "BatchStateMachineArn"), given, bucket, reading, wait)
    _bring(bucket, name, out)
    show(summary, out / f"{name}.jsonl", out, name)
    return summary


def _drop(bucket: Bucket, path: Path, reading: Reading) -> str:
    if reading.length:
        raise ConfigurationError("a length is for folders, prefixes and manifests, which the state machine reads")
    name = f"{NUMBERS}/{path.name}" if reading.kind == NUMBERS else path.name
    key = f"{BATCH_IN}{name}"
    try:
        bucket.upload(key, _chunks(path))
    except ConflictError:
        if not _is_same(bucket, key, path):
            raise ConflictError(f"{key} is there already, with other bytes: give the file another name") from None
    print(f"dropped    {key}; if no result comes, the alarm of the stack's queue of failures tells why")
    return name


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _is_same(bucket: Bucket, key: str, path: Path) -> bool:
    size, _ = bucket.state(key)
    return size == path.stat().st_size and all(
        ours == theirs for ours, theirs in zip(_chunks(path), ranges_of(bucket, key), strict=True)
    )


def _awaited(bucket: Bucket, name: str, wait: Wait) -> Document:
    """Return the summary of what was dropped; that of an earlier object of the name may lie there."""
    _, etag = bucket.state(f"{BATCH_IN}{name}")
    while (summary := finished(bucket, name)) is None or summary["source"]["etag"] != etag:
        if summary and summary["outcome"] != FAILED:
            raise ConflictError(f"the result {name} is of another input of that name: move it away")
        wait(_POLL_SECONDS)
    if summary["outcome"] == FAILED:
        raise OperationError(f"the stack could not read {name}: {summary['problem']['detail']}")
    return summary


def _execute(machine: str, given: str, bucket: Bucket, reading: Reading, wait: Wait) -> tuple[str, Document]:
    """Have the state machine read a folder, a prefix or a manifest; return the name of the result, and its summary."""
    folder = Path(given).resolve()
    if not (folder.is_dir() or given.startswith(BATCH)):
        raise ConfigurationError(f"there is no {given} here, and the stack reads only what is under {BATCH}")
    name = _name_of(folder)
    if finished(bucket, name):
        raise ConflictError(f"there is a result {name!r} already: move away what {BATCH_OUT} has of it")
    key = _upload_folder(bucket, folder) if folder.is_dir() else given
    what = {"prefix": key} if key.endswith("/") else {"manifest": key}
    _run_machine(machine, {"name": name, **what, "kind": reading.kind, "length": reading.length}, wait)
    summary: Document = json.loads(bucket.get(summary_key(name)).data)
    return name, summary


def _name_of(path: Path) -> str:
    """Return a name that a result may have, after the last part of a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).strip("._-")[:MOST_NAME_CHARACTERS] or "batch"


def _upload_folder(bucket: Bucket, folder: Path) -> str:
    prefix = f"{SCANS}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{folder.name}/"
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in tqdm(paths, unit=" pictures", leave=False):
        name = path.relative_to(folder).as_posix()
        if is_table(name) or not is_passed_over(name):
            bucket.create(f"{prefix}{name}", path.read_bytes())
    return prefix


def _run_machine(machine: str, order: dict[str, str | None], wait: Wait) -> None:
    try:
        client = boto3.client("stepfunctions")
        execution = client.start_execution(stateMachineArn=machine, input=json.dumps(order))["executionArn"]
        while (described := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            wait(_POLL_SECONDS)
    except (BotoCoreError, ClientError) as error:
        raise OperationError(f"the state machine does not answer: {first_line(error)}") from error
    if described["status"] != "SUCCEEDED":
        cause = _message_of(described.get("cause", "")) or execution
        raise OperationError(f"the state machine ended as {described['status']}: {cause}")


def _message_of(cause: str) -> str:
    """Return what a function said that failed, without its traceback; or the first line of any other cause."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause.partition("\n")[0]


def _bring(bucket: Bucket, name: str, out: Path) -> None:
    """Write a result into a folder, the summary last."""
    for key in (lines_key(name), summary_key(name)):
        path = out / key.removeprefix(BATCH_OUT)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            file.writelines(ranges_of(bucket, key))
        part.replace(path)
