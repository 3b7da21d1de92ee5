"""Folders and archives of pictures read on this machine, by a model of its own or over an API."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from digits.errors import ConfigurationError, InputError, ObjectNotFoundError
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.proof import LoadedModel, prove
from functions.batch.answering import Reading
from functions.batch.archives import is_passed_over, is_table, too_large
from functions.batch.contents import MOST_FILE_BYTES, Item
from functions.batch.labels import read_labels
from functions.batch.lists import key_items
from functions.batch.models import Models
from functions.batch.reading import Job, read
from functions.batch.results import Document, finished
from functions.batch.runs import lines_key
from functions.batch.sources import Source
from local.batch_api import api_answering
from local.batch_report import show
from local.folder_store import FolderStore
from training import artifacts

FOREVER_SECONDS = 1e6
HOLDER = "local"  # of every run: one that was killed is gone on with at once, and of two at once one ends


class FolderSource(Source):
    """The pictures of a folder, in the order of their names."""

    def __init__(self, folder: Path, out: Path) -> None:
        """List a folder, and read its labels.

        Args:
            out: where results go, which are no pictures.
        """
        self.folder = folder
        own = out.resolve()
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and own not in path.resolve().parents)
        names = [path.relative_to(folder).as_posix() for path in paths]
        self.names = [name for name in names if not is_passed_over(name)]
        self.tables = [name for name in names if is_table(name)]
        super().__init__(folder.name, open(os.devnull, "rb"), 0, partial(_fetch, folder))  # noqa: SIM115, PTH123
        for name in self.tables:
            self.labels.update(read_labels((folder / name).read_bytes(), name))

    def items(self, start: int = 0) -> Iterator[Item]:
        """See `Source`."""
        return key_items(((name, None) for name in islice(self.names, start, None)), self.fetch, start)


def run(
    given: Path,
    out: Path,
    reading: Reading,
    *,
    url: str | None = None,
    token: str = "",
    verify: ssl.SSLContext | bool = True,
    output: Path = artifacts.OUTPUT,
) -> Document:
    """Read a folder, an archive or a file into a table in a folder, and show what it adds up to.

    Args:
        url: of the service that reads; None has the last trained model read.
        output: where trainings left their models.

    Raises:
        DigitsError: it cannot be done.
    """
    if not (given.is_file() or given.is_dir()):
        raise ConfigurationError(f"there is no file or folder {given}")
    store, models = FolderStore(out), Models(partial(_load, output))
    with (
        closing(models),
        closing(_source(given, out)) as source,
        tqdm(unit=" pictures", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        job = Job(
            store=store,
            name=given.resolve().name,
            key=str(given.resolve()),
            etag=_state(source, given, f"{reading} {url}"),
            size_bytes=source.size,
            reading=reading,
            open=lambda: source,
            answering=partial(api_answering, url, token, verify) if url else models.answering,
            holder=HOLDER,
            left=lambda: FOREVER_SECONDS,
            seen=partial(_show, bar, source),
        )
        before = finished(store, job.name)
        try:
            summary = read(job)
        except KeyboardInterrupt:
            bar.close()
            print(f"stopped after {job.run.place().stop:,} pictures: the same command goes on there", file=sys.stderr)
            raise
    assert summary is not None
    if summary == before:
        print(f"read before, at {summary['begun_at']}; to read it again, delete its lines and its summary")
    show(summary, store.path(lines_key(job.name)), out, job.name)
    return summary


def _source(given: Path, out: Path) -> Source:
    try:
        if given.is_dir():
            return FolderSource(given, out)
        return Source(given.name, given.open("rb"), given.stat().st_size, partial(_fetch, given.parent))
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be read: {error.strerror}") from error


def _fetch(folder: Path, name: str) -> bytes:
    """Return a file that a folder holds or a manifest names."""
    path = folder / name
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise InputError(too_large(path.stat().st_size))
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise ObjectNotFoundError(name) from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}") from error


def _state(source: Source, given: Path, options: str) -> str:
    """Return what changes with an input or with how it is read, as an ETag does."""
    paths = [given, *(given.parent / name for name in _named(source))]
    if isinstance(source, FolderSource):
        paths = [source.folder / name for name in (*source.names, *source.tables)]
    seen = [options, *(f"{path} {_seen(path)}" for path in paths)]
    return sha256("\n".join(seen).encode(errors="surrogateescape"))


def _seen(path: Path) -> str:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return "not there"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _named(source: Source) -> list[str]:
    """Return the files that a manifest names."""
    try:
        return list(source.named())
    except InputError:
        return []  # which reading it tells


def _load(output: Path, version: str | None) -> LoadedModel:
    """Return a model that was trained on this machine; without a version the last one."""
    folder = output / version if version else artifacts.latest_folder(output)
    manifest, files = artifacts.read_folder(folder)
    return prove(manifest, files[MODEL_FILE], reader=partial(files.__getitem__, READER_FILE))


def _show(bar: Any, source: Source, count: int) -> None:
    if isinstance(source, FolderSource):
        bar.total = len(source.names)
    else:
        share = source.file.tell() / max(1, source.size)
        bar.total = max(count, round(count / share)) if share else None
    bar.update(count - bar.n)
