"""The makefile's builds are made when what they are made of has changed, and not otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["template.yaml", "samconfig.toml", "functions/predict_api/app.py", "layers/digits/digits/reading.py"]
IMAGE_SOURCES = [".dockerignore", "requirements/train.txt", "training/job.py"]
# SAM empties the folder first and writes the template last; where there is a file `broken`, it fails in between.
PROGRAMS = {
    ".venv/bin/sam": "echo $* >> calls; rm -rf .aws-sam/build; mkdir -p .aws-sam/build; test ! -e broken || exit 1\n"
    "case $* in *--exclude*) ;; *) echo $RANDOM > image;; esac; echo > .aws-sam/build/template.yaml",
    ".venv/bin/docker": "cat image",
    "local/setup": "",
}
ALL = "build --parameter-overrides Architecture=x86_64"
BUT_THE_IMAGE = f"{ALL} --exclude RetrainFunction"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The makefile in a folder with some sources, and programs that only take down how they are called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (*SOURCES, *IMAGE_SOURCES, *PROGRAMS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{PROGRAMS.get(name, '')}\n")
        path.chmod(0o755)
    return tmp_path


def builds(checkout: Path, *targets: str) -> list[str]:
    """Return how SAM is called while one target is made after another."""
    for target in targets:
        subprocess.run(["make", "-C", str(checkout), target], capture_output=True, check=False)
    calls = checkout / "calls"
    found = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return found


def test_nothing_is_built_twice(checkout: Path) -> None:
    assert builds(checkout, "build", "build") == [BUT_THE_IMAGE]
    assert builds(checkout, "build-all", "build-all") == [ALL]


def test_the_build_of_everything_serves_for_the_one_without_the_image_but_not_the_other_way(checkout: Path) -> None:
    assert builds(checkout, "build-all", "build", "build-all") == [ALL]
    (checkout / SOURCES[0]).write_text("changed")
    assert builds(checkout, "build", "build-all", "build") == [BUT_THE_IMAGE, ALL]


@pytest.mark.parametrize("source", SOURCES)
def test_a_changed_source_is_built(checkout: Path, source: str) -> None:
    builds(checkout, "build-all")
    (checkout / source).write_text("changed")
    os.utime(checkout / source, (0, 0))  # as a file that is moved there from elsewhere
    assert builds(checkout, "build", "build") == [BUT_THE_IMAGE]
    assert builds(checkout, "build-all", "build-all") == [ALL]


@pytest.mark.parametrize("source", IMAGE_SOURCES)
def test_a_changed_source_of_the_image_alone_is_built_with_the_image(checkout: Path, source: str) -> None:
    builds(checkout, "build-all")
    (checkout / source).write_text("changed")
    assert builds(checkout, "build") == []
    assert builds(checkout, "build-all", "build-all", "build") == [ALL]


def test_added_and_removed_sources_are_built(checkout: Path) -> None:
    added = checkout / "functions/predict_api/added.py"
    builds(checkout, "build")
    added.write_text("")
    assert builds(checkout, "build", "build") == [BUT_THE_IMAGE]
    added.unlink()
    assert builds(checkout, "build", "build") == [BUT_THE_IMAGE]


def test_bytecode_and_times_are_no_change(checkout: Path) -> None:
    builds(checkout, "build-all")
    cache = checkout / "functions/__pycache__"
    cache.mkdir()
    (cache / "app.cpython-313.pyc").write_text("")
    for name in (*SOURCES, *IMAGE_SOURCES):
        (checkout / name).touch()
    assert builds(checkout, "build", "build-all") == []


def test_an_image_that_is_gone_or_another_is_built(checkout: Path) -> None:
    builds(checkout, "build-all")
    (checkout / "image").write_text("another")
    assert builds(checkout, "build", "build-all", "build-all") == [ALL]
    (checkout / "image").unlink()
    assert builds(checkout, "build", "build-all", "build-all") == [ALL]


def test_a_build_that_failed_is_tried_again(checkout: Path) -> None:
    (checkout / "broken").touch()
    assert builds(checkout, "build", "build-all") == [BUT_THE_IMAGE, ALL]
    (checkout / "broken").unlink()
    assert builds(checkout, "build", "build") == [BUT_THE_IMAGE]


def test_what_a_plain_sam_build_left_is_built_again(checkout: Path) -> None:
    (checkout / ".aws-sam/build").mkdir(parents=True)
    (checkout / ".aws-sam/build/template.yaml").touch()
    assert builds(checkout, "build", "build") == [BUT_THE_IMAGE]
