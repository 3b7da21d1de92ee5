"""Verdicts in words: the same for the command line, the API test and the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from digits import verdicts

PAGE = Path(__file__).parents[2] / "functions/predict_api/page"


def test_each_verdict_is_said_in_words() -> None:
    assert verdicts.in_words("blank") == "The picture is blank"
    assert verdicts.in_words("no_contrast") == "Too faint to read"
    assert verdicts.in_words("not_a_digit") == "This looks like no digit"
    assert verdicts.in_words("of another release") is None


@pytest.mark.parametrize(("count", "word"), [(0, "Several"), (2, "Two"), (3, "Three"), (9, "Nine"), (10, "10")])
def test_digits_are_counted_in_words_up_to_nine(count: int, word: str) -> None:
    assert verdicts.in_words("several_digits", count) == f"{word} digits: send one at a time"


def test_the_page_says_the_same() -> None:
    script = "\n".join(path.read_text() for path in sorted(PAGE.glob("*.js")))
    for words in (
        "The picture is blank",
        "Too faint to read",
        " digits: send one at a time",
        "This looks like no digit",
    ):
        assert words in script, words
    assert re.search(rf"\b{verdicts.NOT_SURE}\b", script, re.IGNORECASE)
    counts = [verdicts.in_words("several_digits", count) for count in range(10)]
    names = ", ".join(f'"{str(words).partition(" ")[0]}"' for words in counts)
    assert names in script
