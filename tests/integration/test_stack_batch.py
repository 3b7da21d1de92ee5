"""A batch on a deployed stack, from a laptop: S3 and Step Functions are moto's, the function's handler is the real one.

What lies between them in AWS is left to a deployed run: the test hands the handler the event of EventBridge itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from digits.registry.bucket import Bucket
from functions.batch import handler as batch
from functions.batch.results import Document
from local import __main__ as command
from local import stack_batch
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.commands import assert_fails
from tests.state_machine import StateMachine, running

CONTEXT = SimpleNamespace(aws_request_id="one", get_remaining_time_in_millis=lambda: 900_000)

type Run = Callable[..., int]


@pytest.fixture
def machine(bucket: Bucket) -> Iterator[StateMachine]:
    """The state machine of a stack without a model."""
    batch._container.cache_clear()
    with running(lambda event: batch.handler(event, CONTEXT)) as machine:
        yield machine
    batch._container.cache_clear()


@pytest.fixture
def run(machine: StateMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, with the outputs of the stack, and nothing that happens meanwhile but what a test says."""
    outputs = {"BucketName": BUCKET, "BatchStateMachineArn": machine.arn}
    monkeypatch.setattr(stack_batch, "stack_output", lambda _, name: outputs[name])
    monkeypatch.setattr(stack_batch, "_POLL_SECONDS", 0.05)
    monkeypatch.setenv("AWS_ENDPOINT_URL", machine.address)

    def run(given: Path | str, *options: str) -> int:
        return command.main(["batch", str(given), "--stack", "digits", "--out", str(tmp_path / "out"), *options])

    return run


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something happen while the command waits."""
    awaited = stack_batch._awaited

    def say(do: Callable[[], object]) -> None:
        def wait(_: float) -> None:
            do()

        monkeypatch.setattr(stack_batch, "_awaited", lambda bucket, name, _: awaited(bucket, name, wait))

    return say


def drop(key: str) -> Any:
    """Have the function told what lies in the bucket, as EventBridge tells it."""
    event = events.load("batch_object_created")
    event["detail"]["object"]["key"] = key
    return batch.handler(event, CONTEXT)


def brought(folder: Path, name: str) -> tuple[list[Document], Document]:
    lines = (folder / "out" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], json.loads((folder / "out" / f"{name}.summary.json").read_text())


def scans(folder: Path) -> Path:
    """Make a folder of labelled pictures, and of what systems put beside them."""
    for digit in (4, 7):
        (folder / f"März scans/{digit}").mkdir(parents=True)
        (folder / f"März scans/{digit}/a.png").write_bytes(events.digit_file(digit))
    (folder / "März scans/odd.png").write_bytes(events.digit_file(1))
    (folder / "März scans/labels.csv").write_text("name,label\nodd.png,2\n")
    (folder / "März scans/.DS_Store").write_bytes(b"system")
    return folder / "März scans"


# A file is dropped


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("kind", ["digits", "numbers"])
def test_a_file_is_dropped_read_and_its_result_brought_back(
    run: Run,
    meanwhile: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    numbers = kind == "numbers"
    (tmp_path / "scan.png").write_bytes(events.number_file() if numbers else events.digit_file(7))
    name = "numbers/scan.png" if numbers else "scan.png"
    meanwhile(lambda: drop(f"batch/in/{name}"))
    assert run(tmp_path / "scan.png", *(["--numbers"] if numbers else [])) == 0
    lines, summary = brought(tmp_path, name)
    assert [line.get("text", line.get("pred")) for line in lines] == ["2026" if numbers else 7]
    assert summary["pictures"] == 1
    printed = capsys.readouterr().out
    assert f"lines      {tmp_path}/out/{name}.jsonl" in printed
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_file_again_brings_the_same_result(
    published: Bucket, run: Run, meanwhile: Any, tmp_path: Path
) -> None:
    (tmp_path / "scan.png").write_bytes(events.digit_file(7))
    meanwhile(lambda: drop("batch/in/scan.png"))
    assert run(tmp_path / "scan.png") == 0
    before = brought(tmp_path, "scan.png")
    assert run(tmp_path / "scan.png") == 0
    assert brought(tmp_path, "scan.png") == before


def test_another_file_of_the_name_is_not_given_the_result_of_the_first(
    published: Bucket, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.create("batch/in/scan.png", events.digit_file(7))
    drop("batch/in/scan.png")
    (tmp_path / "scan.png").write_bytes(events.digit_file(4))
    status = run(tmp_path / "scan.png")
    assert_fails(capsys, status, "batch/in/scan.png is there already, with other bytes: give the file another name")


def test_a_file_that_cannot_be_read_is_told_with_its_reason(
    published: Bucket, run: Run, meanwhile: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scan.zip").write_bytes(b"PK\x03\x04 cut short")

    def fail() -> None:
        with pytest.raises(Exception, match="damaged or truncated"):
            drop("batch/in/scan.zip")

    meanwhile(fail)
    status = run(tmp_path / "scan.zip")
    assert_fails(capsys, status, "the stack could not read scan.zip: the archive is damaged or truncated")
    assert not (tmp_path / "out").exists()


def test_a_mended_file_waits_for_its_own_result(
    published: Bucket, run: Run, meanwhile: Any, tmp_path: Path, store: EmbeddedStore
) -> None:
    published.create("batch/in/scan.png", b"")
    with pytest.raises(Exception, match="empty"):
        drop("batch/in/scan.png")
    store.client.delete_object(Bucket=BUCKET, Key="batch/in/scan.png")
    (tmp_path / "scan.png").write_bytes(events.digit_file(7))
    meanwhile(lambda: drop("batch/in/scan.png"))
    assert run(tmp_path / "scan.png") == 0
    assert [line["pred"] for line in brought(tmp_path, "scan.png")[0]] == [7]


def test_a_result_of_another_input_of_the_name_is_told(
    published: Bucket, run: Run, tmp_path: Path, store: EmbeddedStore, capsys: pytest.CaptureFixture[str]
) -> None:
    published.create("batch/in/scan.png", events.digit_file(4))
    drop("batch/in/scan.png")
    store.client.delete_object(Bucket=BUCKET, Key="batch/in/scan.png")
    (tmp_path / "scan.png").write_bytes(events.digit_file(7))
    status = run(tmp_path / "scan.png")
    assert_fails(capsys, status, "the result scan.png is of another input of that name: move it away")


def test_a_length_is_not_for_one_file(
    published: Bucket, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scan.png").write_bytes(events.number_file())
    assert_fails(capsys, run(tmp_path / "scan.png", "--length", "4"), "a length is for folders, prefixes and manifests")
    assert not list(published.keys("batch/"))


# The state machine is executed


def test_a_folder_is_uploaded_read_and_its_result_brought_back(published: Bucket, run: Run, tmp_path: Path) -> None:
    assert run(scans(tmp_path)) == 0
    uploaded = [key.split("/", 3)[3] for key in published.keys("batch/scans/")]
    assert uploaded == ["4/a.png", "7/a.png", "labels.csv", "odd.png"]
    lines, summary = brought(tmp_path, "M-rz-scans")
    assert [(line["pred"], line["label"]) for line in lines] == [(4, "4"), (7, "7"), (1, "2")]
    assert summary["labels"]["worst_mistakes"][0]["name"].endswith("-März scans/odd.png")


def test_a_prefix_and_a_manifest_of_the_bucket_are_read(published: Bucket, run: Run, tmp_path: Path) -> None:
    published.create("batch/scans/march/7.png", events.digit_file(7))
    published.create("batch/scans/march/4.png", events.digit_file(4))
    published.create("batch/manifests/one.csv", b"key\nbatch/scans/march/7.png\n")
    assert run("batch/scans/march/") == 0
    assert [line["pred"] for line in brought(tmp_path, "march")[0]] == [4, 7]


def test_numbers_of_a_length_are_read_in_a_manifest(published: Bucket, run: Run, tmp_path: Path) -> None:
    published.create("batch/scans/2026.png", events.number_file())
    published.create("batch/manifests/one.csv", b"key\nbatch/scans/2026.png\n")
    assert run("batch/manifests/one.csv", "--length", "4") == 0
    lines, summary = brought(tmp_path, "one.csv")
    assert [line["text"] for line in lines] == ["2026"]
    assert summary["read"] == {"kind": "numbers", "length": "4"}


def test_an_execution_that_fails_is_told_in_one_line(
    published: Bucket, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run("batch/scans/nothing/")
    assert_fails(capsys, status, "the state machine ended as FAILED: batch/scans/nothing/ holds no picture\n")


def test_a_state_machine_that_does_not_answer_is_told(
    published: Bucket, run: Run, machine: StateMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.client.delete_state_machine(stateMachineArn=machine.arn)
    status = run("batch/scans/march/")
    assert_fails(capsys, status, "the state machine does not answer: ")


def test_a_name_that_is_taken_is_told_before_anything_is_uploaded(
    published: Bucket, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(scans(tmp_path)) == 0
    uploaded = [*published.keys("batch/scans/")]
    capsys.readouterr()
    assert_fails(capsys, run(tmp_path / "März scans"), "there is a result 'M-rz-scans' already")
    assert [*published.keys("batch/scans/")] == uploaded


def test_what_is_neither_here_nor_there_is_told(
    published: Bucket, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(tmp_path / "gone.zip")
    assert_fails(capsys, status, f"there is no {tmp_path}/gone.zip here, and the stack reads only what is under batch/")


def test_a_stack_without_a_model_is_told_at_once(
    run: Run, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scan.png").write_bytes(events.digit_file(7))
    assert_fails(capsys, run(tmp_path / "scan.png"), "the stack 'digits' has no model yet: publish one first")
    assert not list(bucket.keys("batch/"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("scans/march", "march"),
        ("/", "batch"),
        ("scans/..hidden", "hidden"),
        ("scans/数字", "batch"),
        ("scans/" + "a" * 200, "a" * 100),
        ("batch/manifests/march.csv", "march.csv"),
    ],
)
def test_a_result_has_a_name_that_the_state_machine_takes(path: str, name: str) -> None:
    assert stack_batch._name_of(Path(path)) == name
