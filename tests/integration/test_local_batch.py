"""`make batch` on this machine: folders and archives, a model of its own or an API, stopped and gone on with."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.errors import ConfigurationError, ConflictError, StoreError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from functions.batch.answering import NUMBERS, Reading
from functions.batch.results import Document
from local import batch
from local.__main__ import main
from local.api_client import ApiTestError
from tests import events
from tests.conftest import ROOT

TOKEN = "of this test alone"


@pytest.fixture
def artifacts(trained: Path) -> Path:
    return trained.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sample digits in folders that tell what they show, and what else lies in folders."""
    made = tmp_path / "scans"
    for digit in range(10):
        (made / str(digit)).mkdir(parents=True)
        (made / str(digit) / "a.png").write_bytes(events.digit_file(digit))
    (made / ".DS_Store").write_bytes(b"x")
    (made / "notes.txt").write_text("hello")
    return made


def lines_of(path: Path) -> list[Document]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_is_read_into_a_table(
    folder: Path, artifacts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["batch", str(folder), "--out", str(out), "--artifacts", str(artifacts)]) == 0
    lines = lines_of(out / "scans.jsonl")
    assert [line.get("pred") for line in lines] == [*range(10), None]
    assert "not a PNG" in lines[-1]["problem"]["detail"]
    assert {path.name for path in out.iterdir()} == {"scans.jsonl", "scans.summary.json", "scans.confusion.png"}
    with Image.open(out / "scans.confusion.png") as drawn:
        assert min(drawn.size) > 300
    printed = capsys.readouterr().out
    assert "10 of 10 (100.00%)" in printed
    assert "label" in printed
    assert str(out / "scans.jsonl") in printed


def test_an_archive_has_the_same_lines_but_for_names_of_the_folder(
    folder: Path, artifacts: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "scans.tar.gz", "w:gz") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.add(path, path.relative_to(folder))
    one = batch.run(folder, tmp_path / "one", Reading(), output=artifacts)
    other = batch.run(tmp_path / "scans.tar.gz", tmp_path / "other", Reading(), output=artifacts)
    assert one["lines"]["sha256"] == other["lines"]["sha256"]


def test_numbers_and_their_length(artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "2026.png").write_bytes(events.number_file())
    batch.run(tmp_path / "2026.png", tmp_path / "out", Reading(NUMBERS, "4"), output=artifacts)
    (line,) = lines_of(tmp_path / "out/2026.png.jsonl")
    assert line["text"] == "2026"


def test_a_length_that_cannot_be_is_told(tmp_path: Path, artifacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "2026.png").write_bytes(events.number_file())
    options = ["--out", str(tmp_path / "out"), "--artifacts", str(artifacts), "--length", "a lot"]
    assert main(["batch", str(tmp_path / "2026.png"), *options]) == 2
    assert capsys.readouterr().err.startswith("error: 'length' must be a number of digits")
    assert not (tmp_path / "out").exists()


def test_a_manifest_names_files_beside_it(folder: Path, artifacts: Path, tmp_path: Path) -> None:
    manifest = folder / "list.csv"
    manifest.write_text("file,label\n3/a.png,3\nnone.png,4\n../secret.png,5\n")
    (tmp_path / "secret.png").write_bytes(events.digit_file(5))
    summary = batch.run(manifest, tmp_path / "out", Reading(), output=artifacts)
    assert summary["pictures"] == 3
    assert summary["problems"]["there is no such object"] == 1


def test_an_api_says_the_same(folder: Path, artifacts: Path, tmp_path: Path, site: str, published: Bucket) -> None:
    tokens.add(published, "batch", TOKEN)
    here = batch.run(folder, tmp_path / "here", Reading(), output=artifacts)
    there = batch.run(folder, tmp_path / "there", Reading(), url=site, token=TOKEN)
    assert here["lines"]["sha256"] == there["lines"]["sha256"]
    assert here["model"] == there["model"]


def test_numbers_over_an_api(tmp_path: Path, site: str, published: Bucket) -> None:
    tokens.add(published, "batch", TOKEN)
    frames = [Image.open(io.BytesIO(events.number_file()))] * 2
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    batch.run(tmp_path / "pages.tif", tmp_path / "out", Reading(NUMBERS, "4"), url=site, token=TOKEN)
    assert [line["text"] for line in lines_of(tmp_path / "out/pages.tif.jsonl")] == ["2026", "2026"]


def test_an_api_that_refuses_is_told_and_gone_on_with(
    folder: Path, tmp_path: Path, site: str, published: Bucket
) -> None:
    tokens.add(published, "batch", TOKEN)
    with pytest.raises(ApiTestError, match="answered 401"):
        batch.run(folder, tmp_path / "out", Reading(), url=site, token="wrong")
    with pytest.raises(ApiTestError, match="does not tell which model answers"):
        batch.run(folder, tmp_path / "out", Reading(), url="http://127.0.0.1:9", token=TOKEN)
    assert batch.run(folder, tmp_path / "out", Reading(), url=site, token=TOKEN)["pictures"] == 11


def test_what_is_not_there_is_told(tmp_path: Path, artifacts: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file or folder"):
        batch.run(tmp_path / "none", tmp_path / "out", Reading(), output=artifacts)


def test_a_full_disk_leaves_nothing_that_looks_whole(
    folder: Path, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(StoreError, match="No space left on device"):
            batch.run(folder, out, Reading(), output=artifacts)
    assert not [path for path in out.rglob("*") if path.is_file()]
    assert batch.run(folder, out, Reading(), output=artifacts)["pictures"] == 11


def test_another_question_is_not_answered_with_the_result_of_the_last_one(
    folder: Path, artifacts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = batch.run(folder, tmp_path / "out", Reading(), output=artifacts)
    assert batch.run(folder, tmp_path / "out", Reading(), output=artifacts) == first
    assert "read before, at" in capsys.readouterr().out
    with pytest.raises(ConflictError, match="read otherwise"):
        batch.run(folder, tmp_path / "out", Reading(NUMBERS), output=artifacts)
    (folder / "labels.csv").write_text("name,label\n7/a.png,1\n")
    with pytest.raises(ConflictError, match="of another input"):
        batch.run(folder, tmp_path / "out", Reading(), output=artifacts)


def test_a_file_that_a_manifest_names_is_part_of_the_question(folder: Path, artifacts: Path, tmp_path: Path) -> None:
    manifest = folder / "list.csv"
    manifest.write_text("file,label\n3/a.png,3\n")
    batch.run(manifest, tmp_path / "out", Reading(), output=artifacts)
    (folder / "3/a.png").write_bytes(events.digit_file(8))
    with pytest.raises(ConflictError, match="of another input"):
        batch.run(manifest, tmp_path / "out", Reading(), output=artifacts)


def test_results_inside_of_the_folder_are_no_input(folder: Path, artifacts: Path) -> None:
    first = batch.run(folder, folder / "out", Reading(), output=artifacts)
    assert batch.run(folder, folder / "out", Reading(), output=artifacts) == first


def test_what_is_hidden_is_passed_over(folder: Path, artifacts: Path, tmp_path: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("[core]")
    assert batch.run(folder, tmp_path / "out", Reading(), output=artifacts)["pictures"] == 11


def test_an_input_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", ""]) == 2
    assert capsys.readouterr().err == "error: name a folder, an archive or a file: make batch INPUT=…\n"


def test_names_that_are_no_text_are_read(folder: Path, artifacts: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"7/\xff.png")).write_bytes(events.digit_file(7))
    assert batch.run(folder, tmp_path / "out", Reading(), output=artifacts)["pictures"] == 12


def test_one_picture_that_is_too_large_for_an_api_is_a_line(
    folder: Path, tmp_path: Path, site: str, published: Bucket
) -> None:
    tokens.add(published, "batch", TOKEN)
    noise = np.random.default_rng(1).integers(0, 256, (1_500, 3_000), np.uint8)
    Image.fromarray(noise).save(folder / "8/large.png")
    summary = batch.run(folder, tmp_path / "out", Reading(), url=site, token=TOKEN)
    assert (summary["pictures"], summary["outcomes"]["unusable"]) == (12, 2)
    assert any("bytes that are served" in detail for detail in summary["problems"])


@pytest.mark.parametrize("kind", ["digits", NUMBERS])
def test_forms_are_read_over_an_api_as_they_are_here(
    artifacts: Path, tmp_path: Path, site: str, published: Bucket, kind: str
) -> None:
    tokens.add(published, "batch", TOKEN)
    form = json.loads(events.load("http_v2_read_form")["body"])
    good = {name: form[name] for name in ("image", "fields")}
    lines = [good, {"image": good["image"], "fields": [{"name": "a", "box": [0, 0, 0, 0]}]}, {"image": good["image"]}]
    (tmp_path / "forms.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    here = batch.run(tmp_path / "forms.jsonl", tmp_path / "here", Reading(kind), output=artifacts)
    there = batch.run(tmp_path / "forms.jsonl", tmp_path / "there", Reading(kind), url=site, token=TOKEN)
    assert here["lines"]["sha256"] == there["lines"]["sha256"]
    assert (here["outcomes"].get("accepted", 0) + here["outcomes"].get("not accepted", 0) >= 2) == (kind == NUMBERS)


@pytest.fixture
def many(folder: Path) -> Path:
    """A few thousand pictures, which take seconds."""
    for digit in range(10):
        for number in range(300):
            shutil.copy(folder / str(digit) / "a.png", folder / str(digit) / f"{number:03}.png")
    return folder


def started(many: Path, out: Path, artifacts: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "local", "batch", str(many), "--out", str(out), "--artifacts", str(artifacts)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_keeps_its_place(many: Path, artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(many, out, artifacts)
    while process.poll() is None and not list(out.glob(".batch/work/*/claim.json")):
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on there" in printed
    assert "Traceback" not in printed
    assert not list(out.glob("*"))[1:]  # the hidden folder alone
    gone_on = batch.run(many, out, Reading(), output=artifacts)
    whole = batch.run(many, tmp_path / "whole", Reading(), output=artifacts)
    assert gone_on["lines"]["sha256"] == whole["lines"]["sha256"]
    assert gone_on["invocations"] == 2
