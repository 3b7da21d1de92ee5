"""Objects dropped into the bucket, read by the handler over a store on a socket, with a real model."""

from __future__ import annotations

import base64
import io
import json
import threading
import weakref
import zipfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import ConflictError, NoModelError, StoreError
from digits.model.identity import sha256
from digits.model.manifest import Manifest
from digits.registry import bucket as registry_bucket
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from functions.batch import handler as batch
from functions.batch import reading
from functions.batch.answering import Reading
from functions.batch.contents import Grey, Item
from functions.batch.errors import BatchFailedError, SourceError
from functions.batch.models import Models
from functions.batch.results import Document
from functions.batch.sources import ObjectFile
from functions.predict_api import handler as predict_api
from local.lambda_invoke import BATCH_SAMPLE, EVENT_TOKEN, sample_batch
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.batches import Context, dropped, end_batch_container
from tests.conftest import end_container

type Handle = Callable[..., Document]


@pytest.fixture
def cold(store: EmbeddedStore) -> Iterator[Handle]:
    """The handler in a cold container."""
    batch._container.cache_clear()
    yield lambda key, request_id="one", seconds=900.0: batch.handler(dropped(key), Context(request_id, seconds))
    end_batch_container()


@pytest.fixture
def handle(published: Bucket, cold: Handle) -> Handle:
    """The same, with a model to find."""
    return cold


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def digits(count: int) -> dict[str, bytes]:
    """So many of the sample digits, over and over, each a little different."""
    samples = [np.asarray(Image.open(io.BytesIO(events.digit_file(digit))).convert("L")) for digit in range(10)]
    return {f"{n % 10}/{n:05}.png": png(np.roll(samples[n % 10], n % 3, axis=1)) for n in range(count)}


def lines_of(bucket: Bucket, name: str) -> list[Document]:
    return [json.loads(line) for line in bucket.get(f"batch/out/{name}.jsonl").data.splitlines()]


def keys_of(bucket: Bucket) -> set[str]:
    return {key for key in bucket.keys("batch/") if not key.startswith("batch/in/")}


def test_the_sample_event_has_its_zip_read(handle: Handle, bucket: Bucket) -> None:
    bucket.create(BATCH_SAMPLE, sample_batch())
    summary = handle(BATCH_SAMPLE)
    assert summary == json.loads(bucket.get("batch/out/digits.zip.summary.json").data)
    assert (summary["outcome"], summary["pictures"], summary["labels"]["right"]) == ("done", 10, 10)
    assert summary["labels"]["confusion"]["7"]["7"] == 1
    assert sum(summary["confidence"]["counts"]) == 10
    lines = lines_of(bucket, "digits.zip")
    told = [(line["index"], line["name"], line["pred"]) for line in lines]
    assert told == [(digit, f"{digit}/{digit}.png", digit) for digit in range(10)]
    assert [line["sha256"] for line in lines] == [sha256(events.digit_file(n)) for n in range(10)]
    assert keys_of(bucket) == {"batch/out/digits.zip.jsonl", "batch/out/digits.zip.summary.json"}


def test_a_line_says_what_the_api_says(handle: Handle, bucket: Bucket) -> None:
    files = {"7.png": events.digit_file(7), "two.png": events.number_file(), "text.txt": b"hello"}
    bucket.create("batch/in/a.zip", zipped(files))
    handle("batch/in/a.zip")
    end_container()
    for line, data in zip(lines_of(bucket, "a.zip"), files.values(), strict=True):
        told = ask(data)
        for name in ("pred", "accepted", "warnings"):
            assert line.get(name) == told.get(name)
        for name in ("type", "title", "status", "detail", "verdict", "boxes"):
            assert line.get("problem", {}).get(name) == told.get(name)
        assert line.get("probabilities") == pytest.approx(told.get("probabilities"), abs=1e-6)


def ask(data: bytes) -> Document:
    document = {"token": EVENT_TOKEN, "params": {"image": base64.b64encode(data).decode()}}
    return predict_api.handler(document, SimpleNamespace(aws_request_id="r"))


def test_numbers_are_read_in_their_folder(handle: Handle, bucket: Bucket) -> None:
    files = {"2026/a.png": events.number_file(), "b.png": events.digit_file(7)}
    bucket.create("batch/in/numbers/march.zip", zipped(files))
    summary = handle("batch/in/numbers/march.zip")
    assert summary["read"]["kind"] == "numbers"
    assert [line["text"] for line in lines_of(bucket, "numbers/march.zip")] == ["2026", "7"]
    assert summary["labels"]["right"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_cut_short_again_and_again_ends_with_the_same_bytes(
    handle: Handle, bucket: Bucket, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, random = zipped(digits(600)), np.random.default_rng(seed)
    bucket.create("batch/in/whole.zip", data)
    bucket.create("batch/in/cut.zip", data)
    handle("batch/in/whole.zip")
    pictures = iter(random.integers(50, 300, 100).tolist())
    monkeypatch.setattr(reading, "_Until", lambda items, _: Counted(items, next(pictures)))
    key, invocations = "batch/in/cut.zip", 1
    while (outcome := handle(key, f"request {invocations}"))["outcome"] == "goes on":
        key, invocations = outcome["next"], invocations + 1
        assert not list(bucket.keys("batch/out/cut"))
    assert invocations > 1
    assert bucket.get("batch/out/cut.zip.jsonl").data == bucket.get("batch/out/whole.zip.jsonl").data
    assert len(keys_of(bucket)) == 4
    assert handle(key)["outcome"] == "ended before"  # the event of the last invocation, once more


class Counted(reading._Until):
    """Stops after so many pictures, not after a time."""

    def __init__(self, items: Any, count: int) -> None:
        left = iter([True] * count)
        super().__init__(items, lambda: next(left, False))


def test_one_in_a_hundred_damaged_leaves_all_other_lines_as_they_are(handle: Handle, bucket: Bucket) -> None:
    good = digits(300)
    bad = {name: data[:60] if number % 100 == 50 else data for number, (name, data) in enumerate(good.items())}
    bucket.create("batch/in/good.zip", zipped(good))
    bucket.create("batch/in/bad.zip", zipped(bad))
    handle("batch/in/good.zip")
    assert handle("batch/in/bad.zip")["problems"] == {"the image is damaged or truncated": 3}
    for number, (one, other) in enumerate(zip(lines_of(bucket, "good.zip"), lines_of(bucket, "bad.zip"), strict=True)):
        assert (one == other) == (number % 100 != 50)


def test_two_deliveries_at_once_make_one_result(handle: Handle, bucket: Bucket) -> None:
    bucket.create("batch/in/a.zip", zipped(digits(400)))
    handle("batch/in/a.zip")
    whole = bucket.get("batch/out/a.zip.jsonl").data
    for key in list(bucket.keys("batch/out/")):
        bucket.delete(key)
    outcomes: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: outcomes.append(handle("batch/in/a.zip", f"request {n}")["outcome"]))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"done", "claimed"}
    assert "done" in outcomes
    assert bucket.get("batch/out/a.zip.jsonl").data == whole
    assert keys_of(bucket) == {"batch/out/a.zip.jsonl", "batch/out/a.zip.summary.json"}


def test_a_run_goes_on_with_its_model_though_another_is_live(
    handle: Handle, bucket: Bucket, second_version: tuple[Manifest, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.create("batch/in/a.zip", zipped(digits(100)))
    cut = iter([30, 1_000])
    monkeypatch.setattr(reading, "_Until", lambda items, _: Counted(items, next(cut)))
    outcome = handle("batch/in/a.zip")
    first = Registry(bucket).live()
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    end_batch_container()
    assert first
    assert handle(outcome["next"], "two")["model"]["version"] == first.version


def test_without_a_model_the_event_fails_and_may_come_again(
    cold: Handle, bucket: Bucket, version: tuple[Manifest, dict[str, bytes]]
) -> None:
    bucket.create("batch/in/a.zip", zipped(digits(3)))
    with pytest.raises(NoModelError):
        cold("batch/in/a.zip")
    assert not keys_of(bucket)
    Registry(bucket).publish(*version)
    Registry(bucket).promote(version[0].version)
    assert cold("batch/in/a.zip")["pictures"] == 3


def test_a_bucket_that_denies_listing_is_told_and_nothing_is_lost(
    handle: Handle, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.create("batch/in/a.zip", zipped(digits(3)))

    def denied(*_: object) -> Iterator[str]:
        raise StoreError("the object store refused batch/work/: AccessDenied")

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "keys", denied)
        with pytest.raises(StoreError, match="AccessDenied"):
            handle("batch/in/a.zip")
    assert handle("batch/in/a.zip", "two")["pictures"] == 3


def test_an_input_that_is_overwritten_meanwhile_is_read_from_the_beginning(
    handle: Handle, bucket: Bucket, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.create("batch/in/a.zip", zipped(digits(20)))
    cut = iter([5, 5, 1_000])
    monkeypatch.setattr(reading, "_Until", lambda items, _: Counted(items, next(cut)))
    outcome = handle("batch/in/a.zip")
    mended = zipped(digits(12))
    store.client.put_object(Bucket=BUCKET, Key="batch/in/a.zip", Body=mended)
    assert handle(outcome["next"], "two")["outcome"] == "goes on"  # as a run of its own
    assert handle("batch/in/a.zip", "three")["pictures"] == 12


def test_one_that_is_overwritten_while_it_is_read_is_no_mixture_of_both(
    handle: Handle, bucket: Bucket, store: EmbeddedStore
) -> None:
    bucket.create("batch/in/a.bin", bytes(10_000))
    size, etag = bucket.state("batch/in/a.bin")
    file = ObjectFile(bucket, "batch/in/a.bin", size, etag)
    assert file.read(10) == bytes(10)
    store.client.put_object(Bucket=BUCKET, Key="batch/in/a.bin", Body=bytes(10_000).replace(b"\0", b"\1"))
    with pytest.raises(ConflictError, match="was overwritten while it was read"):
        file.read(10)


def test_an_input_that_is_deleted_meanwhile_is_a_failure_with_a_summary(
    handle: Handle, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.create("batch/in/a.zip", zipped(digits(20)))
    monkeypatch.setattr(reading, "_Until", lambda items, _: Counted(items, 5))
    outcome = handle("batch/in/a.zip")
    bucket.delete("batch/in/a.zip")
    with pytest.raises(BatchFailedError, match="deleted before"):
        handle(outcome["next"], "two")
    summary = json.loads(bucket.get("batch/out/a.zip.summary.json").data)
    assert (summary["outcome"], summary["pictures"]) == ("failed", 5)


def test_large_pictures_are_let_go_one_by_one(published: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
    answering, _, _ = Models(Registry(published).load).answering(None, Reading())
    alive: set[int] = set()

    def pictures() -> Iterator[Item]:
        for number in range(600):
            content = Grey(np.full((30, 30), number % 250, np.uint8))
            alive.add(number)
            weakref.finalize(content, alive.discard, number)
            yield Item(str(number), content, number + 1)
            del content
            assert len(alive) < 5

    assert len(list(answering.answers(pictures()))) == 600


@pytest.mark.parametrize("name", ["nothing.zip", "text.bin", "table.csv"])
def test_what_cannot_be_read_fails_with_a_summary(handle: Handle, bucket: Bucket, name: str) -> None:
    data = {"nothing.zip": zipped({}), "text.bin": b"hello", "table.csv": b"a,b\n1,2\n"}[name]
    bucket.create(f"batch/in/{name}", data)
    for _ in range(2):  # Lambda tries again, and puts the event into the queue in the end
        with pytest.raises(BatchFailedError):
            handle(f"batch/in/{name}")
    summary = json.loads(bucket.get(f"batch/out/{name}.summary.json").data)
    assert summary["outcome"] == "failed"
    assert summary["problem"]["detail"]
    assert keys_of(bucket) == {f"batch/out/{name}.summary.json"}


def test_objects_elsewhere_are_ignored_and_events_of_other_kinds_refused(handle: Handle) -> None:
    assert handle("batch/in/")["outcome"] == "ignored"
    assert handle("models/current.json")["outcome"] == "ignored"
    assert handle("batch/next/0123/0001")["outcome"] == "ended before"
    with pytest.raises(SourceError, match="deleted before"):
        handle("batch/in/gone.zip")
    others: list[Any] = [{}, [], {"detail": {}}, dropped("batch/in/a.zip", "another")]
    for event in others:
        with pytest.raises(SourceError):
            batch.handler(event, Context("r", 900))


def test_large_results_are_uploaded_in_parts(handle: Handle, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_bucket, "PART_BYTES", 5 * 2**20)
    pixels = {"pixels": [[0] * 28] * 28}
    bucket.create("batch/in/a.jsonl", (json.dumps(pixels) + "\n").encode() * 25_000)
    assert handle("batch/in/a.jsonl")["pictures"] == 25_000
    assert bucket.state("batch/out/a.jsonl.jsonl")[0] > 5 * 2**20
    assert len(lines_of(bucket, "a.jsonl")) == 25_000
