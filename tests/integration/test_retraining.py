"""A retraining: its data, what it makes anew and what not, and what it decides. Trainings are real in tests/e2e."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.model.manifest import Manifest
from digits.registry import decisions
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, decisions_key
from digits.registry.versions import Registry
from training import retraining
from training.artifacts import read_folder
from training.dataset import load_subset
from training.distortions import thick_pen
from training.fit import StopRequest
from training.retraining import Retrained, retrain

type Version = tuple[Manifest, dict[str, bytes]]
type Run = Callable[[], Retrained]


# The data


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
def run(bucket: Bucket, trainings: list[float | None], tmp_path: Path) -> Run:
    """Retrains, with the trained model for the outcome of every training."""

    def once() -> Retrained:
        environment = {"DIGITS_MNIST": "embedded"}
        folder = tmp_path / "artifacts"
        return retrain(bucket, "default", folder, stop=StopRequest, environment=environment, say=print)

    return once


@pytest.mark.parametrize("killed_after", ["publishing", "recording"])
def test_a_run_that_was_killed_before_it_promoted_is_finished_without_training_again(
    bucket: Bucket, run: Run, trainings: list[float | None], trained: Path, killed_after: str
) -> None:
    run()
    bucket.delete(POINTER_KEY)
    if killed_after == "publishing":
        bucket.delete(decisions_key(trained.name))
    assert run().outcome == "promote"
    assert len(trainings) == 1
    assert Registry(bucket).load().manifest.version == trained.name


def test_what_was_taken_back_is_not_promoted_again(
    bucket: Bucket, run: Run, second_version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.promotion.comparisons", lambda *_: [])  # whichever of the two reads better
    Registry(bucket).publish(*second_version)
    Registry(bucket).promote(second_version[0].version)
    assert run().outcome == "promote"
    Registry(bucket).rollback()
    assert run().outcome == "unchanged"
    assert Registry(bucket).live_state().version == second_version[0].version


def test_a_live_model_that_nobody_decided_on_is_left_alone(
    bucket: Bucket, run: Run, trainings: list[float | None], trained: Path
) -> None:
    Registry(bucket).publish(*read_folder(trained))
    Registry(bucket).promote(trained.name)
    assert run() == Retrained(trained.name, None, changed=False)
    assert decisions.recorded(bucket, trained.name) == []


def test_what_was_live_once_does_not_come_back_over_what_was_promoted_since(
    bucket: Bucket, run: Run, trainings: list[float | None], trained: Path, second_version: Version
) -> None:
    assert run().outcome == "promote"
    Registry(bucket).publish(*second_version)
    pointer = Registry(bucket).promote(second_version[0].version)
    # Two versions on, the first is neither the live one nor the one before it.
    stored = bucket.get(POINTER_KEY)
    bucket.replace(POINTER_KEY, pointer.model_copy(update={"previous": None}).to_json(), stored.etag)
    assert run().outcome == "unchanged"
    assert Registry(bucket).live_state().version == second_version[0].version
    assert len(trainings) == 1


def test_a_version_that_was_stopped_before_it_had_a_reader_is_trained_again(
    bucket: Bucket, run: Run, trainings: list[float | None], trained: Path, digits_only: Version
) -> None:
    Registry(bucket).publish(*digits_only)
    Registry(bucket).promote(digits_only[0].version)
    retrained = run()
    assert (retrained.version, retrained.outcome) == (trained.name, "promote")
    assert len(trainings) == 1
    assert Registry(bucket).load().manifest.reader is not None


def test_a_retraining_that_made_a_worse_reader_is_refused(
    bucket: Bucket, run: Run, version: Version, forgetful: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = version[0].model_copy(update={"code_sha256": "0" * 64})  # of other code, so that there is something to do
    Registry(bucket).publish(earlier, version[1])
    Registry(bucket).promote(earlier.version)
    folder = Path(tempfile.mkdtemp()) / forgetful[0].version
    for name, data in {**forgetful[1], "manifest.json": forgetful[0].to_json()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    monkeypatch.setattr("training.job.run", lambda *_, **__: folder)
    retrained = run()
    assert (retrained.version, retrained.outcome) == (forgetful[0].version, "refuse")
    assert retrained.decision is not None
    assert "numbers: separated, difference" in {check.name for check in retrained.decision.failed}
    assert Registry(bucket).live_state().version == earlier.version


def test_a_lost_race_is_decided_anew(
    bucket: Bucket, run: Run, trainings: list[float | None], second_version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(bucket).publish(*second_version)
    promote = Registry.promote

    def overtaken(registry: Registry, version: str, over: Any = None) -> Any:
        monkeypatch.setattr(Registry, "promote", promote)
        promote(registry, second_version[0].version)
        return promote(registry, version, over)

    monkeypatch.setattr(Registry, "promote", overtaken)
    retrained = run()
    assert retrained.decision is not None
    assert retrained.decision.live == second_version[0].version
    live = [each.live for each in decisions.recorded(bucket, retrained.version)]
    assert live == [None, second_version[0].version]
    assert len(trainings) == 1
