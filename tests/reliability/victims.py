"""What is killed: a process that publishes, promotes, retrains or reads a batch, each by the product's own code."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from digits.registry.bucket import Bucket
from digits.registry.decisions import Decision
from digits.registry.layout import BATCH_IN
from digits.registry.versions import Registry
from functions.batch import handler as batch
from functions.batch import reading
from functions.retrain import handler as retraining_function
from tests import events
from tests.batches import Context, dropped
from tests.reliability.logs import keep_logs
from training import job, promotion, retraining
from training.artifacts import read_folder

PART_LINES = 4  # so that a batch of twelve pictures is read in parts
PICTURES = 12


def one_batch(bucket: Bucket, name: str) -> str:
    """Drop an archive of digits into the bucket, and return its key."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(PICTURES):
            archive.writestr(zipfile.ZipInfo(f"{number}.png"), events.digit_file(number % 10))
    key = f"{BATCH_IN}{name}"
    bucket.create(key, file.getvalue())
    return key


def publish(environment: dict[str, str], version: Any) -> None:
    """Publish a version."""
    _begin(environment)
    Registry(Bucket.from_environment(os.environ)).publish(*version)


def promote(environment: dict[str, str], version: str) -> None:
    """Decide on a version, and promote it."""
    _begin(environment)
    bucket = Bucket.from_environment(os.environ)
    holdout = Registry(bucket).manifest(version).dataset.holdout_sha256
    dataset: Any = SimpleNamespace(holdout=SimpleNamespace(sha256=lambda: holdout))
    with _no_judging():
        promotion.promote(bucket, version, dataset, None)  # type: ignore[arg-type]


def read_batch(environment: dict[str, str], key: str) -> None:
    """Read a batch, in parts."""
    _begin(environment)
    reading.PART_LINES = PART_LINES
    batch.handler(dropped(key), Context("one", 60))


def retrain(environment: dict[str, str], trained: str, request_id: str, seconds: float) -> None:
    """Retrain by schedule, with a training that has been done already."""
    _begin(environment)
    folder = Path(trained)
    holdout = read_folder(folder)[0].dataset.holdout_sha256
    data: Any = SimpleNamespace(training=None, holdout=SimpleNamespace(sha256=lambda: holdout))

    def run(*arguments: Any, **_: Any) -> Path:
        return Path(shutil.copytree(folder, arguments[3] / folder.name, dirs_exist_ok=True))

    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.object(tempfile, "tempdir", name),
        mock.patch.object(job, "run", run),
        mock.patch.object(job, "judging_parts"),
        mock.patch.object(retraining, "additions"),
        mock.patch.object(retraining, "_data", return_value=data),
        mock.patch.object(retraining, "made_from", return_value=True),
        mock.patch.object(retraining, "judging"),
        mock.patch.object(retraining_function, "SAFETY_SECONDS", 0.0),
        mock.patch.object(retraining_function, "LEAST_SECONDS", 0.0),
        _no_judging(),
    ):
        retraining_function.handler({}, Context(request_id, seconds))


def _no_judging() -> Any:
    """Have everything be found good, as figures take long and are not what is tried here."""

    def decide(live: Any, challenger: Any, judging: Any, **_: Any) -> Decision:
        return Decision(outcome="promote", decided_at=promotion._now(), live=live.manifest.version if live else None)

    return mock.patch.object(promotion, "decide", decide)


def _begin(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    keep_logs()


type Victim = Callable[..., None]
