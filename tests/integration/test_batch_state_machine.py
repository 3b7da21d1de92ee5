"""The state machine of batches, executed as far as moto 5.2 goes: from an order to a result.

moto has the list of items read from S3, a task for each of them, retries, and errors by their names. It does not put
items together (`ItemBatcher`), keeps no results (`ResultWriter`), does not end a run in which too much fails
(`ToleratedFailurePercentage`), and knows no express executions, no permissions, and no limits of size or time. So here
each item comes as a batch of one, in the form that Step Functions gives a batch. Only a deployed run proves that
batches are as large as they are meant to be, that a run ends which loses more than is tolerated, that it can be
redriven, and that its role may do what it does. `test_batch_tasks` has batches of several.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from digits.errors import StoreError
from digits.registry.bucket import Bucket
from functions.batch import handler as batch
from functions.batch import tasks
from functions.batch.results import Document
from local.store import BUCKET
from tests import events
from tests.state_machine import StateMachine, running

MARCH = "batch/scans/march/"


@pytest.fixture
def cold(bucket: Bucket) -> Iterator[StateMachine]:
    """The state machine over a bucket without a model."""
    batch._container.cache_clear()
    with running(lambda event: batch.handler(event, SimpleNamespace(aws_request_id="one"))) as machine:
        yield machine
    batch._container.cache_clear()


@pytest.fixture
def machine(published: Bucket, cold: StateMachine) -> StateMachine:
    """The same, with a model to find."""
    return cold


def put(files: dict[str, bytes]) -> None:
    for key, data in files.items():
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(BUCKET, key, data)


def lines_of(bucket: Bucket, name: str) -> list[Document]:
    return [json.loads(line) for line in bucket.get(f"batch/out/{name}.jsonl").data.splitlines()]


def written(bucket: Bucket) -> set[str]:
    """What runs have left."""
    return {key for folder in ("out", "work", "next") for key in bucket.keys(f"batch/{folder}/")}


def test_a_prefix_of_folders_becomes_one_ordered_result(machine: StateMachine, bucket: Bucket) -> None:
    put({f"{MARCH}{digit}/{name}.png": events.digit_file(digit) for digit in range(10) for name in "ab"})
    put({f"{MARCH}.DS_Store": b"system", f"{MARCH}3/c.png": b"no picture"})
    ended = machine.execute({"name": "march", "prefix": MARCH})
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    lines = lines_of(bucket, "march")
    names = [f"{MARCH}{digit}/{name}.png" for digit in range(10) for name in ("abc" if digit == 3 else "ab")]
    assert [(line["index"], line["name"]) for line in lines] == list(enumerate(names))
    assert all(str(line["pred"]) == line["label"] for line in lines if "pred" in line)
    assert lines[8]["problem"]["status"] == 422
    summary = json.loads(bucket.get("batch/out/march.summary.json").data)
    assert json.loads(ended["output"]) == summary
    assert (summary["pictures"], summary["labels"]["labelled"], summary["labels"]["right"]) == (21, 21, 20)
    assert summary["labels"]["confusion"]["3"] == {**dict.fromkeys("012456789", 0), "3": 2, "refused": 1, "other": 0}
    assert written(bucket) == {"batch/out/march.jsonl", "batch/out/march.summary.json"}


def test_a_manifest_names_pictures_and_their_labels(machine: StateMachine, bucket: Bucket) -> None:
    put({f"batch/scans/{digit}.png": events.digit_file(digit) for digit in (4, 7)})
    rows = [
        "Key,Label",
        "batch/scans/7.png,7",
        "batch/scans/gone.png,1",
        '"batch/scans/4.png",9',
        "models/current.json,",
    ]
    put({"batch/manifests/two.csv": "\n".join(rows).encode()})
    assert machine.execute({"name": "two", "manifest": "batch/manifests/two.csv"})["status"] == "SUCCEEDED"
    lines = lines_of(bucket, "two")
    assert [line.get("pred") for line in lines] == [7, None, 4, None]
    assert [lines[place].get("label") for place in (0, 2, 3)] == ["7", "9", None]
    assert lines[1]["problem"]["detail"] == "there is no such object"
    assert lines[3]["problem"]["detail"] == "the object is not under batch/, where the function may read"
    labels = json.loads(bucket.get("batch/out/two.summary.json").data)["labels"]
    assert labels["right"] == 1
    assert [(each["label"], each["read"]) for each in labels["worst_mistakes"]] == [("9", "4")]


def test_each_execution_is_a_run_of_its_own(machine: StateMachine, bucket: Bucket) -> None:
    put({f"{MARCH}7.png": events.digit_file(7)})
    ended = [machine.execute({"name": name, "prefix": MARCH}) for name in ("one", "two")]
    assert len({json.loads(each["output"])["run"] for each in ended}) == 2


def test_numbers_are_read_where_the_order_says_so(machine: StateMachine, bucket: Bucket) -> None:
    put({f"{MARCH}2026.png": events.number_file()})
    order = {"name": "numbers", "prefix": MARCH, "kind": "numbers", "length": "4"}
    assert machine.execute(order)["status"] == "SUCCEEDED"
    assert lines_of(bucket, "numbers")[0]["text"] == "2026"


def test_a_name_that_is_taken_ends_the_execution_with_a_clear_line(machine: StateMachine, bucket: Bucket) -> None:
    put({f"{MARCH}7.png": events.digit_file(7)})
    assert machine.execute({"name": "march", "prefix": MARCH})["status"] == "SUCCEEDED"
    before = bucket.get("batch/out/march.jsonl")
    ended = machine.execute({"name": "march", "prefix": MARCH})
    assert (ended["status"], ended["error"]) == ("FAILED", "SourceError")
    assert "there is a result 'march' already: choose another name" in ended["cause"]
    assert bucket.get("batch/out/march.jsonl") == before
    assert written(bucket) == {"batch/out/march.jsonl", "batch/out/march.summary.json"}


def test_a_prefix_with_nothing_leaves_nothing(machine: StateMachine, bucket: Bucket) -> None:
    put({f"{MARCH}.hidden": b"", f"{MARCH}labels.csv": b"name,label\n", f"{MARCH}folder/": b""})
    ended = machine.execute({"name": "march", "prefix": MARCH})
    assert ended["error"] == "SourceError"
    assert json.loads(ended["cause"])["errorMessage"] == f"{MARCH} holds no picture"
    assert not written(bucket)


def test_batches_that_fail_within_the_tolerance_are_lines_that_say_so(
    machine: StateMachine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put({f"{MARCH}{digit}.png": events.digit_file(digit) for digit in range(6)})
    failing_at(monkeypatch, {"1", "4", "5"}, lambda _: RuntimeError("out of memory"))
    order = {"name": "march", "prefix": MARCH, "tolerated_failure_percentage": 50}
    assert machine.execute(order)["status"] == "SUCCEEDED"
    lines = lines_of(bucket, "march")
    assert [line["name"] for line in lines] == [f"{MARCH}{digit}.png" for digit in range(6)]
    assert [line.get("pred") for line in lines] == [0, None, 2, 3, None, None]
    summary = json.loads(bucket.get("batch/out/march.summary.json").data)
    assert summary["problems"] == {"its batch failed, and it was not read": 3}
    assert written(bucket) == {"batch/out/march.jsonl", "batch/out/march.summary.json"}


def test_a_store_that_fails_for_a_moment_costs_no_picture(
    machine: StateMachine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put({f"{MARCH}{digit}.png": events.digit_file(digit) for digit in range(3)})
    tried = failing_at(monkeypatch, {"1"}, lambda times: StoreError("the store is away") if times == 1 else None)
    assert machine.execute({"name": "march", "prefix": MARCH})["status"] == "SUCCEEDED"
    assert tried == ["1", "1"]
    assert [line["pred"] for line in lines_of(bucket, "march")] == [0, 1, 2]


def failing_at(
    monkeypatch: pytest.MonkeyPatch, indices: set[str], failure: Callable[[int], Exception | None]
) -> list[str]:
    """Have reading of some items fail; gives the items at which it was tried."""
    tried: list[str] = []

    def read_items(task: tasks.ReadItems, *rest: Any) -> Document:
        index = task.items[0].index
        if index in indices:
            tried.append(index)
            error = failure(tried.count(index))
            if error:
                raise error
        return real(task, *rest)

    real = tasks.read_items
    monkeypatch.setattr(tasks, "read_items", read_items)
    return tried


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"name": "march"}, "give either a 'prefix' or a 'manifest'"),
        ({"prefix": MARCH}, "name"),
        ({"name": "march", "prefix": MARCH, "batch_size": 0}, "batch_size"),
        ({"name": "march", "manifest": "batch/manifests/gone.csv"}, "there is no object batch/manifests/gone.csv"),
    ],
)
def test_an_order_that_makes_no_sense_is_told_at_once(
    machine: StateMachine, bucket: Bucket, order: Document, told: str
) -> None:
    ended = machine.execute(order)
    assert (ended["status"], ended["error"]) == ("FAILED", "SourceError")
    assert told in json.loads(ended["cause"])["errorMessage"]
    assert not written(bucket)
