"""The commands on published models: what they print, and how they fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.registry import pointer, versions
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, manifest_key, object_key
from digits.registry.versions import Registry
from tests.commands import assert_fails
from training import dataset, judging, promotion
from training.__main__ import main
from training.dataset import load_subset
from training.distortions import ROWS
from training.numbers import KINDS

type Version = tuple[Manifest, dict[str, bytes]]
type Output = pytest.CaptureFixture[str]


@pytest.fixture
def at_home(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the trained version's folder `artifacts` is."""
    monkeypatch.chdir(trained.parents[1])


@pytest.fixture
def costly(at_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every model cost more than it may."""
    monkeypatch.setattr(promotion, "MOST_MULTIPLY_ADDS", 1_000)


def test_publish_makes_a_trained_folder_live(bucket: Bucket, trained: Path, version: Version, capsys: Output) -> None:
    assert main(["publish", str(trained)]) == 0
    assert f"live is {version[0].version}" in capsys.readouterr().out
    assert Registry(bucket).load().manifest == version[0]


@pytest.fixture
def read_and_proved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are read from here on, and `prove` for each proof."""
    seen: list[str] = []
    get, proof = Bucket.get, prove

    def reading(self: Bucket, key: str) -> Any:
        seen.append(key)
        return get(self, key)

    def proving(*arguments: Any, **options: Any) -> Any:
        seen.append("prove")
        return proof(*arguments, **options)

    monkeypatch.setattr(Bucket, "get", reading)
    for module in (pointer, versions):
        monkeypatch.setattr(module, "prove", proving)
    return seen


def test_publishing_reads_nothing_back_and_proves_once(
    bucket: Bucket, trained: Path, version: Version, read_and_proved: list[str]
) -> None:
    assert main(["publish", str(trained)]) == 0
    assert not [key for key in read_and_proved if key.startswith(f"models/{version[0].version}/")]
    assert read_and_proved.count("prove") == 1


def test_promoting_reads_and_proves_the_challenger_once(
    published: Bucket, at_home: None, second_version: Version, read_and_proved: list[str]
) -> None:
    second = second_version[0].version
    Registry(published).publish(*second_version)
    read_and_proved.clear()
    assert main(["promote", second, "--force", "for a test"]) == 0
    read = sorted(key for key in read_and_proved if key.startswith(f"models/{second}/"))
    assert read == [f"models/{second}/{name}" for name in ("manifest.json", "model.tflite", "reader.tflite")]
    assert read_and_proved.count("prove") == 2  # the live model, and the challenger


def test_models_marks_the_live_one(published: Bucket, version: Version, capsys: Output) -> None:
    assert main(["models"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith(f"*  {version[0].version}")
    assert f"{version[0].test.accuracy:.2%}" in line


def test_a_model_is_promoted_taken_back_verified_pinned_and_pruned(
    published: Bucket, at_home: None, version: Version, second_version: Version, capsys: Output
) -> None:
    first, second = version[0].version, second_version[0].version
    Registry(published).publish(*second_version)
    assert main(["promote", second, "--force", "for a test", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("nothing was changed\n")
    assert Registry(published).load().manifest == version[0]
    assert main(["promote", second, "--force", "for a test"]) == 0
    shown = capsys.readouterr().out
    assert f"{second}: promoted" in shown
    assert f"over {first}" in shown
    families = version[0].holdout_outliers
    assert families is not None
    # Framed pictures are not compared; whether there is a reader, and its size and operations, are three more.
    checks = 18 + 2 * len(ROWS) + 2 * len(families) + 3 + 2 * len(KINDS)
    assert f"of {checks} checks passed" in shown
    assert f"live is {second}, before it {first}" in shown
    assert main(["rollback", "--dry-run"]) == 0
    assert f"live would be {first}, and {second} taken back" in capsys.readouterr().out
    assert main(["rollback", "--reason", "only a test"]) == 0
    assert f"live is {first}, and {second} taken back" in capsys.readouterr().out
    assert_fails(capsys, main(["rollback"]), f"{second} was taken back itself")
    assert main(["verify", first]) == 0
    assert "10 golden answers are right" in capsys.readouterr().out
    assert main(["models"]) == 0
    lines = {line[3:28]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines[first].startswith("* ")
    assert lines[second].startswith("< ")
    assert lines[second].endswith("take back")
    assert main(["pin", second]) == main(["unpin", second]) == 0
    assert main(["prune", "--keep", "0", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("0 would go\n")


def test_a_model_that_is_refused_is_told_why_and_changes_nothing(
    costly: None, published: Bucket, version: Version, second_version: Version, capsys: Output
) -> None:
    Registry(published).publish(*second_version)
    assert main(["promote", second_version[0].version]) == 1
    shown = capsys.readouterr().out
    assert "refused, over" in shown
    assert "failed: multiply-adds: " in shown
    assert f"live is {version[0].version}, as before" in shown
    assert Registry(published).load().manifest == version[0]
    assert_fails(capsys, main(["promote", second_version[0].version, "--force", " "]), "--force needs a reason")


def test_a_model_whose_reader_got_worse_is_refused_and_told_why(
    published: Bucket, at_home: None, version: Version, forgetful: Version, capsys: Output
) -> None:
    Registry(published).publish(*forgetful)
    assert main(["promote", forgetful[0].version]) == 1
    shown = capsys.readouterr().out
    assert f"{forgetful[0].version}: refused, over {version[0].version}" in shown
    failed = {line.split(": ", 1)[1].rsplit(": ", 1)[0] for line in shown.splitlines() if "failed: " in line}
    assert "numbers: separated, difference" in failed  # of other kinds it may have read few before
    assert all(name.startswith("numbers: ") for name in failed)
    assert f"live is {version[0].version}, as before" in shown
    assert Registry(published).load().manifest == version[0]


def test_a_first_reader_is_promoted_and_not_given_up_again_but_can_be_taken_back(
    bucket: Bucket, at_home: None, version: Version, digits_only: Version, capsys: Output
) -> None:
    registry, name, without = Registry(bucket), version[0].version, digits_only[0].version
    for each in (version, digits_only):
        registry.publish(*each)
    registry.promote(without)
    assert main(["promote", name]) == 0
    assert f"live is {name}, before it {without}" in capsys.readouterr().out
    assert main(["rollback", "--reason", "numbers are wrong"]) == 0
    assert registry.load().manifest.reader is None
    assert main(["promote", name]) == 0
    capsys.readouterr()
    assert main(["promote", without]) == 1
    assert "failed: readers of numbers: 0, wanted at least 1" in capsys.readouterr().out
    assert registry.live_state().version == name
    assert main(["promote", without, "--force", "numbers are not needed"]) == 0
    assert registry.live_state().version == without


def test_a_live_version_whose_reader_is_damaged_is_replaced_by_force_alone(
    published: Bucket, at_home: None, version: Version, second_version: Version, capsys: Output
) -> None:
    key = object_key(version[0].version, "reader.tflite")
    published.replace(key, b"damaged", published.get(key).etag)
    Registry(published).publish(*second_version)
    assert main(["promote", second_version[0].version]) == 1
    assert "failed: live models that can be scored: 0, wanted at least 1" in capsys.readouterr().out
    assert main(["promote", second_version[0].version, "--force", "its reader is damaged"]) == 0
    assert Registry(published).live_state().version == second_version[0].version


def test_what_cannot_be_read_is_not_replaced_without_force(
    at_home: None, published: Bucket, version: Version, second_version: Version, capsys: Output
) -> None:
    newer = json.loads(version[0].to_json()) | {"schema_version": 99}
    key = manifest_key(version[0].version)
    published.replace(key, json.dumps(newer).encode(), published.get(key).etag)
    Registry(published).publish(*second_version)
    assert main(["promote", second_version[0].version]) == 1
    assert "failed: live models that can be scored: 0, wanted at least 1" in capsys.readouterr().out
    assert Registry(published).live_state().version == version[0].version
    pointer = published.get(POINTER_KEY)
    published.replace(POINTER_KEY, b"{", pointer.etag)
    assert main(["promote", second_version[0].version]) == 1
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "what is live cannot be read" in shown
    assert "schema_version" in next(line for line in shown.splitlines() if version[0].version in line)
    assert main(["promote", second_version[0].version, "--force", "the other is of a newer release"]) == 0
    assert Registry(published).load().manifest == second_version[0]


def test_promoting_needs_the_holdout_that_the_model_was_chosen_on(
    published: Bucket, version: Version, second_version: Version, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(published).publish(*second_version)
    subset = load_subset()
    monkeypatch.setattr(dataset, "find", lambda *_: replace(subset, holdout=subset.test))
    monkeypatch.setattr(judging, "judging", lambda *_, **__: None)
    status = main(["promote", second_version[0].version])
    assert_fails(capsys, status, "has another: name the data set that it was trained on")


def test_models_of_an_empty_bucket_are_none(bucket: Bucket, capsys: Output) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].strip() == "none"


# How they fail


def test_publish_without_a_trained_model_says_so(
    bucket: Bucket, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_fails(capsys, main(["publish"]), "train one first")
    assert_fails(capsys, main(["publish", str(tmp_path)]), "holds no trained model")
