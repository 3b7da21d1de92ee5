"""The check of links in Markdown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/links.py"
GUIDE = "# A guide: `make check`, and more\n\n## Twice\n\n## Twice\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[file](guide.md) and [folder](sub/)", None),
        ("[heading](guide.md#a-guide-make-check-and-more)", None),
        ("[second of two](guide.md#twice-1)", None),
        ("# Here\n\n[here](#here)", None),
        ("![picture](sub/a%20picture.png)", None),
        ("[elsewhere](https://example.com/nothing) `[code](nothing.md)`", None),
        ("\n\n[file](nothing.md)", "3: no file nothing.md"),
        ("![picture](nothing.png)", "1: no file nothing.png"),
        ("[heading](guide.md#nothing)", "1: no heading guide.md#nothing"),
        ("[third of two](guide.md#twice-2)", "1: no heading guide.md#twice-2"),
        ("[here](#nothing)", "1: no heading #nothing"),
        ("| a |\n| --- |\n| [cell](nothing.md) |", "3: no file nothing.md"),
        ("[reference][1]\n\n[1]: nothing.md", "1: no file nothing.md"),
    ],
)
def test_links_that_lead_nowhere_are_found(tmp_path: Path, text: str, problem: str | None) -> None:
    (tmp_path / "guide.md").write_text(GUIDE)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a picture.png").touch()
    (tmp_path / "document.md").write_text(text)
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), "document.md", "guide.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout == (f"document.md:{problem}\n" if problem else ""), finished.stderr
    assert finished.returncode == (1 if problem else 0), finished.stderr
