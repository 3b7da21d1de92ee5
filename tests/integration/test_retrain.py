"""The scheduled retraining: its lease, its data, what it decides and whom it tells. Trainings are real in tests/e2e."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError, OperationError, UnknownRecipeError
from digits.model.manifest import Manifest
from digits.registry import decisions
from digits.registry.bucket import Bucket
from digits.registry.decisions import Decision
from digits.registry.layout import LEASE_KEY, MNIST_KEY, POINTER_KEY, decisions_key
from digits.registry.versions import Registry
from functions.retrain import handler as retrain_handler
from functions.retrain import retraining
from functions.retrain.handler import handler
from functions.retrain.lease import Lease, LeaseTakenError, held
from local.store import EmbeddedStore
from tests import events
from training import dataset, job, promotion
from training.artifacts import FIELD_FOLDER, read_folder
from training.dataset import load_subset
from training.distortions import thick_pen

type Version = tuple[Manifest, dict[str, bytes]]

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


# The lease


def test_of_two_runs_at_once_the_second_leaves(bucket: Bucket) -> None:
    with held(bucket, "first", MINUTE):
        with pytest.raises(LeaseTakenError, match="first is retraining until"), held(bucket, "second", MINUTE):
            raise AssertionError("two hold it")
        with held(bucket, "first", MINUTE):
            pass  # Lambda tries again under the same name
    with held(bucket, "second", MINUTE):
        pass


def test_of_many_that_begin_together_one_gets_it(bucket: Bucket) -> None:
    for round_ in range(20):
        barrier = threading.Barrier(4)

        def run(name: int, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                with held(bucket, str(name), MINUTE):
                    barrier.wait()
            except LeaseTakenError:
                barrier.wait()
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(run, range(4))) == 1, round_


@pytest.mark.parametrize(
    "left",
    [
        Lease(holder="killed", expires_at=datetime.now(UTC) - MINUTE).model_dump_json(),
        Lease(holder="of a wrong clock", expires_at=datetime.now(UTC) + HOUR).model_dump_json(),
        "{",
    ],
)
def test_a_lease_that_ran_out_or_makes_no_sense_keeps_nobody_out(bucket: Bucket, left: str) -> None:
    bucket.create(LEASE_KEY, left.encode())
    with held(bucket, "next", MINUTE):
        assert b"next" in bucket.get(LEASE_KEY).data


@pytest.mark.parametrize("left", [None, Lease(holder="done", expires_at=datetime.now(UTC) - MINUTE)])
def test_a_lease_whose_answer_got_lost_on_the_way_is_held(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, left: Lease | None
) -> None:
    if left:
        bucket.create(LEASE_KEY, left.model_dump_json().encode())

    def asked_twice(write: Callable[..., str]) -> Callable[..., str]:
        def ask(*arguments: Any) -> str:
            write(*arguments)
            return write(*arguments)

        return ask

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "create", asked_twice(bucket.create))
        patch.setattr(bucket, "replace", asked_twice(bucket.replace))
        holding = held(bucket, "first", MINUTE)
        holding.__enter__()
    with pytest.raises(LeaseTakenError), held(bucket, "second", MINUTE):
        raise AssertionError("two hold it")
    holding.__exit__(None, None, None)
    with held(bucket, "second", MINUTE):
        pass


def test_a_lease_that_somebody_took_over_is_not_given_back(bucket: Bucket) -> None:
    with held(bucket, "slow", timedelta(0)), held(bucket, "next", MINUTE):
        pass
    assert Lease.model_validate_json(bucket.get(LEASE_KEY).data).holder == "next"


# The data


def test_the_first_run_puts_mnist_into_the_bucket(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = [np.arange(12, dtype=np.uint8).reshape(shape) for shape in ((3, 2, 2), (12,), (3, 2, 2), (12,))]
    checked: list[str] = []
    monkeypatch.setattr(dataset, "_mnist", lambda _, source: checked.append(source))
    path = tmp_path / "mnist.npz"
    np.savez(path, **dict(zip(dataset._PARTS, arrays, strict=True)))  # type: ignore[arg-type]
    assert dataset.seed(bucket, {"DIGITS_MNIST": str(path)}) == str(path)
    assert checked == [str(path)]
    kept = dataset._read_npz(bucket.get(MNIST_KEY).data, "bucket")
    assert all((ours == theirs).all() for ours, theirs in zip(arrays, kept, strict=True))
    assert dataset.seed(bucket, {"DIGITS_MNIST": str(path)}) is None


def test_what_is_not_mnist_is_not_put_there(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=np.zeros(3), y_train=np.zeros(3), x_test=np.zeros(3), y_test=np.zeros(3))
    with pytest.raises(DataError):
        dataset.seed(bucket, {"DIGITS_MNIST": str(path)})
    assert dataset.seed(bucket, {"DIGITS_MNIST": "embedded"}) is None
    assert list(bucket.keys("")) == []


def test_the_operators_pictures_are_trained_on_as_well(bucket: Bucket) -> None:
    pictures = [thick_pen(image, np.random.default_rng(1)) for image in load_subset().training.images[:3]]
    keys = ("7/phone/a.png", "7/b.PNG", f"1/../../{'long' * 75}.png")
    for key, pixels in zip(keys, pictures, strict=True):
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        bucket.create(f"datasets/extra/{key}", file.getvalue())
    for key in ("7/", "7/broken.png", "7/phone.heic", "readme.txt", "12/c.png"):
        bucket.create(f"datasets/extra/{key}", b"no picture")
    said: list[str] = []
    data = retraining._data(bucket, {"DIGITS_MNIST": "embedded"}, said.append)
    assert data.training.labels[-3:].tolist() == [1, 7, 7]
    assert data.extra is not None
    assert (data.extra.source, data.extra.count, data.extra.refused) == ("datasets/extra/", 3, 1)
    left_out = {line.split()[1] for line in said if "left out" in line}
    assert left_out == {f"datasets/extra/{key}" for key in ("7/broken.png", "7/phone.heic", "readme.txt", "12/c.png")}


def test_pictures_that_add_nothing_do_not_stop_the_retraining(bucket: Bucket) -> None:
    bucket.create("datasets/extra/7/broken.png", b"no picture")
    said: list[str] = []
    data = retraining._data(bucket, {"DIGITS_MNIST": "embedded"}, said.append)
    assert data.extra is None
    assert any("left out" in line for line in said)


# A run


@pytest.fixture
def trainings(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have the trained model for the outcome of every training; gives the time limit of each."""
    limits: list[float] = []
    shutil.copytree(trained.parent / FIELD_FOLDER, tmp_path / "artifacts" / FIELD_FOLDER)

    def run(*arguments: Any, stop: Any, **_: Any) -> Path:
        limits.append(stop._limit_seconds)
        return Path(shutil.copytree(trained, arguments[3] / trained.name, dirs_exist_ok=True))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(job, "run", run)
    monkeypatch.setenv("DIGITS_MNIST", "embedded")
    return limits


EVENT = json.loads((events.FOLDER / "schedule_retrain.json").read_text())


def invoke(seconds: float = 900, event: Any = EVENT) -> dict[str, Any]:
    context = SimpleNamespace(aws_request_id="run-1", get_remaining_time_in_millis=lambda: seconds * 1000)
    return handler(event, context)


def test_a_run_trains_in_the_time_that_is_left_promotes_and_says_so(
    bucket: Bucket, trainings: list[float], trained: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    caplog.set_level(logging.INFO)
    outcome = invoke(seconds=900)
    assert (outcome["outcome"], outcome["version"]) == ("promote", trained.name)
    assert trainings == [900 - retraining.SAFETY_SECONDS]
    assert Registry(bucket).load().manifest.version == trained.name
    assert [each.outcome for each in decisions.recorded(bucket, trained.name)] == ["promote"]
    assert f"{trained.name}: promoted" in caplog.text
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["Outcome"] == "promote"
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Outcome"]]
    assert {metric["Name"] for metric in directive["Metrics"]} <= metrics.keys()
    assert json.loads(json.dumps(outcome)) == outcome


def test_where_nothing_has_changed_it_says_so_and_ends(
    bucket: Bucket, trainings: list[float], trained: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("DIGITS_RETRAIN_RECIPE", "default")
    Registry(bucket).publish(*read_folder(trained))
    Registry(bucket).promote(trained.name)
    decision = Decision(outcome="promote", decided_at=datetime.now(UTC), champion=None)
    decisions.record(bucket, trained.name, decision)
    assert invoke() == {
        "outcome": "unchanged",
        "version": trained.name,
        "decision": decision.model_dump(mode="json"),
    }
    assert trainings == []
    assert "nothing to do" in caplog.text


@pytest.mark.parametrize("killed_after", ["publishing", "recording"])
def test_a_run_that_was_killed_before_it_promoted_is_finished_without_training_again(
    bucket: Bucket, trainings: list[float], trained: Path, killed_after: str
) -> None:
    invoke()
    bucket.delete(POINTER_KEY)
    if killed_after == "publishing":
        bucket.delete(decisions_key(trained.name))
    assert invoke()["outcome"] == "promote"
    assert len(trainings) == 1
    assert Registry(bucket).load().manifest.version == trained.name


def test_what_was_taken_back_is_not_promoted_again(
    bucket: Bucket, trainings: list[float], trained: Path, second_version: Version
) -> None:
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    assert invoke()["outcome"] == "promote"
    Registry(bucket).rollback()
    assert invoke()["outcome"] == "unchanged"
    assert Registry(bucket).live_state().version == second_version[0].version


def test_a_live_model_that_nobody_decided_on_is_left_alone(
    bucket: Bucket, trainings: list[float], trained: Path
) -> None:
    Registry(bucket).publish(*read_folder(trained))
    Registry(bucket).promote(trained.name)
    assert invoke() == {"outcome": "unchanged", "version": trained.name, "decision": None}
    assert decisions.recorded(bucket, trained.name) == []


def test_what_was_live_once_does_not_come_back_over_what_was_promoted_since(
    bucket: Bucket, trainings: list[float], trained: Path, second_version: Version
) -> None:
    assert invoke()["outcome"] == "promote"
    Registry(bucket).publish(*second_version)
    pointer = Registry(bucket).promote(second_version[0].version)
    # Two versions on, the first is neither the live one nor the one before it.
    stored = bucket.get(POINTER_KEY)
    bucket.replace(POINTER_KEY, pointer.model_copy(update={"previous": None}).to_json(), stored.etag)
    assert invoke()["outcome"] == "unchanged"
    assert Registry(bucket).live_state().version == second_version[0].version
    assert len(trainings) == 1


def test_a_challenger_that_is_refused_leaves_the_champion(
    bucket: Bucket, trainings: list[float], second_version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    monkeypatch.setattr(promotion, "LOWEST_ACCURACY", 1.1)
    outcome = invoke()
    assert outcome["outcome"] == "refuse"
    assert Decision.model_validate(outcome["decision"]).failed[0].name == "accuracy"
    assert Registry(bucket).load().manifest == second_version[0]
    assert invoke()["outcome"] == "unchanged"


def test_one_message_tells_the_decision_and_its_figures(
    bucket: Bucket, store: EmbeddedStore, trainings: list[float], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = store.environment()["AWS_ENDPOINT_URL_S3"]
    for service in ("SNS", "SQS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", address)
    topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    monkeypatch.setenv("DIGITS_RETRAIN_TOPIC", topic)
    invoke()
    invoke(event={**EVENT, "scheduled_at": "2126-11-22T03:00:00Z"})  # nothing has changed, which is no news
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    (message,) = [json.loads(each["Body"]) for each in messages]
    assert message["Subject"] == f"Lambda Digits: {trained.name}: promote"
    told = json.loads(message["Message"])
    assert told["decision"]["scores"][0]["version"] == trained.name
    assert len(told["decision"]["checks"]) == 5


def test_a_decision_that_could_not_be_told_is_told_by_the_next_try(
    bucket: Bucket, trainings: list[float], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, Any]] = []

    def tell(_: str, version: str, decision: Any) -> None:
        told.append((version, decision["outcome"]))
        if len(told) == 1:
            raise ConnectionError

    monkeypatch.setattr(retrain_handler, "_tell", tell)
    monkeypatch.setenv("DIGITS_RETRAIN_TOPIC", "topic")
    with pytest.raises(ConnectionError):
        invoke()
    assert invoke()["outcome"] == "unchanged"
    assert told == [(trained.name, "promote")] * 2
    for event in (
        {"scheduled_at": "2126-11-22T03:00:00Z"},
        {"scheduled_at": "<aws.scheduler.scheduled-time>"},
        {},
        None,
    ):
        assert invoke(event=event)["outcome"] == "unchanged"
    assert len(told) == 2


def test_a_run_that_finds_another_at_work_leaves(bucket: Bucket, trainings: list[float]) -> None:
    with held(bucket, "another", MINUTE):
        outcome = invoke()
    assert outcome["outcome"] == "busy"
    assert "another is retraining" in outcome["detail"]
    assert trainings == []


def test_too_little_time_is_an_error_before_the_training_and_gives_the_lease_back(
    bucket: Bucket, trainings: list[float]
) -> None:
    with pytest.raises(OperationError, match="100 seconds left, and 200 are needed"):
        invoke(seconds=100)
    assert trainings == []
    assert Registry(bucket).versions() == []
    with held(bucket, "next", MINUTE):
        pass


def test_what_goes_wrong_is_raised_so_that_lambda_tries_again(
    bucket: Bucket, trainings: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_RETRAIN_RECIPE", "magic")
    with pytest.raises(UnknownRecipeError, match="no recipe 'magic'"):
        invoke()


def test_a_lost_race_is_decided_anew(
    bucket: Bucket, trainings: list[float], trained: Path, second_version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(bucket).publish(*second_version)
    promote = Registry.promote

    def overtaken(registry: Registry, version: str, over: Any = None) -> Any:
        monkeypatch.setattr(Registry, "promote", promote)
        promote(registry, second_version[0].version)
        return promote(registry, version, over)

    monkeypatch.setattr(Registry, "promote", overtaken)
    outcome = invoke()
    assert outcome["decision"]["champion"] == second_version[0].version
    champions = [each.champion for each in decisions.recorded(bucket, trained.name)]
    assert champions == [None, second_version[0].version]
    assert len(trainings) == 1
