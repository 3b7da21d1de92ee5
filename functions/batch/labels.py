"""What pictures show, as somebody has told: by the folder that they are in, or by a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import PurePosixPath

from functions.batch.errors import SourceError

type Labels = dict[str, str]

LABELS_FILE = "labels.csv"
MOST_LABELS = 500_000  # of one input, which are held in memory
MOST_PATH_CHARACTERS = 255  # of a table, as each of its names gets its folder
NAME_COLUMNS = ("name", "file", "filename", "path", "picture", "image", "key")
LABEL_COLUMNS = ("label", "text", "digit")
_DIGITS = re.compile("[0-9]{1,40}")


def folder_label(name: str) -> str | None:
    """Return the label that a folder of digits alone gives: `7/a.png` shows a 7."""
    parts = name.rsplit("/", 2)
    return parts[-2] if len(parts) > 1 and _DIGITS.fullmatch(parts[-2]) else None


def read_labels(data: bytes, path: str = LABELS_FILE) -> Labels:
    """Read a table of labels: a column with names, relative to its own folder, and one with labels.

    Raises:
        SourceError: it has no such columns, or is too large.
    """
    if len(path) > MOST_PATH_CHARACTERS:
        raise SourceError(f"the path of a table of labels has more than {MOST_PATH_CHARACTERS} characters")
    try:
        return _labels(csv.reader(TextIOWrapper(BytesIO(data), "utf-8-sig", newline=""), strict=True), path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} is no table in CSV: {error}") from error


def columns_of(rows: Iterator[list[str]], *wanted: tuple[str, ...]) -> list[int | None]:
    """Read the header of a table, and return for each column that is wanted where the first of its names is."""
    header = [cell.strip().lower() for cell in next(rows, [])]
    return [next((header.index(name) for name in names if name in header), None) for names in wanted]


def _labels(rows: Iterator[list[str]], path: str) -> Labels:
    name_column, label_column = columns_of(rows, NAME_COLUMNS, LABEL_COLUMNS)
    if name_column is None or label_column is None:
        raise SourceError(f"{path} needs a header with {NAME_COLUMNS[0]!r} and {LABEL_COLUMNS[0]!r}")
    folder = PurePosixPath(path).parent
    labels: Labels = {}
    for row in rows:
        name, label = (row[at].strip() if len(row) > at else "" for at in (name_column, label_column))
        if name and label:
            labels[str(folder / name)] = label
        if len(labels) > MOST_LABELS:
            raise SourceError(f"{path} tells more than {MOST_LABELS:,} labels")
    return labels
