"""Links in Markdown that lead nowhere: to files that do not exist, or to headings that are not in them.

Addresses on the web are not followed: the check needs no network.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

_TARGETS = {"link_open": "href", "image": "src"}
_PARSER = MarkdownIt().enable("table")


def main(names: list[str]) -> int:
    """Print the broken links of these files; exit status 1 if there are any."""
    found = [f"{name}:{line}: {problem}" for name in names for line, problem in broken_links(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


def broken_links(document: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the problem of each link that leads nowhere."""
    for line, target in _links(document):
        url = urlsplit(target)
        if url.scheme or url.netloc:
            continue
        file = document.parent / unquote(url.path) if url.path else document
        if not file.exists():
            yield line, f"no file {target}"
        elif url.fragment and unquote(url.fragment) not in _anchors(file):
            yield line, f"no heading {target}"


def _links(document: Path) -> Iterator[tuple[int, str]]:
    for line, token in _inline(document):
        for child in token.children or []:
            if child.type in _TARGETS:
                yield line, str(child.attrs[_TARGETS[child.type]])


def _anchors(document: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of a document."""
    seen: Counter[str] = Counter()
    for _, token in _inline(document, inside="heading_open"):
        text = "".join(child.content for child in token.children or [])
        seen[re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")] += 1
    return {slug if number == 0 else f"{slug}-{number}" for slug, count in seen.items() for number in range(count)}


def _inline(document: Path, inside: str = "") -> Iterator[tuple[int, Token]]:
    """Yield the texts of a document, or those right inside one kind of block, with their first lines."""
    line, before = 1, ""
    for token in _PARSER.parse(document.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else line  # a table's cells have none of their own
        if token.type == "inline" and (not inside or before == inside):
            yield line, token
        before = token.type


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
