"""Folders and archives of pictures read on this machine, by a model of its own, over an API, or by a deployed stack."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from digits.errors import ConfigurationError, InputError, ObjectNotFoundError
from digits.model.contract import CLASSES
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import Manifest
from digits.model.proof import prove
from functions.batch.answering import MOST_AT_ONCE, NUMBERS, Answer, Answering, Reading, answer_of, problem_of
from functions.batch.archives import is_passed_over
from functions.batch.contents import MOST_FILE_BYTES, Item
from functions.batch.labels import LABELS_FILE, read_labels
from functions.batch.lists import key_items
from functions.batch.models import answering_with
from functions.batch.parallel import ParallelAnswering
from functions.batch.reading import Job, read
from functions.batch.results import Document
from functions.batch.runs import lines_key
from functions.batch.sources import Source
from functions.batch.summary import REFUSED
from local.api_client import PREDICT, READ, ApiTestError
from local.folder_store import FolderStore
from training import artifacts

TIMEOUT_SECONDS = 35.0
MOST_REQUEST_BYTES = 3_000_000
FOREVER_SECONDS = 1e6
_OK = 200

type Waiting = tuple[Item, Document | InputError]


class FolderSource(Source):
    """The pictures of a folder, in the order of their names."""

    def __init__(self, folder: Path) -> None:
        """List a folder, and read its labels."""
        self.folder = folder
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in paths]
        self.names = [name for name in names if not is_passed_over(name)]
        super().__init__(folder.name, open(os.devnull, "rb"), 0, partial(_fetch, folder))  # noqa: SIM115, PTH123
        for name in names:
            if Path(name).name.lower() == LABELS_FILE:
                self.labels.update(read_labels((folder / name).read_bytes(), name))

    def items(self, start: int = 0) -> Iterator[Item]:
        """See `Source`."""
        return key_items(((name, None) for name in islice(self.names, start, None)), self.fetch, start)


class ApiAnswering:
    """A service's API."""

    def __init__(self, url: str, token: str, reading: Reading, version: str, verify: ssl.SSLContext | bool) -> None:
        """Bind a service, and the version of its model that has to answer.

        Raises:
            InputError: the numbers cannot have such a length.
        """
        reading.hints()
        self._version = version
        is_number = reading.kind == NUMBERS
        self._list = "readings" if is_number else "predictions"
        self._url = f"{url.rstrip('/')}{READ if is_number else PREDICT}"
        self._parameters = {"length": reading.length} if reading.length else {}
        self._connect = partial(httpx.Client, timeout=TIMEOUT_SECONDS, verify=verify, headers={"x-api-key": token})

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """See `Answering`; raises ApiTestError where the service does not answer."""
        with self._connect() as client:
            for waiting in _requests(items):
                yield from self._answered(waiting, client)

    def _answered(self, waiting: list[Waiting], client: httpx.Client) -> Iterator[tuple[Item, Answer]]:
        instances = [request for _, request in waiting if not isinstance(request, InputError)]
        answers = iter(self._post(instances, client) if instances else [])
        for item, request in waiting:
            if isinstance(request, InputError):
                yield item, problem_of(request)
                continue
            told = next(answers)
            self._check(told)
            yield item, answer_of(told)

    def _check(self, told: Document) -> None:
        answered = told.get("model", {}).get("version", self._version)
        if answered != self._version:
            raise ApiTestError(f"{answered} answers now, and this run began with {self._version}: begin again")

    def _post(self, instances: list[Document], client: httpx.Client) -> list[Document]:
        try:
            response = client.post(self._url, json={"instances": instances}, params=self._parameters)
            document = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiTestError(f"no answer from {self._url}: {error}") from error
        except ValueError as error:
            raise ApiTestError(f"{self._url} answered without a JSON document") from error
        if response.status_code != _OK:
            raise ApiTestError(f"{self._url} answered {response.status_code}: {document.get('detail', document)}")
        answers: list[Document] = document[self._list]
        return answers


def _requests(items: Iterable[Item]) -> Iterator[list[Waiting]]:
    """Return pictures as requests, as many at a time as a request may have."""
    waiting: list[Waiting] = []
    size = 0
    for item in items:
        request = _requested(item)
        more = 0 if isinstance(request, InputError) else len(json.dumps(request))
        if waiting and (size + more > MOST_REQUEST_BYTES or len(waiting) >= MOST_AT_ONCE):
            yield waiting
            waiting, size = [], 0
        waiting.append((item, request))
        size += more
    if waiting:
        yield waiting


def _requested(item: Item) -> Document | InputError:
    try:
        return item.content.request()
    except InputError as error:
        return error


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
    if not given.exists():
        raise ConfigurationError(f"there is no {given}")
    store, trained = FolderStore(out), _Model(output)
    with (
        closing(trained),
        closing(_source(given)) as source,
        tqdm(unit=" pictures", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        job = Job(
            store=store,
            name=given.resolve().name,
            key=str(given.resolve()),
            etag=_state(source, given),
            size_bytes=source.size,
            reading=reading,
            open=lambda: source,
            answering=partial(_api, url, token, verify) if url else trained.answering,
            holder=socket.gethostname(),
            left=lambda: FOREVER_SECONDS,
            seen=partial(_show, bar, source),
        )
        try:
            summary = read(job)
        except KeyboardInterrupt:
            bar.close()
            print(f"stopped after {job.run.place().stop:,} pictures: the same command goes on there", file=sys.stderr)
            raise
    assert summary is not None
    print(report(summary))
    print(f"lines      {store.path(lines_key(job.name))}")
    drawn = draw_confusion(summary, out / f"{job.name}.confusion.png")
    if drawn:
        print(f"confusion  {drawn}")
    return summary


def _source(given: Path) -> Source:
    if given.is_dir():
        return FolderSource(given)
    return Source(given.name, given.open("rb"), given.stat().st_size, partial(_fetch, given.parent))


def _fetch(folder: Path, name: str) -> bytes:
    """Return a file that a folder holds or a manifest names."""
    path = folder / name
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise InputError(f"the file has {path.stat().st_size:,} bytes, where up to {MOST_FILE_BYTES:,} are read")
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise ObjectNotFoundError(name) from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}") from error


def _state(source: Source, given: Path) -> str:
    """Return what changes with an input, as an ETag does."""
    paths = [source.folder / name for name in source.names] if isinstance(source, FolderSource) else [given]
    seen = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths]
    return sha256("\n".join(seen).encode())


class _Model:
    """A model that was trained on this machine."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._answering: Answering | None = None
        self._manifest: Manifest | None = None

    def answering(self, version: str | None, reading: Reading) -> tuple[Answering, str, float]:
        """Return what reads, as `Job` wants it; without a version with the one that was trained last."""
        if self._answering is None or self._manifest is None:
            folder = self._output / version if version else artifacts.latest_folder(self._output)
            self._manifest, files = artifacts.read_folder(folder)
            loaded = prove(self._manifest, files[MODEL_FILE], reader=partial(files.__getitem__, READER_FILE))
            self._answering = answering_with(loaded, reading)
        return self._answering, self._manifest.version, self._manifest.test.accuracy

    def close(self) -> None:
        """End the processes beside this one."""
        if isinstance(self._answering, ParallelAnswering):
            self._answering.close()


def _api(
    url: str, token: str, verify: ssl.SSLContext | bool, version: str | None, reading: Reading
) -> tuple[Answering, str, float]:
    try:
        document = httpx.get(f"{url.rstrip('/')}/v1/model", timeout=TIMEOUT_SECONDS, verify=verify).json()
        live, accuracy = str(document["version"]), float(document["accuracy"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        raise ApiTestError(f"{url} does not tell which model answers: {error}") from error
    if version not in (None, live):
        raise ApiTestError(f"{live} answers now, and this run began with {version}: begin again in another folder")
    return ApiAnswering(url, token, reading, live, verify), live, accuracy


def _show(bar: Any, source: Source, count: int) -> None:
    if isinstance(source, FolderSource):
        bar.total = len(source.names)
    else:
        share = source.file.tell() / max(1, source.size)
        bar.total = max(count, round(count / share)) if share else None
    bar.update(count - bar.n)


def report(summary: Document) -> str:
    """Return a summary as a table for a terminal."""
    rows = [
        ("pictures", f"{summary['pictures']:,}"),
        *((name, f"{count:,}") for name, count in summary["outcomes"].items()),
        *((f"  {name}", f"{count:,}") for name, count in summary["verdicts"].items()),
        *((f"  {detail}", f"{count:,}") for detail, count in summary["problems"].items()),
    ]
    labels = summary.get("labels")
    if labels:
        rows.append(("right", f"{labels['right']:,} of {labels['labelled']:,} ({labels['accuracy']:.2%})"))
        wrong = labels["accepted"] - labels["accepted_right"]
        rows.append(("accepted and wrong", f"{wrong:,} of {labels['accepted']:,}"))
    rows.append(("model", summary["model"]["version"]))
    rows.append(("time", f"{summary['seconds']:.1f} s, {summary['pictures_per_second']:,.0f} pictures a second"))
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:{width}}{value}" for name, value in rows]
    if labels and labels["confusion"]:
        lines += ["", *_confusion_lines(labels["confusion"])]
    return "\n".join(lines)


def _confusion_lines(confusion: dict[str, dict[str, int]]) -> list[str]:
    """Return the confusion matrix, a row for each label."""
    columns = [name for name in next(iter(confusion.values())) if any(row[name] for row in confusion.values())]
    width = max(6, *(len(name) + 2 for name in columns))
    lines = ["label" + "".join(f"{name:>{width}}" for name in columns)]
    lines += [
        f"{label:>5}" + "".join(f"{row[name] or '·':>{width}}" for name in columns) for label, row in confusion.items()
    ]
    return lines


def draw_confusion(summary: Document, path: Path) -> Path | None:
    """Draw the confusion matrix of a summary with labels as a PNG, and return where it is."""
    confusion = summary.get("labels", {}).get("confusion")
    if not confusion:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, columns = list(confusion), [*CLASSES, REFUSED, "other"]
    columns = [name for name in columns if name in CLASSES or any(row[name] for row in confusion.values())]
    counts = [[confusion[label][name] for name in columns] for label in labels]
    wrong = [
        [0 if label == name else count for name, count in zip(columns, row, strict=True)]
        for label, row in zip(labels, counts, strict=True)
    ]
    figure = Figure(figsize=(1.5 + 0.6 * len(columns), 1.5 + 0.5 * len(labels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Reds", aspect="auto")
    for row, values in enumerate(counts):
        for column, value in enumerate(values):
            axes.text(column, row, f"{value:,}" if value else "", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=45 if len(columns) > len(CLASSES) else 0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("read as")
    axes.set_ylabel("label")
    axes.set_title(f"{summary['labels']['right']:,} of {summary['labels']['labelled']:,} right")
    figure.savefig(path, dpi=120)
    return path
