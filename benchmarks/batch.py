"""How fast the batch function reads archives of MNIST's test digits, in what memory, and how fast others do.

The built function runs in Lambda's own runtime over a store on a socket; so does the API, in a loop.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.archives import BATCH_HANDLER, archive, dropped, png
from benchmarks.emulator import (
    HANDLER,
    Container,
    artifact_environment,
    emulated,
    link_runtime_client,
)
from benchmarks.machine import machine
from benchmarks.models import Measured, digits_of, folder_of, model_of, parser
from digits.errors import DigitsError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.layout import BATCH_IN
from digits.registry.versions import Registry
from functions.batch.results import Document
from functions.batch.runs import lines_key
from local.build import BATCH, bare_python
from local.stack import running_store
from training.artifacts import read_folder
from training.dataset import Part

RESULTS = Path(__file__).parent / "results/batch.json"
PLOT = Path(__file__).parent / "results/batch.png"
ROUNDS = 5
MEGABYTES, MORE_MEGABYTES = 1_769, 3_538  # of the function: one processor, as in the template, and two
API_REQUESTS = 300
SIZES = (10_000, 25_000, 50_000, 100_000)
MOST_MEGABYTES = 300
FASTER_THAN_API, SHARE_OF_CLASSIFIER = 5, 0.5
MOST_UNEVEN = 1.15  # time a picture, of the largest archive and the smallest
_TOKEN = "of this benchmark alone"  # noqa: S105


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON and the memory as a plot; exit status 1 where an aim is missed."""
    made = parser("benchmarks.batch", "Measure the batch function.", count=10_000)
    made.set_defaults(json=RESULTS)
    made.add_argument(
        "--sizes", type=int, nargs="*", default=SIZES, help="of the archives that memory is measured with"
    )
    options = made.parse_args(arguments)
    try:
        model, found = model_of(options), digits_of(options)
        figures = _measured(folder_of(options), model, found.test.sample(options.count), options.sizes)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "model": model.manifest.version,
        "recipe": model.manifest.recipe.name,
        **figures,
    }
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    return int(not all(list(_print_verdicts(figures))))


def _measured(folder: Path, model: Measured, part: Part, sizes: Sequence[int]) -> dict[str, Any]:
    pictures = [png(image) for image in part.images]
    with running_store() as store, tempfile.TemporaryDirectory() as client:
        bucket = Bucket.from_environment(os.environ)
        Registry(bucket).promote(Registry(bucket).publish(*read_folder(folder)))
        tokens.add(bucket, "benchmark", _TOKEN)
        link_runtime_client(Path(client))
        batch = {
            **artifact_environment(Path(client), store.environment(), name=BATCH),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "900",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEGABYTES),
        }
        more = batch | {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MORE_MEGABYTES)}
        api = artifact_environment(Path(client), store.environment())
        with (
            emulated(bare_python(), BATCH_HANDLER, batch) as one,
            emulated(bare_python(), BATCH_HANDLER, more) as two,
            emulated(bare_python(), HANDLER, api) as asked,
        ):
            figures = _speed(bucket, {"batch": one, "batch, two processors": two, "api": asked}, part, model, folder)
        curves = []
        for size in sizes:
            with emulated(bare_python(), BATCH_HANDLER, batch) as function:
                curves.append(_curve(bucket, function, pictures, size))
    if curves:
        _plot(curves)
    return {**figures, "curves": curves}


def _read(function: Container, name: str) -> Document:
    """Have the function read what was dropped, and return its summary."""
    outcome: Document = function(dropped(name))
    if outcome.get("outcome") != "done":
        raise DigitsError(f"{name} was not read: {outcome}")
    return outcome


def _check_order(bucket: Bucket, name: str, count: int) -> list[Document]:
    lines = [json.loads(line) for line in bucket.get(lines_key(name)).data.splitlines()]
    if [line["index"] for line in lines] != list(range(count)):
        raise DigitsError(f"the lines of {name} are not one for each picture, in order")
    return lines


def _speed(
    bucket: Bucket, functions: dict[str, Container], part: Part, model: Measured, folder: Path
) -> dict[str, Any]:
    """Return pictures a second: of the batch functions, of the API's, and of both kinds of network on arrays."""
    pictures = [png(image) for image in part.images]
    data = archive(pictures, len(pictures), part.labels)
    events, predict = [_event(picture) for picture in pictures[:API_REQUESTS]], _keras(folder)
    names = [name for name in functions if name.startswith("batch")]
    archives = iter([f"{number}.zip" for number in range(len(names) * (ROUNDS + 1))])
    for number in range(len(names) * (ROUNDS + 1)):
        bucket.create(f"{BATCH_IN}{number}.zip", data)
    ways: dict[str, tuple[Callable[[], Any], int]] = {
        **{name: (partial(lambda name: _read(functions[name], next(archives)), name), len(part)) for name in names},
        "api": (lambda: [functions["api"](event) for event in events], len(events)),
        "classifier": (lambda: model.classifier.predict(part.images), len(part)),
        "tensorflow": (lambda: predict(part.images), len(part)),
    }
    summary, *_ = [do() for do, _ in ways.values()]  # which warms all up
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):  # in turns, so that all see the same machine
        for name, (do, count) in ways.items():
            rates[name].append(_rate(do, count))
    answers = model.classifier.predict(part.images).argmax(axis=1).tolist()
    lines = _check_order(bucket, "0.zip", len(part))
    read = [line.get("pred", answer) for line, answer in zip(lines, answers, strict=True)]
    return {
        "pictures": len(part),
        "accuracy": summary["labels"]["accuracy"],
        "refused": summary["outcomes"].get("refused", 0),
        # Of what is refused, as the network reads it: the manifest's accuracy is the network's, which refuses nothing.
        "network_accuracy": float(np.mean(read == part.labels)),
        "manifest_accuracy": model.manifest.test.accuracy if len(part) == model.manifest.test.count else None,
        "peak_megabytes": functions["batch"].memory_kilobytes() / 1024,
        "rates": rates,
    }


def _event(picture: bytes) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": "/v1/predict",
        "rawQueryString": "",
        "headers": {"content-type": "image/png", "x-api-key": _TOKEN},
        "requestContext": {
            "http": {"method": "POST", "path": "/v1/predict", "sourceIp": "192.0.2.1"},
            "stage": "$default",
        },
        "body": base64.b64encode(picture).decode(),
        "isBase64Encoded": True,
    }


def _keras(folder: Path) -> Callable[[Any], Any]:
    """Return the prediction of the trained network in TensorFlow, on arrays that are decoded already."""
    import tensorflow as tf

    network = tf.keras.models.load_model(folder / "model.keras")
    return lambda images: network.predict(images, batch_size=256, verbose=0)


def _rate(do: Callable[[], Any], count: int) -> float:
    started = time.perf_counter()
    do()
    return count / (time.perf_counter() - started)


def _curve(bucket: Bucket, function: Container, pictures: list[bytes], count: int) -> dict[str, Any]:
    """Have an archive of so many pictures read, and return its time, and the memory while it was read."""
    name = f"of-{count}.zip"
    bucket.create(f"{BATCH_IN}{name}", archive(pictures, count))
    with _watched(function) as memory:
        started = time.perf_counter()
        summary = _read(function, name)
        seconds = time.perf_counter() - started
    curve = {
        "pictures": count,
        "seconds": seconds,
        "pictures_per_second": summary["pictures_per_second"],
        "peak_megabytes": function.memory_kilobytes() / 1024,
        "memory": memory,
    }
    for key in (f"{BATCH_IN}{name}", lines_key(name)):
        bucket.delete(key)
    print(
        f"{count:>8,} pictures  {summary['seconds']:6.1f} s  {curve['peak_megabytes']:5.0f} MB at most",
        flush=True,
    )
    return curve | {"seconds": summary["seconds"]}


@contextmanager
def _watched(function: Container) -> Iterator[list[tuple[float, float]]]:
    """Note how many megabytes the function has every fifth of a second."""
    seen: list[tuple[float, float]] = []
    started, ended = time.perf_counter(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            seen.append((round(time.perf_counter() - started, 2), round(function.memory_kilobytes(now=True) / 1024, 1)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _plot(curves: list[dict[str, Any]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    memory, seconds = figure.subplots(1, 2)
    for curve in curves:
        memory.plot(*zip(*curve["memory"], strict=True), label=f"{curve['pictures']:,} pictures")
    memory.axhline(MOST_MEGABYTES, color="grey", linestyle=":")
    memory.set(xlabel="seconds", ylabel="resident megabytes", ylim=(0, MOST_MEGABYTES * 1.1), title="memory")
    memory.legend(loc="lower right")
    seconds.plot([curve["pictures"] for curve in curves], [curve["seconds"] for curve in curves], marker="o")
    seconds.set(xlabel="pictures", ylabel="seconds", xlim=(0, None), ylim=(0, None), title="time")
    figure.savefig(PLOT, dpi=110)


def _print_verdicts(figures: dict[str, Any]) -> Iterator[bool]:
    """Print what was measured beside what was aimed at; gives whether each aim is met."""
    for name, rates in figures["rates"].items():
        print(f"{name:22} {statistics.median(rates):9,.0f} pictures a second  {min(rates):,.0f}..{max(rates):,.0f}")
    curves = figures["curves"]
    peak = max([figures["peak_megabytes"], *(curve["peak_megabytes"] for curve in curves)])
    each = [curve["seconds"] / curve["pictures"] for curve in curves] or [1.0]
    rates = figures["rates"]
    best = {
        name: statistics.median(map(truediv, rates["batch, two processors"], rates[name]))
        for name in ("batch", "api", "classifier", "tensorflow")
    }
    for name, met, measured in (
        (
            "accuracy, refused digits as the network reads them, that of the manifest",
            figures["manifest_accuracy"] in (None, figures["network_accuracy"]),
            f"{figures['network_accuracy']:.2%}",
        ),
        (
            f"beside a loop over the API, two processors, at least {FASTER_THAN_API}",
            best["api"] >= FASTER_THAN_API,
            f"{best['api']:.1f}",
        ),
        (
            f"beside the classifier alone, two processors, at least {SHARE_OF_CLASSIFIER}",
            best["classifier"] >= SHARE_OF_CLASSIFIER,
            f"{best['classifier']:.2f}",
        ),
        (f"memory, at most {MOST_MEGABYTES} MB", peak <= MOST_MEGABYTES, f"{peak:.0f} MB"),
        (
            f"time a picture, most / fewest pictures, at most {MOST_UNEVEN}",
            each[-1] / each[0] <= MOST_UNEVEN,
            f"{each[-1] / each[0]:.2f}",
        ),
    ):
        print(f"{name:60} {measured:>10}  {'met' if met else 'MISSED'}")
        yield met
    for name, other in (("one processor", "batch"), ("TensorFlow on decoded arrays", "tensorflow")):
        print(f"{f'two processors beside {name} (no aim)':60} {best[other]:>10.2f}")


if __name__ == "__main__":
    sys.exit(main())
