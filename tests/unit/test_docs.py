"""What the documents name exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# Folders that only a run makes, and the environment, are not there in a fresh clone.
IGNORED = set((ROOT / ".gitignore").read_text().split())


def code(document: Path) -> str:
    """Return the spans and blocks of code in a document, one a line."""
    text = document.read_text()
    return "\n".join([*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^    (.+)$", text, re.MULTILINE)])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_exist(document: Path) -> None:
    folders = {f"{path.name}/" for path in ROOT.iterdir() if path.is_dir()} - IGNORED
    for path in re.findall(r"^[\w.-]+/[\w./-]*$", code(document), re.MULTILINE):
        if path.startswith(tuple(folders)):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", code(document))) <= targets


@pytest.mark.parametrize("module", ["digits", "local", "training"])
def test_commands_exist(module: str) -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    ).stdout
    mentioned = set(re.findall(rf"python -m {module} ([a-z][a-z-]*)", "\n".join(map(code, DOCUMENTS))))
    assert mentioned <= set(re.findall(r"^    ([a-z-]+)\b", help_text, re.MULTILINE))


def test_the_page_takes_as_long_as_was_measured() -> None:
    milliseconds = json.loads((ROOT / "benchmarks/results/page.json").read_text())["milliseconds"]
    text = " ".join((ROOT / "docs/benchmarks.md").read_text().split())
    assert f"{milliseconds['median']:.0f} ms at the median of {len(milliseconds['all'])} digits" in text
