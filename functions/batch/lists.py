"""Lists as sources: requests of the API in JSONL, and manifests that name objects of the bucket."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import TextIOWrapper
from itertools import islice
from typing import Any, BinaryIO

from digits.errors import InputError, ObjectNotFoundError
from functions.batch.contents import Item, items_of_file, items_of_request, unusable
from functions.batch.errors import SourceError
from functions.batch.labels import LABEL_COLUMNS, NAME_COLUMNS, columns_of, folder_label

MOST_LINE_BYTES = 6_000_000  # as many as a request may have
MOST_KEY_LINE_BYTES = 2**16  # of a line that names a key, and is read before it is its turn
MOST_KEY_BYTES = 1_024
AT_ONCE = 16  # objects fetched at the same time

type Fetch = Callable[[str], bytes]
type Entry = tuple[str, str | None]  # key and label


def jsonl_items(file: BinaryIO, start: int, fetch: Fetch) -> Iterator[Item]:
    """Return the pictures of a file with a JSON document in each line; its places are bytes.

    Args:
        fetch: returns the object under a key, as `{"key": …}` names it; all others are requests of the API.
    """
    return _loaded(_line_loads(file, start, fetch))


def _line_loads(file: BinaryIO, start: int, fetch: Fetch) -> Iterator[Callable[[], Iterable[Item]]]:
    file.seek(0)
    number = 0
    while line := file.readline(MOST_LINE_BYTES + 1):
        whole = line
        while len(whole) > MOST_LINE_BYTES and not whole.endswith(b"\n"):
            whole = file.readline(MOST_LINE_BYTES + 1) or b"\n"
        number, after = number + 1, file.tell()
        if after > start and line.strip():
            yield _line_load(f"line {number}", line, after, fetch)


def _line_load(name: str, line: bytes, after: int, fetch: Fetch) -> Callable[[], Iterable[Item]]:
    if len(line) > MOST_LINE_BYTES:
        return lambda: [unusable(name, f"the line has more than the {MOST_LINE_BYTES:,} bytes that are read", after)]
    entry = _entry_of(line)
    return lambda: _fetched(*entry, after, fetch) if entry else items_of_request(name, line, after)


def named_keys(file: BinaryIO) -> Iterator[str]:
    """Return the keys that a file of JSON documents names."""
    file.seek(0)
    entries = (_entry_of(line) for line in iter(lambda: file.readline(MOST_LINE_BYTES + 1), b""))
    return (entry[0] for entry in entries if entry)


def _entry_of(line: bytes) -> Entry | None:
    """Return the key, and label, that a line names; None of a request."""
    if len(line) > MOST_KEY_LINE_BYTES or b'"key"' not in line:
        return None
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("key"), str):
        return None
    label = document.get("label")
    return document["key"], None if label is None else str(label)


def csv_items(file: BinaryIO, start: int, fetch: Fetch) -> Iterator[Item]:
    """Return the pictures that a table names in its column `key`; its places are rows.

    Raises:
        SourceError: it is no such table.
    """
    return key_items(islice(manifest(file), start, None), fetch, start)


def manifest(file: BinaryIO) -> Iterator[Entry]:
    """Return the keys, and labels, of a table in CSV.

    Raises:
        SourceError: it is no such table.
    """
    file.seek(0)
    text = TextIOWrapper(file, "utf-8-sig", newline="")
    try:
        rows = csv.reader(text, strict=True)
        key, label = columns_of(rows, ("key", *NAME_COLUMNS), LABEL_COLUMNS)
        if key is None:
            raise SourceError("the table needs a header with 'key', and under it keys of objects")
        for row in rows:
            if len(row) > key and row[key].strip():
                yield row[key].strip(), row[label].strip() if label is not None and len(row) > label else None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"the table cannot be read: {error}") from error
    finally:
        text.detach()


def key_items(entries: Iterable[Entry], fetch: Fetch, start: int = 0) -> Iterator[Item]:
    """Return the pictures under keys; places count keys from `start` on."""

    def loads() -> Iterator[Callable[[], Iterable[Item]]]:
        for after, (key, label) in enumerate(entries, start + 1):
            yield lambda key=key, label=label, after=after: _fetched(key, label, after, fetch)  # type: ignore[misc]

    return _loaded(loads())


def _fetched(key: str, label: str | None, after: int, fetch: Fetch) -> Iterable[Item]:
    label = label or folder_label(key)
    if not _is_key(key):
        reason = f"this can be no key: it has 1 to {MOST_KEY_BYTES:,} bytes in UTF-8"
        return [unusable(key, reason, after, label=label)]
    try:
        data = fetch(key)
    except ObjectNotFoundError:
        return [unusable(key, "there is no such object", after, label=label)]
    except InputError as error:
        return [unusable(key, str(error), after, label=label)]
    return items_of_file(key, data, after, label)


def _is_key(key: str) -> bool:
    """Tell whether an object can have a key, or a file a name, as a store that is asked for others fails."""
    return 0 < len(key.encode(errors="replace")) <= MOST_KEY_BYTES and not re.search("[\0\ud800-\udfff]", key)


def _loaded(loads: Iterator[Callable[[], Iterable[Item]]]) -> Iterator[Item]:
    """Return what loads give, in order, some of them made ahead at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        ahead: deque[Future[Iterable[Item]]] = deque()
        try:
            for load in loads:
                ahead.append(threads.submit(load))
                if len(ahead) >= AT_ONCE:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            for each in ahead:
                each.cancel()
