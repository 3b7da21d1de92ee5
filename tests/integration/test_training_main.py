"""`python -m training test` and `report`: what they print, and how all commands fail."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from tests import events
from tests.commands import assert_fails
from tests.numbers import png, written
from training.__main__ import main
from training.artifacts import REPORT_FOLDER

type Version = tuple[Manifest, dict[str, bytes]]
type Output = pytest.CaptureFixture[str]


# Reading images


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


def test_test_reads_numbers_one_line_for_each_picture(
    published: Bucket, version: Version, tmp_path: Path, capsys: Output
) -> None:
    page = tmp_path / "page.png"
    page.write_bytes(png(written(["207", "92"], gap=40)))
    files = [str(events.NUMBERS / "2026.png"), str(page), str(events.DIGITS / "7.png")]
    assert main(["test", "--number", *files]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "number"
    assert version[0].version in header
    assert [line[:6].strip() for line in lines] == ["2026", "207 92", "7"]
    for line, file in zip(lines, files, strict=True):
        _, confidence, digest, path = line.removesuffix("  (not sure)").rsplit(maxsplit=3)
        assert 0 < float(confidence) <= 1
        assert digest == hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
        assert path == file


def test_test_says_which_numbers_are_not_accepted(
    version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    manifest, files = version
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    assert manifest.reader is not None
    for threshold, printed in ((0.0, "2026.png\n"), (None, "2026.png  (not sure)\n")):
        reader = manifest.reader.model_copy(update={"acceptance_threshold": threshold, "agreement_threshold": 0.0})
        changed = manifest.model_copy(update={"reader": reader})
        loaded = prove(changed, files["model.tflite"], reader=lambda: files["reader.tflite"])
        monkeypatch.setattr("training.__main__._load_last_trained", lambda loaded=loaded: loaded)
        assert main(["test", "--number", str(events.NUMBERS / "2026.png")]) == 0
        assert capsys.readouterr().out.endswith(printed)


def test_test_of_a_number_goes_on_after_a_picture_of_none(published: Bucket, tmp_path: Path, capsys: Output) -> None:
    blank = tmp_path / "blank.png"
    blank.write_bytes(png(np.full((60, 200), 230, np.uint8)))
    assert main(["test", "--number", str(blank), str(events.NUMBERS / "2026.png")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {blank}: ")
    assert captured.err.count("\n") == 1
    assert captured.out.splitlines()[1].split()[0] == "2026"


def test_test_of_a_number_needs_a_model_that_reads_them(bucket: Bucket, digits_only: Version, capsys: Output) -> None:
    Registry(bucket).publish(*digits_only)
    Registry(bucket).promote(digits_only[0].version)
    assert main(["test", str(events.DIGITS / "7.png")]) == 0
    capsys.readouterr()
    status = main(["test", "--number", str(events.NUMBERS / "2026.png")])
    assert_fails(capsys, status, f"{digits_only[0].version} reads single digits only: it has no reader of numbers")


def test_without_a_bucket_numbers_are_read_by_the_last_trained_model(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    monkeypatch.setattr("training.__main__.OUTPUT", trained.parent)
    assert main(["test", "--number", str(events.NUMBERS / "2026.png")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "2026"


def test_without_a_bucket_test_takes_the_last_trained_model_and_says_so(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    monkeypatch.setattr("training.__main__.OUTPUT", trained.parent)
    assert main(["test", str(events.DIGITS / "7.png")]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert f"(model {trained.name} of {trained.parent}/, as DIGITS_BUCKET is not set)" in header
    assert line.split()[0] == "7"


@pytest.mark.parametrize(
    ("thresholds", "printed"),
    [
        ({"acceptance_threshold": 0.2, "rejection_threshold": 0.1}, "7.png\n"),
        ({"acceptance_threshold": 1.0, "rejection_threshold": 0.1}, "7.png  (not sure)\n"),
        ({"acceptance_threshold": 1.0, "rejection_threshold": 1.0}, "7.png: This looks like no digit\n"),
    ],
)
def test_test_says_what_is_not_accepted_and_what_is_no_digit(
    version: Version, thresholds: dict[str, float], printed: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    loaded = prove(version[0].model_copy(update=thresholds), version[1]["model.tflite"])
    monkeypatch.setattr("training.__main__._load_last_trained", lambda: loaded)
    status = main(["test", str(events.DIGITS / "7.png")])
    captured = capsys.readouterr()
    assert (captured.out + captured.err).endswith(printed)
    assert status == (2 if captured.err else 0)


def test_what_was_trained_is_proved_before_it_reads_anything(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    shutil.copytree(trained, tmp_path / trained.name)
    (tmp_path / trained.name / "model.tflite").write_bytes(b"damaged")
    assert_fails(capsys, main(["test", str(events.DIGITS / "7.png")]), "does not have the digest of its manifest")


# Reports


def test_report_names_and_sums_up_a_version_trained_here(
    trained: Path, version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", trained.parent)
    assert main(["report", trained.name]) == 0
    printed = capsys.readouterr().out
    assert f"test accuracy      {version[0].test.accuracy:.2%}" in printed
    assert printed.splitlines()[-1].endswith(f"{trained.name}/report/index.html")
    assert main(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == trained.name


def test_report_fetches_a_published_version(
    published: Bucket, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    assert main(["report", trained.name]) == 0
    for path in (trained / REPORT_FOLDER).iterdir():
        assert (tmp_path / trained.name / REPORT_FOLDER / path.name).read_bytes() == path.read_bytes()
    assert main(["report", "20260101T000000Z-00000000"]) == 2
    assert "no model '20260101T000000Z-00000000' is published" in capsys.readouterr().err


def test_a_damaged_report_is_not_fetched(
    published: Bucket, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    key = f"models/{version[0].version}/report/index.html"
    published.replace(key, b"<script>", published.get(key).etag)
    assert main(["report", version[0].version]) == 2
    assert "report/index.html of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_report_of_a_model_without_one_is_told(
    bucket: Bucket, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("training.__main__.OUTPUT", tmp_path)
    manifest, files = version
    names = ["model.keras", "model.tflite"]
    bare = manifest.model_copy(update={"files": {name: manifest.files[name] for name in names}})
    Registry(bucket).publish(bare, {name: files[name] for name in names})
    assert main(["report", manifest.version]) == 2
    assert "was published without a report" in capsys.readouterr().err


# How commands fail


def test_test_before_the_first_model_says_so(bucket: Bucket, capsys: Output) -> None:
    assert_fails(capsys, main(["test", "7.png"]), "no model has been published yet")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["train", "--help"], ["fly"]])
def test_help_is_for_people(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert stopped.value.code == (0 if "--help" in arguments else 2)
    assert "usage: python -m training" in captured.out + captured.err


@pytest.mark.parametrize(
    "command",
    [["models"], ["publish"], ["test", "7.png"], ["rollback"], ["verify", "x"], ["prune", "--keep", "1"], ["retrain"]],
)
def test_without_a_bucket_the_variable_is_named(
    command: list[str], tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITS_BUCKET", raising=False)
    monkeypatch.chdir(tmp_path)  # where nothing has been trained
    assert_fails(capsys, main(command), "DIGITS_BUCKET")


@pytest.mark.usefixtures("unreachable_store")
@pytest.mark.parametrize("command", [["models"], ["test", "7.png"], ["train"], ["retrain"]])
def test_an_unreachable_store_is_one_line(command: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    assert_fails(capsys, main(command), "did not answer")
