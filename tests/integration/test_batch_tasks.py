"""Each task of the state machine by itself, given what Step Functions gives it: once, again, too late, out of order."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from PIL import Image

from digits.errors import ConflictError, DigitsError, InputError, NoModelError, NoReaderError, StoreError
from digits.model.identity import sha256
from digits.model.manifest import Manifest
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from functions.batch import handler as batch
from functions.batch import orders, results, tasks
from functions.batch.answering import Reading
from functions.batch.errors import SourceError
from functions.batch.lists import key_items
from functions.batch.models import Models
from functions.batch.results import Document
from functions.batch.runs import Place, Run, line_of
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.state_machine import definition

type Version = tuple[Manifest, dict[str, bytes]]
type Do = Callable[[Document], Document]

MARCH = "batch/scans/march/"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:BatchStateMachine-1:one"


@pytest.fixture
def cold(bucket: Bucket) -> Iterator[Do]:
    """The handler in a cold container, without a model."""
    batch._container.cache_clear()
    yield lambda event: batch.handler(event, SimpleNamespace(aws_request_id="one"))
    batch._container.cache_clear()


@pytest.fixture
def do(published: Bucket, cold: Do) -> Do:
    """The same, with a model to find."""
    return cold


def put(files: dict[str, bytes]) -> None:
    for key, data in files.items():
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(BUCKET, key, data)


def put_digits(count: int = 10) -> None:
    put({f"{MARCH}{digit}.png": events.digit_file(digit) for digit in range(count)})


def to_begin(execution: str = EXECUTION, **order: Any) -> Document:
    return {"task": "begin", "execution": execution, "order": {"name": "march", "prefix": MARCH} | order}


def to_read(begun: Document, items: list[Document]) -> Document:
    return {"task": "read", "run": begun["run"], "items": items}


def to_merge(begun: Document) -> Document:
    return {"task": "merge", "run": begun["run"], "name": begun["name"]}


def items_of(bucket: Bucket, begun: Document) -> list[Document]:
    """What Step Functions makes of the table: every cell is a text."""
    return [{**row} for row in csv.DictReader(io.StringIO(bucket.get(begun["items"]).data.decode()))]


def lines_of(bucket: Bucket, name: str = "march") -> list[Document]:
    return [json.loads(line) for line in bucket.get(f"batch/out/{name}.jsonl").data.splitlines()]


def written(bucket: Bucket) -> set[str]:
    """What runs have left."""
    return {key for folder in ("out", "work", "next") for key in bucket.keys(f"batch/{folder}/")}


WHOLE = {"batch/out/march.jsonl", "batch/out/march.summary.json"}


# Begin


def test_begin_returns_all_that_the_state_machine_asks_for(do: Do, bucket: Bucket) -> None:
    put_digits(3)
    begun = do(to_begin(batch_size=2, concurrency=7, tolerated_failure_percentage=5))
    assert {**begun, "run": ""} == {
        "run": "",
        "name": "march",
        "bucket": BUCKET,
        "items": f"batch/work/{begun['run']}/items.csv",
        "results": f"batch/work/{begun['run']}/results",
        "count": 3,
        "batch_size": 2,
        "concurrency": 7,
        "tolerated_failure_percentage": 5,
    }
    assert items_of(bucket, begun) == [
        {"index": str(digit), "key": f"{MARCH}{digit}.png", "label": ""} for digit in range(3)
    ]
    states = definition()["States"]
    processor = states["ReadAll"].pop("ItemProcessor")
    asked = set(re.findall(r'"\$\.(\w+)"', json.dumps([states["ReadAll"], states["Merge"]["Parameters"]])))
    assert asked <= begun.keys()
    assert set(re.findall(r'"\$\.([\w.]+)"', json.dumps(processor))) == {"BatchInput.run", "Items", "Payload"}


def test_begin_that_is_tried_again_begins_the_same_run(do: Do, bucket: Bucket, second_version: Version) -> None:
    put_digits(3)
    first = do(to_begin())
    version = json.loads(bucket.get(f"batch/work/{first['run']}/run.json").data)["version"]
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    batch._container.cache_clear()
    assert do(to_begin()) == first
    assert json.loads(bucket.get(f"batch/work/{first['run']}/run.json").data)["version"] == version


def test_begin_that_was_cut_short_has_left_nothing_in_its_way(
    do: Do, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_digits(3)

    def cut(*_: object) -> None:
        raise StoreError("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(Run, "begin", cut)
        with pytest.raises(StoreError):
            do(to_begin())
    put({f"{MARCH}3.png": events.digit_file(3)})
    begun = do(to_begin())
    assert len(items_of(bucket, begun)) == begun["count"] == 4


def test_two_executions_are_two_runs(do: Do, bucket: Bucket) -> None:
    put_digits(1)
    assert do(to_begin())["run"] != do(to_begin(f"{EXECUTION}-two"))["run"]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"manifest": "batch/a.csv"}, "either a 'prefix' or a 'manifest'"),
        ({"prefix": None}, "either a 'prefix' or a 'manifest'"),
        ({"prefix": ""}, "'' is not under batch/"),
        ({"prefix": "models/"}, "'models/' is not under batch/"),
        ({"prefix": None, "manifest": "auth/tokens.json"}, "'auth/tokens.json' is not under batch/"),
        ({"prefix": "batch/"}, "batch/ holds what the function writes itself"),
        ({"prefix": "batch/work/"}, "batch/work/ holds what the function writes itself"),
        ({"prefix": "batch/out/march"}, "batch/out/march holds what the function writes itself"),
        ({"prefix": None, "manifest": "batch/gone.csv"}, "there is no object batch/gone.csv"),
        ({"prefix": None, "manifest": f"{MARCH}0.png"}, "the table cannot be read"),
        ({"prefix": None, "manifest": "batch/other.csv"}, "needs a header with 'key'"),
        ({"prefix": None, "manifest": "batch/empty.csv"}, "batch/empty.csv holds no picture"),
        ({"name": "../models"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": 7}, "name"),
        ({"kind": "letters"}, "kind"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1_001}, "batch_size"),
        ({"batch_size": "200"}, "batch_size"),
        ({"concurrency": 0}, "concurrency"),
        ({"tolerated_failure_percentage": 101}, "tolerated_failure_percentage"),
        ({"kind": "numbers", "length": "many"}, "length"),
        ({"length": "4"}, "a 'length' is that of numbers"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_order_that_makes_no_sense_is_told_and_leaves_nothing(
    do: Do, bucket: Bucket, order: Document, told: str
) -> None:
    put_digits(1)
    put({"batch/other.csv": b"name of it,label\na,1\n", "batch/empty.csv": b"key,label\n\n"})
    with pytest.raises(InputError, match=re.escape(told)) as raised:
        do(to_begin(**order))
    assert "\n" not in str(raised.value)
    assert not written(bucket)


def test_an_order_that_is_no_object_is_told(do: Do) -> None:
    with pytest.raises(SourceError, match="the task cannot be done: order"):
        do({"task": "begin", "execution": EXECUTION, "order": "march"})


def test_without_a_model_begin_may_be_tried_again(cold: Do, bucket: Bucket, version: Version) -> None:
    put_digits(1)
    with pytest.raises(NoModelError):
        cold(to_begin())
    assert not written(bucket)
    Registry(bucket).publish(*version)
    Registry(bucket).promote(version[0].version)
    assert cold(to_begin())["count"] == 1


def test_a_model_that_reads_no_numbers_is_told_at_the_beginning(cold: Do, bucket: Bucket, digits_only: Version) -> None:
    put_digits(1)
    Registry(bucket).publish(*digits_only)
    Registry(bucket).promote(digits_only[0].version)
    with pytest.raises(NoReaderError):
        cold(to_begin(kind="numbers"))
    assert not written(bucket)


def test_more_keys_than_a_page_has_are_all_in_the_table(do: Do, bucket: Bucket) -> None:
    put({f"{MARCH}{number:04}.png": b"" for number in range(2_005)})
    begun = do(to_begin())
    assert begun["count"] == 2_005
    assert [item["key"] for item in items_of(bucket, begun)] == [f"{MARCH}{number:04}.png" for number in range(2_005)]


@pytest.mark.parametrize(("limit", "size"), [("MOST_KEYS", 200), ("MOST_BATCHES", 1)])
def test_more_keys_than_a_run_reads_are_refused(
    do: Do, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    monkeypatch.setattr(orders, limit, 3)
    put_digits(5)
    with pytest.raises(SourceError, match=f"{MARCH} holds more than the 3 objects that a run of this batch_size reads"):
        do(to_begin(batch_size=size))
    assert not written(bucket)
    put({"batch/scans/april/1.png": b""})
    assert do(to_begin(batch_size=size, prefix="batch/scans/april/"))["count"] == 1


def test_a_table_of_labels_beats_the_folders(do: Do, bucket: Bucket) -> None:
    put({f"{MARCH}7/a.png": b"", f"{MARCH}7/b.png": b"", f"{MARCH}labels.csv": b"file,digit\n7/b.png,1\n"})
    begun = do(to_begin())
    assert [(item["key"], item["label"]) for item in items_of(bucket, begun)] == [
        (f"{MARCH}7/a.png", ""),
        (f"{MARCH}7/b.png", "1"),
    ]


def test_keys_with_commas_quotes_and_other_alphabets_come_through(do: Do, bucket: Bucket) -> None:
    keys = [f'{MARCH}1, "one".png', f"{MARCH}März/2.png", f"{MARCH}数/3.png"]
    put({key: events.digit_file(digit) for digit, key in enumerate(keys, 1)})
    begun = do(to_begin())
    do(to_read(begun, items_of(bucket, begun)))
    do(to_merge(begun))
    assert [(line["name"], line["pred"]) for line in lines_of(bucket)] == list(zip(keys, (1, 2, 3), strict=True))


def test_a_bucket_that_denies_listing_is_a_failure_of_the_store(
    do: Do, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_digits(1)

    def denied(self: Bucket, prefix: str) -> Iterator[str]:
        if prefix == MARCH:
            raise StoreError(f"the object store refused {prefix}: AccessDenied")
        return real(self, prefix)

    real = Bucket.keys
    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "keys", denied)
        with pytest.raises(StoreError, match=f"refused {MARCH}: AccessDenied"):
            do(to_begin())
    assert not written(bucket)
    assert StoreError.__name__ in definition()["States"]["Begin"]["Retry"][0]["ErrorEquals"]


# Read


def test_batches_of_several_in_any_order_make_one_result(do: Do, bucket: Bucket) -> None:
    put_digits()
    begun = do(to_begin())
    items = items_of(bucket, begun)
    for first in (8, 0, 4):
        assert do(to_read(begun, items[first : first + 4])) == {"first": first, "lines": len(items[first : first + 4])}
    summary = do(to_merge(begun))
    assert [(line["index"], line["pred"]) for line in lines_of(bucket)] == [(n, n) for n in range(10)]
    assert [line["sha256"] for line in lines_of(bucket)] == [sha256(events.digit_file(n)) for n in range(10)]
    assert (summary["outcome"], summary["pictures"], summary["invocations"]) == ("done", 10, 3)
    assert written(bucket) == WHOLE


def test_a_batch_that_is_read_again_stands_once(do: Do, bucket: Bucket) -> None:
    put_digits(4)
    begun = do(to_begin())
    items = items_of(bucket, begun)
    told = [do(to_read(begun, items)) for _ in range(2)]
    assert told == [{"first": 0, "lines": 4}] * 2
    do(to_merge(begun))
    assert len(lines_of(bucket)) == 4


def test_pages_of_a_file_are_lines_of_their_own(do: Do, bucket: Bucket) -> None:
    pages = [Image.open(io.BytesIO(events.digit_file(digit))).convert("L") for digit in (2, 0, 6)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    put(
        {f"{MARCH}a.png": events.digit_file(1), f"{MARCH}b.tif": file.getvalue(), f"{MARCH}c.png": events.digit_file(9)}
    )
    begun = do(to_begin())
    items = items_of(bucket, begun)
    assert do(to_read(begun, items[2:])) == {"first": 2, "lines": 1}
    assert do(to_read(begun, items[:2])) == {"first": 0, "lines": 4}
    assert do(to_merge(begun))["pictures"] == 5
    lines = lines_of(bucket)
    assert [(line["index"], line.get("page"), line["pred"]) for line in lines] == [
        (0, None, 1),
        (1, 1, 2),
        (2, 2, 0),
        (3, 3, 6),
        (4, None, 9),
    ]


def test_a_picture_that_has_gone_or_is_too_large_is_one_line(
    do: Do, bucket: Bucket, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_digits(3)
    begun = do(to_begin())
    items = items_of(bucket, begun)
    store.client.delete_object(Bucket=BUCKET, Key=f"{MARCH}0.png")
    monkeypatch.setattr(tasks, "MOST_FILE_BYTES", len(events.digit_file(1)) - 1)
    put({f"{MARCH}2.png": b"small"})
    do(to_read(begun, items))
    do(to_merge(begun))
    gone, large, small = (line["problem"]["detail"] for line in lines_of(bucket))
    assert gone == "there is no such object"
    assert re.fullmatch(r"the file has [\d,]+ bytes, where up to [\d,]+ are read", large)
    assert "not a" in small


def test_a_run_goes_on_with_its_model_though_another_is_live(do: Do, bucket: Bucket, second_version: Version) -> None:
    put_digits(4)
    begun = do(to_begin())
    items = items_of(bucket, begun)
    first = Registry(bucket).live()
    assert first
    do(to_read(begun, items[:2]))
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    batch._container.cache_clear()
    do(to_begin(f"{EXECUTION}-two", name="april"))  # has the container load the other
    do(to_read(begun, items[2:]))
    assert do(to_merge(begun))["model"]["version"] == first.version
    batch._container.cache_clear()
    answered = [line["probabilities"] for line in lines_of(bucket)]
    alone, _, _ = Models(Registry(bucket).load).answering(first.version, Reading())
    entries = [(item["key"], None) for item in items]
    told = [
        json.loads(answer)["probabilities"] for _, answer in alone.answers(key_items(entries, tasks.fetch_of(bucket)))
    ]
    assert answered == told


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"items": []}, "items"),
        ({"items": [{"index": "first", "key": "a"}]}, "index"),
        ({"items": [{"index": 0, "key": "a"}]}, "index"),
        ({"items": [{"index": "0"}]}, "key"),
        ({"run": None}, "run"),
        ({"run": "0" * 20}, "there is no run 00000000000000000000, or it has ended"),
    ],
)
def test_a_batch_that_makes_no_sense_is_told(do: Do, bucket: Bucket, wrong: Document, told: str) -> None:
    put_digits(1)
    begun = do(to_begin())
    with pytest.raises(SourceError, match=told):
        do({**to_read(begun, items_of(bucket, begun)), **wrong})


# Merge


def test_what_batches_that_failed_held_has_lines_that_say_so(do: Do, bucket: Bucket) -> None:
    put({f"{MARCH}{digit}/a.png": events.digit_file(digit) for digit in range(9)})
    begun = do(to_begin())
    items = items_of(bucket, begun)
    do(to_read(begun, items[2:4]))
    do(to_read(begun, items[5:7]))
    summary = do(to_merge(begun))
    lines = lines_of(bucket)
    assert [line["index"] for line in lines] == list(range(9))
    assert [line["name"] for line in lines] == [item["key"] for item in items]
    assert [line.get("pred") for line in lines] == [None, None, 2, 3, None, 5, 6, None, None]
    assert [line["label"] for line in lines] == [str(digit) for digit in range(9)]
    assert (lines[0]["sha256"], lines[0]["problem"]["status"]) == (None, 422)
    assert summary["problems"] == {"its batch failed, and it was not read": 5}
    assert (summary["labels"]["labelled"], summary["labels"]["right"]) == (9, 4)
    assert written(bucket) == WHOLE


def test_merge_that_is_tried_again_says_the_same(do: Do, bucket: Bucket) -> None:
    begun = read_all(do, bucket)
    first = do(to_merge(begun))
    before = bucket.get("batch/out/march.jsonl")
    assert do(to_merge(begun)) == first
    assert bucket.get("batch/out/march.jsonl") == before


@pytest.mark.parametrize("step", ["_write_summary", "clear"])
def test_merge_that_was_cut_short_is_completed(
    do: Do, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    begun = read_all(do, bucket)

    def cut(*_: object) -> None:
        raise StoreError("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(results if step == "_write_summary" else Run, step, cut)
        with pytest.raises(StoreError):
            do(to_merge(begun))
    assert f"batch/work/{begun['run']}/run.json" in written(bucket)
    assert do(to_merge(begun))["pictures"] == 4
    assert [line["index"] for line in lines_of(bucket)] == [0, 1, 2, 3]
    assert written(bucket) == WHOLE


def test_what_step_functions_writes_of_a_run_goes_with_it(do: Do, bucket: Bucket) -> None:
    begun = read_all(do, bucket)
    put({f"{begun['results']}/5f3a/{name}.json": b"{}" for name in ("manifest", "SUCCEEDED_0")})
    do(to_merge(begun))
    assert written(bucket) == WHOLE


def test_of_two_runs_with_one_name_the_first_to_end_wins(do: Do, bucket: Bucket) -> None:
    first = read_all(do, bucket)
    put({f"{MARCH}9.png": events.digit_file(9)})
    second = read_all(do, bucket, f"{EXECUTION}-two")
    do(to_merge(second))
    before = bucket.get("batch/out/march.jsonl")
    with pytest.raises(ConflictError, match=r"batch/out/march.jsonl exists already"):
        do(to_merge(first))
    assert bucket.get("batch/out/march.jsonl") == before
    assert json.loads(bucket.get("batch/out/march.summary.json").data)["run"] == second["run"]


def test_a_run_of_more_batches_than_a_page_has_is_put_together(
    do: Do, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")  # where S3 has 1,000
    count = 43
    put({f"{MARCH}{number:04}.png": b"" for number in range(count)})
    begun = do(to_begin())
    run = Run(bucket, begun["run"])
    answer = b'{"pred":1,"conf":1.0,"accepted":true}'
    for number in range(count):  # as if each had been read
        place = Place(first=number, stop=number + 1, after=number + 1)
        line = line_of(f"{MARCH}{number:04}.png", None, "", None, answer)
        put({f"{run.folder}lines/{number:012}": place.model_dump_json().encode() + b"\n" + line})
    assert do(to_merge(begun))["pictures"] == count
    assert [line["name"] for line in lines_of(bucket)] == [f"{MARCH}{number:04}.png" for number in range(count)]
    assert written(bucket) == WHOLE


def read_all(do: Do, bucket: Bucket, execution: str = EXECUTION) -> Document:
    """Begin a run, and read all of it."""
    put_digits(4)
    begun = do(to_begin(execution))
    do(to_read(begun, items_of(bucket, begun)))
    return begun


# Out of order


def test_a_run_that_has_ended_is_read_no_more_and_leaves_nothing(do: Do, bucket: Bucket) -> None:
    begun = read_all(do, bucket)
    items = items_of(bucket, begun)
    do(to_merge(begun))
    with pytest.raises(SourceError, match=r"there is no run .*, or it has ended"):
        do(to_read(begun, items))
    with pytest.raises(SourceError, match="there is a result 'march' already"):
        do(to_begin())
    assert written(bucket) == WHOLE


@pytest.mark.parametrize("task", [{"task": "merge", "run": "0" * 20, "name": "march"}, {"task": "sweep"}, {"task": 1}])
def test_what_cannot_be_done_is_told(do: Do, bucket: Bucket, task: Document) -> None:
    told = "there is no run" if task["task"] == "merge" else f"there is no task {task['task']!r}"
    with pytest.raises(DigitsError, match=told):
        do(task)
    assert not written(bucket)
