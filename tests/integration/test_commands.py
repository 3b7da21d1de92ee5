"""The command lines: what they print, and how they fail."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import digits.__main__ as digits_command
from digits.model.manifest import Manifest
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, manifest_key
from digits.registry.tokens import TokenSet
from digits.registry.versions import Registry
from tests import events
from training import dataset, promotion, robustness
from training.__main__ import main
from training.dataset import load_subset

type Version = tuple[Manifest, dict[str, bytes]]
type Output = pytest.CaptureFixture[str]


def assert_fails(output: Output, status: int, message: str) -> None:
    """One line on standard error, exit status 2."""
    error = output.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert message in error


@pytest.fixture
def at_home(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the trained version's folder `artifacts` is."""
    monkeypatch.chdir(trained.parents[1])


@pytest.fixture
def costly(at_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every model cost more than it may."""
    monkeypatch.setattr(promotion, "MOST_MULTIPLY_ADDS", 1_000)


def test_test_reads_files_in_order_each_with_its_digest(published: Bucket, version: Version, capsys: Output) -> None:
    files = [str(events.DIGITS / f"{digit}.png") for digit in (7, 1, 7)]
    assert main(["test", *files]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert version[0].version in header
    assert [line.split()[0] for line in lines] == ["7", "1", "7"]
    assert [line.split()[3] for line in lines] == files
    assert [line.split()[2] for line in lines] == [
        hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] for file in files
    ]


def test_test_goes_on_after_a_bad_file_and_says_so_at_the_end(
    published: Bucket, tmp_path: Path, capsys: Output
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    status = main(["test", str(bad), str(events.DIGITS / "7.png")])
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith(f"error: {bad}: the bytes are not a PNG, JPEG")
    assert captured.err.count("\n") == 1
    assert captured.out.splitlines()[1].split()[0] == "7"


def test_publish_makes_a_trained_folder_current(
    bucket: Bucket, trained: Path, version: Version, capsys: Output
) -> None:
    assert main(["publish", str(trained)]) == 0
    assert f"current is {version[0].version}" in capsys.readouterr().out
    assert Registry(bucket).load().manifest == version[0]


def test_models_marks_the_current_one(published: Bucket, version: Version, capsys: Output) -> None:
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
    assert "of 35 checks passed" in shown
    assert f"current is {second}, before it {first}" in shown
    assert main(["rollback", "--dry-run"]) == 0
    assert f"current would be {first}, and {second} taken back" in capsys.readouterr().out
    assert main(["rollback", "--reason", "only a test"]) == 0
    assert f"current is {first}, and {second} taken back" in capsys.readouterr().out
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
    assert f"current is {version[0].version}, as before" in shown
    assert Registry(published).load().manifest == version[0]
    assert_fails(capsys, main(["promote", second_version[0].version, "--force", " "]), "--force needs a reason")


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
    assert "what is current cannot be read" in shown
    assert "schema_version" in next(line for line in shown.splitlines() if version[0].version in line)
    assert main(["promote", second_version[0].version, "--force", "the other is of a newer release"]) == 0
    assert Registry(published).load().manifest == second_version[0]


def test_promoting_needs_the_holdout_that_the_model_was_chosen_on(
    published: Bucket, version: Version, second_version: Version, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(published).publish(*second_version)
    subset = load_subset()
    monkeypatch.setattr(dataset, "find", lambda *_: replace(subset, holdout=subset.test))
    monkeypatch.setattr(robustness, "field_digits", lambda *_: None)
    status = main(["promote", second_version[0].version])
    assert_fails(capsys, status, "has another: name the data set that it was trained on")


def test_models_of_an_empty_bucket_are_none(bucket: Bucket, capsys: Output) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].strip() == "none"


def test_training_on_the_embedded_digits_is_better_than_96_percent(version: Version) -> None:
    manifest, _ = version
    assert manifest.test.accuracy > 0.96
    assert manifest.test.count == 500
    assert manifest.dataset.name == "mnist-subset-5000"
    assert manifest.recipe.hyperparameters["epochs"] > 5
    assert {"model.tflite", "model.keras"} <= manifest.files.keys()
    assert len(manifest.goldens) == 10
    low, high = manifest.test.accuracy_interval
    assert low < manifest.test.accuracy < high


def test_tokens_are_issued_listed_and_revoked(bucket: Bucket, capsys: Output) -> None:
    assert digits_command.main(["token", "web"]) == 0
    token = capsys.readouterr().out.strip()
    assert TokenSet.from_json(bucket.get(TOKENS_KEY).data).name_of(token) == "web"
    assert digits_command.main(["tokens"]) == 0
    assert capsys.readouterr().out.startswith("web  since 20")
    assert digits_command.main(["revoke", "web"]) == 0
    assert json.loads(bucket.get(TOKENS_KEY).data) == {}


# How they fail


def test_an_unknown_recipe_is_told_with_the_known_ones(tmp_path: Path, capsys: Output, store: object) -> None:
    status = main(["train", "--recipe", "magic", "--data", "embedded", "--output", str(tmp_path / "out")])
    assert_fails(capsys, status, "no recipe 'magic'; there are: best, default, quick, reference")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [None, b"damaged"])
def test_missing_or_damaged_data_stops_before_anything_is_written(
    tmp_path: Path, data: bytes | None, capsys: Output, store: object
) -> None:
    path = tmp_path / "mnist.npz"
    if data is not None:
        path.write_bytes(data)
    status = main(["train", "--data", str(path), "--output", str(tmp_path / "out")])
    assert_fails(capsys, status, str(path))
    assert not (tmp_path / "out").exists()


def test_data_of_a_wrong_digest_in_the_bucket_is_refused(
    bucket: Bucket, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    archive = tmp_path / "swapped.npz"
    shapes = {"x_train": (60_000, 28, 28), "y_train": (60_000,), "x_test": (10_000, 28, 28), "y_test": (10_000,)}
    np.savez_compressed(archive, **{name: np.zeros(shape, np.uint8) for name, shape in shapes.items()})  # type: ignore[arg-type]
    bucket.create("datasets/mnist.npz", archive.read_bytes())
    status = main(["train", "--output", str(tmp_path / "out")])
    assert_fails(capsys, status, "s3://lambda-digits/datasets/mnist.npz: x_train is damaged or not MNIST")


def test_a_failed_training_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training import job, recipes
    from training.dataset import load_subset

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "field_digits", lambda *_: {})
    monkeypatch.setattr(job, "fit", fail)
    with pytest.raises(KeyboardInterrupt):
        job.run(recipes.find_recipe("default"), load_subset(), 1, tmp_path, say=print)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["models"], ["publish"], ["test", "7.png"], ["rollback"], ["verify", "x"], ["prune", "--keep", "1"]]
)
def test_without_a_bucket_the_variable_is_named(
    command: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    assert_fails(capsys, main(command), "DIGITS_BUCKET")


@pytest.mark.usefixtures("unreachable_store")
@pytest.mark.parametrize("command", [["models"], ["test", "7.png"], ["train"]])
def test_an_unreachable_store_is_one_line(command: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    assert_fails(capsys, main(command), "did not answer")


@pytest.mark.usefixtures("unreachable_store")
def test_a_token_for_an_unreachable_store_is_one_line(capsys: Output) -> None:
    assert_fails(capsys, digits_command.main(["token", "web"]), "did not answer")


def test_test_before_the_first_model_says_so(bucket: Bucket, capsys: Output) -> None:
    assert_fails(capsys, main(["test", "7.png"]), "no model has been published yet")


def test_publish_without_a_trained_model_says_so(
    bucket: Bucket, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_fails(capsys, main(["publish"]), "train one first")
    assert_fails(capsys, main(["publish", str(tmp_path)]), "holds no trained model")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["train", "--help"], ["fly"]])
def test_help_is_for_people(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert stopped.value.code == (0 if "--help" in arguments else 2)
    assert "usage: python -m training" in captured.out + captured.err
