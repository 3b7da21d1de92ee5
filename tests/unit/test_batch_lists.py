"""Lists as inputs of a batch: requests of the API, and manifests of objects."""

from __future__ import annotations

import base64
import json
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

from digits.errors import InputError
from functions.batch import lists
from functions.batch.contents import Request
from functions.batch.errors import SourceError
from functions.batch.labels import LABEL_COLUMNS, NAME_COLUMNS
from tests import batches, events
from tests.batches import DIGITS

OBJECTS = {"in/7/a.png": DIGITS[7], "in/b.png": DIGITS[3], "in/scans.tiff": batches.document("TIFF", 1, 2)}
PIXELS: list[list[int]] = batches.digit_pixels(2)[0].tolist()
FORM = {"image": base64.b64encode(events.number_file()).decode(), "fields": [{"name": "year", "box": [0, 0, 1, 1]}]}
NONSENSE = (
    b"nonsense",
    b"[]",
    b"null",
    b'{"image": 7}',
    b"{}",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"key": 7}',
    b"9" * 5_000,
)


def jsonl(*lines: Any, objects: batches.Members = OBJECTS) -> Any:
    return batches.source("a.jsonl", batches.jsonl(*lines), objects).items()


# Requests


@pytest.mark.parametrize("wrap", [lambda document: document, lambda document: {"params": document, "token": "secret"}])
def test_requests_of_the_api_are_read(wrap: Any) -> None:
    lines = [events.image_json(7), {"pixels": PIXELS}, {"instances": [events.image_json(1), {"pixels": PIXELS}]}]
    items = list(jsonl(*map(wrap, lines)))
    told = [(each.name, each.page, each.after is None) for each in items]
    assert told == [("line 1", None, False), ("line 2", None, False), ("line 3", 1, True), ("line 3", 2, False)]
    for item, digit in zip(items, (7, 2, 1, 2), strict=True):
        assert np.array_equal(batches.pixels(item), batches.digit_pixels(digit)[0])
        assert item.content.sha256 == item.content.picture().sha256
        assert "token" not in item.content.request()


@pytest.mark.parametrize("document", [FORM, {"params": FORM}])
def test_a_form_is_one_picture_with_fields(document: dict[str, Any]) -> None:
    (item,) = jsonl(document)
    assert isinstance(item.content, Request)
    assert item.content.form is not None
    assert [field.name for field in item.content.form.fields] == ["year"]
    assert batches.problem(item) is None


def test_an_instance_that_cannot_be_read_sinks_no_other() -> None:
    problems = [batches.problem(each) for each in jsonl({"instances": [{"pixels": PIXELS}, {"image": "?"}, {}, 7]})]
    assert [each is None for each in problems] == [True, False, False, False]


@pytest.mark.parametrize("line", NONSENSE)
def test_a_line_of_nonsense_is_a_line_with_its_own_digest(line: bytes) -> None:
    good = batches.jsonl({"pixels": PIXELS})
    first, second, third = batches.source("a.jsonl", good + line + b"\n" + good).items()
    assert batches.problem(first) is batches.problem(third) is None
    assert batches.problem(second)
    assert (second.name, second.page) == ("line 2", None)
    assert second.content.sha256 not in (None, first.content.sha256)
    with pytest.raises(InputError):
        second.content.picture()


def test_blank_lines_are_counted_and_passed_over() -> None:
    data = b"\xef\xbb\xbf" + batches.jsonl({"pixels": PIXELS}) + b"\n \r\n" + batches.jsonl({"pixels": PIXELS}).rstrip()
    items = list(batches.source("a.jsonl", data).items())
    assert [each.name for each in items] == ["line 1", "line 4"]
    assert batches.problem(items[0]) is batches.problem(items[1]) is None


@pytest.mark.parametrize("length", [101, 102, 201, 202, 203, 1_000])
def test_a_line_that_is_too_long_is_a_line_and_not_held(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_LINE_BYTES", 100)
    for end in (b"\n", b"\n{}\n", b""):
        items = list(batches.source("a.jsonl", b"{}\n" + b"x" * length + end).items())
        assert batches.problem(items[1]) == "the line has more than the 100 bytes that are read"
        assert batches.names(items) == ["line 1", "line 2", "line 3"][: 2 + (end == b"\n{}\n")]


def test_documents_that_only_cost_memory_are_not_built() -> None:
    lines = b'{"key": "in/b.png", "more": [' + b"{}," * 400_000 + b"{}]}\n"
    given = batches.source("a.jsonl", lines * 8, OBJECTS)
    tracemalloc.start()
    try:
        assert sum(1 for _ in given.items()) == 8
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


# Manifests


@pytest.mark.parametrize("after", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["key", "KEY", *NAME_COLUMNS])
@pytest.mark.parametrize("label", LABEL_COLUMNS)
def test_a_table_of_keys_is_read(name: str, label: str, after: str) -> None:
    rows = (f"split, {name} ,{label}", "x,in/7/a.png,4", "x,in/7/a.png,", "", "x", "x, in/b.png ,3", "x,in/gone.png,1")
    items = list(batches.source("a.csv", ("\ufeff" + after.join(rows)).encode(), OBJECTS).items())
    assert [(each.name, each.label, each.after) for each in items] == [
        ("in/7/a.png", "4", 1),
        ("in/7/a.png", "7", 2),
        ("in/b.png", "3", 3),
        ("in/gone.png", "1", 4),
    ]
    assert [batches.problem(each) for each in items] == [None, None, None, "there is no such object"]


def test_keys_in_jsonl_are_read_beside_requests() -> None:
    lines = [{"key": "in/7/a.png"}, {"key": "in/b.png", "label": 3}, {"pixels": PIXELS}, {"key": "in/scans.tiff"}]
    items = list(jsonl(*lines, {"key": "gone"}))
    assert [(each.name, each.page, each.label) for each in items] == [
        ("in/7/a.png", None, "7"),
        ("in/b.png", None, "3"),
        ("line 3", None, None),
        ("in/scans.tiff", 1, None),
        ("in/scans.tiff", 2, None),
        ("gone", None, None),
    ]


@pytest.mark.parametrize("key", ["", "x" * 1_025, "\ud800", "a\0b", "é" * 600])
def test_what_can_be_no_key_is_a_line_and_not_asked_for(key: str) -> None:
    def fetch(key: str) -> bytes:
        raise AssertionError(key)

    given = batches.source("a.jsonl", batches.jsonl({"key": key}))
    given.fetch = fetch
    (item,) = given.items()
    assert batches.problem(item) == "this can be no key: it has 1 to 1,024 bytes in UTF-8"


def test_an_object_that_cannot_be_read_is_a_line() -> None:
    def fetch(key: str) -> bytes:
        raise InputError("too large")

    given = batches.source("a.csv", b"key\na\n")
    given.fetch = fetch
    (item,) = given.items()
    assert (item.name, batches.problem(item)) == ("a", "too large")


@pytest.mark.parametrize(
    "data",
    [
        b"in/b.png\n",
        b"label\n7\n",
        b"key;label\nin/b.png;7\n",
        b"\n",
        b'key\n"in/b.png\n',
        "key\nin/b.png\n".encode("utf-16"),
        b"key\n\xff\n",
        DIGITS[7],
    ],
)
def test_what_is_no_table_of_keys_is_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match="the table "):
        list(batches.source("a.csv", data, OBJECTS).items())


def test_objects_are_fetched_ahead_and_come_in_order() -> None:
    together = threading.Barrier(lists.AT_ONCE, timeout=10)

    def fetch(key: str) -> bytes:
        together.wait()
        return key.encode()

    given = batches.source("a.csv", b"key\n" + b"".join(b"%d\n" % number for number in range(lists.AT_ONCE)))
    given.fetch = fetch
    assert batches.names(given.items()) == [str(number) for number in range(lists.AT_ONCE)]


def test_who_stops_in_the_middle_leaves_no_thread() -> None:
    before = threading.active_count()
    items = batches.source("a.csv", b"key\n" + b"in/b.png\n" * 100, OBJECTS).items()
    assert json.dumps(next(items).name) == '"in/b.png"'
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
