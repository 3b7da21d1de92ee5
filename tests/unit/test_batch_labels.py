"""What pictures show, as folders and tables tell."""

from __future__ import annotations

import tracemalloc

import pytest

from functions.batch import labels
from functions.batch.errors import SourceError
from functions.batch.labels import LABEL_COLUMNS, NAME_COLUMNS, folder_label, read_labels


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("7/a.png", "7"),
        ("train/7/a.png", "7"),
        ("/7/a.png", "7"),
        ("2026/a.png", "2026"),
        ("7/scans/a.png", None),
        ("7", None),
        ("7.png", None),
        ("a/7", None),
        ("seven/a.png", None),
        ("٧/a.png", None),
        ("1" * 41 + "/a.png", None),
        ("", None),
    ],
)
def test_a_folder_of_digits_alone_is_a_label(name: str, label: str | None) -> None:
    assert folder_label(name) == label


@pytest.mark.parametrize("name_column", NAME_COLUMNS)
@pytest.mark.parametrize("label_column", LABEL_COLUMNS)
def test_columns_have_the_names_that_people_give_them(name_column: str, label_column: str) -> None:
    table = f" {label_column.upper()} ,split, {name_column.title()}\n7,train, a.png \n".encode()
    assert read_labels(table) == {"a.png": "7"}


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_tables_of_every_system_are_read(start: bytes, end: bytes) -> None:
    table = start + end.join((b"name,label", b'"a,b.png",7', b"", "ä.png,3".encode(), b"short", b"last.png,1"))
    assert read_labels(table) == {"a,b.png": "7", "ä.png": "3", "last.png": "1"}


@pytest.mark.parametrize(
    ("path", "name", "key"),
    [
        ("labels.csv", "a.png", "a.png"),
        ("labels.csv", "./7/a.png", "7/a.png"),
        ("in/labels.csv", "a.png", "in/a.png"),
        ("./in/labels.csv", "sub/a.png", "in/sub/a.png"),
        ("in/labels.csv", "../a.png", "in/../a.png"),
    ],
)
def test_names_are_relative_to_the_table(path: str, name: str, key: str) -> None:
    assert read_labels(f"name,label\n{name},7\n".encode(), path) == {key: "7"}


def test_who_tells_no_label_tells_nothing() -> None:
    assert read_labels(b"name,label\na.png,\nb.png, \n,7\nc.png,0\n") == {"c.png": "0"}


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"\n",
        b"name\na.png\n",
        b"label\n7\n",
        b"a.png,7\n",
        b"name;label\na.png;7\n",
        b'name,label\n"a.png,7\n',
        "name,label\na.png,7\n".encode("utf-16"),
        b"name,label\n\xff,7\n",
        b"name,label\n" + b"a" * 200_000 + b",7\n",
    ],
)
def test_what_is_no_table_of_labels_is_refused_by_its_path(table: bytes) -> None:
    with pytest.raises(SourceError, match=r"^in/labels\.csv "):
        read_labels(table, "in/labels.csv")


def test_a_table_is_not_unfolded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    table = b"name,label\n" + b"a,1\n" * 30_000
    tracemalloc.start()
    try:
        assert read_labels(table) == {"a": "1"}
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(labels, "MOST_LABELS", 2)
    with pytest.raises(SourceError, match="more than 2 labels"):
        read_labels(b"name,label\na,1\nb,1\nc,1\n")
    with pytest.raises(SourceError, match="path"):
        read_labels(b"name,label\na,1\n", "x" * 10_000 + "/labels.csv")
