"""Pieces of the report's page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape


def table(head: Iterable[str] | None, rows: Iterable[Iterable[str]]) -> str:
    """Return a table; the cells are HTML already."""
    title = f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>\n" if head else ""
    lines = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return "<table>\n" + title + "\n".join(lines) + "\n</table>"


def embedded(image: bytes, description: str) -> str:
    """Return a PNG that is part of the page."""
    return f'<p><img src="data:image/png;base64,{base64.b64encode(image).decode()}" alt="{escape(description)}"></p>'
