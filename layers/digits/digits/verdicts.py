"""What is said of a picture in words for people; the page has the same words (`answer.js`)."""

from __future__ import annotations

NOT_SURE = "not sure"  # of an answer that is not accepted
_COUNTS = ("Several", "Several", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_WORDS = {
    "blank": "The picture is blank",
    "no_contrast": "Too faint to read",
    "several_digits": "{count} digits: send one at a time",
    "not_a_digit": "This looks like no digit",
}


def in_words(verdict: str, digits_found: int = 0) -> str | None:
    """Return a verdict in words; None for one that this release does not know.

    Args:
        digits_found: how many boxes came with `several_digits`.
    """
    count = _COUNTS[digits_found] if digits_found < len(_COUNTS) else str(digits_found)
    words = _WORDS.get(verdict)
    return words and words.format(count=count)
