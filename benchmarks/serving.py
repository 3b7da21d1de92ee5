"""Cold start, warm latency, throughput, memory, size and cost of serving: measured in one run, as ratios.

Measured is the artifact that `make build` made, under Lambda's runtime interface emulator and runtime client, with
the last trained model of recipe `default` in an object store behind a socket. Beside it, round by round: a handler
that does nothing, FastAPI and Mangum with one constant route, and TensorFlow as it is usually deployed.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from matplotlib.figure import Figure as Plot
from PIL import Image

from benchmarks import emulator
from benchmarks.machine import machine
from benchmarks.ports import free_port, wait_for
from digits.errors import DigitsError, OperationError
from digits.model.identity import MODEL_FILE
from local.lambda_invoke import EVENT_TOKEN, furnish
from local.stack import running_store
from training.artifacts import OUTPUT, latest_folder, read_folder
from training.distortions import ROWS

ROUNDS = 7
REQUESTS = 300
BATCH = 256
RESULTS = Path(__file__).parent / "results/serving.json"
PLOTS = RESULTS.with_suffix(".png")
HANDLERS = Path(__file__).parent / "handlers"
IN_PROCESS = Path(__file__).parent / "in_process.py"
EVENT = Path(__file__).parents[1] / "events/http_v2_predict_json.json"
DIGIT = Path(__file__).parents[1] / "events/digits/7.png"

# AWS's list price of x86_64 in us-east-1: a gigabyte for a second, and a request.
DOLLARS_PER_GIGABYTE_SECOND, DOLLARS_PER_REQUEST = 0.0000166667, 0.20 / 1e6
MEGABYTES_PER_CORE = 1769
MEMORY_SIZES = (128, 256, 512, 768, 1024, 1769)
REQUESTS_PER_COLD_START = 1_000
MOST_P99_MILLISECONDS = 10.0

SIDES = (28, 64, 128, 256, 512, 1024, 2048, 4000)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
OURS = "functions.predict_api.handler:handler"
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64)
PHASES = ("token", "decode", "canonical", "inference", "encoding")


@dataclass(frozen=True)
class Candidate:
    """A handler to measure, and how it is started and asked.

    Attributes:
        heavy: what else it is asked before its memory is read.
    """

    python: list[str]
    handler: str
    environment: dict[str, str]
    requests: int
    heavy: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Round:
    """One container: from process start to first answer, each further answer, and the most memory resident."""

    cold_seconds: float
    warm_seconds: list[float]
    memory_megabytes: float


@dataclass(frozen=True)
class Figure:
    """One measured figure and what it should be.

    Attributes:
        low, high: its quartiles over the rounds, which is the noise that a verdict allows for.
        rule: whether `aim` is the least or the most.
    """

    name: str
    value: float
    low: float
    high: float
    rule: str
    aim: float

    @property
    def met(self) -> bool:
        """Whether the aim is met, or missed by no more than the noise."""
        return self.high >= self.aim if self.rule == "at least" else self.low <= self.aim

    def line(self) -> str:
        """Return it as a row of a Markdown table."""
        verdict = "met" if self.met else "**missed**"
        spread = f"{_short(self.low)}..{_short(self.high)}"
        return f"| {self.name} | {self.rule} {_short(self.aim)} | {_short(self.value)} | {spread} | {verdict} |"


def main() -> int:
    """Measure, print and write everything; exit status 1 where an aim is missed by more than the noise."""
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory() as folder, running_store() as store:
            manifest, files = read_folder(latest_folder(OUTPUT))
            if manifest.recipe.name != "default":
                raise OperationError(f"{manifest.version} is of recipe {manifest.recipe.name!r}: train 'default'")
            furnish(OUTPUT)
            result = _measure(Path(folder), store.environment(), len(files[MODEL_FILE]))
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    figures: list[Figure] = result.pop("figures")
    print("\n| figure | aim | measured | quartiles | verdict |\n| --- | --- | --- | --- | --- |")
    for figure in figures:
        print(figure.line())
    print("\n".join(["", *_cost_lines(result["cost"])]))
    document = {
        "model": manifest.version,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load_before": load,
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        **result,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    _plot(result).savefig(PLOTS, dpi=110)
    missed = sum(not figure.met for figure in figures)
    print(f"{len(figures) - missed} of {len(figures)} aims met; written to {RESULTS} and {PLOTS.name}")
    return int(missed > 0)


def _measure(folder: Path, store: dict[str, str], model_bytes: int) -> dict[str, Any]:
    client = folder / "client"
    client.mkdir()
    ours = emulator.artifact_environment(emulator.link_runtime_client(client), store)
    rounds = _rounds(_candidates(folder, client, ours))
    batches = _batches(ours, _tensorflow_environment(folder / "handlers"))
    curves = _curves(ours, folder)
    figures = [*_latency_figures(rounds), *_batch_figures(batches), *_size_figures(rounds, model_bytes)]
    return {
        "figures": figures,
        "rounds": {name: _summary(measured) for name, measured in rounds.items()},
        "batches": {name: BATCH / statistics.median(seconds) for name, seconds in batches.items()},  # images a second
        "cost": _costs(rounds),
        "curves": curves,
    }


def _candidates(folder: Path, client: Path, ours: dict[str, str]) -> dict[str, Candidate]:
    handlers = copytree(HANDLERS, folder / "handlers")
    subprocess.run([*emulator.bare_python(), "-m", "compileall", "-q", str(handlers)], check=True)
    runtime_layer = emulator.LAYER_FOLDERS[0]
    floor = {**ours, "PYTHONPATH": os.pathsep.join(map(str, (handlers, runtime_layer, client)))}
    return {
        "empty": Candidate(emulator.bare_python(), "empty.handler", floor, REQUESTS),
        "hello": Candidate(emulator.bare_python(), "hello.handler", floor, REQUESTS),
        "ours": Candidate(emulator.bare_python(), emulator.HANDLER, ours, REQUESTS, _heavy_events()),
        "tensorflow": Candidate(
            [sys.executable], "tensorflow_predict.handler", _tensorflow_environment(handlers), REQUESTS // 8
        ),
    }


def _tensorflow_environment(handlers: Path) -> dict[str, str]:
    model = latest_folder(OUTPUT) / "model.keras"
    return {"PYTHONPATH": str(handlers), "MODEL": str(model), "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(handlers)}


def _rounds(candidates: dict[str, Candidate]) -> dict[str, list[Round]]:
    rounds: dict[str, list[Round]] = {name: [] for name in candidates}
    names = list(candidates)
    for number in range(ROUNDS):
        start = number % len(names)  # nobody always comes after the same one
        for name in names[start:] + names[:start]:
            rounds[name].append(_round(candidates[name]))
        cold = ", ".join(f"{name} {measured[-1].cold_seconds:.3f}" for name, measured in rounds.items())
        print(f"round {number + 1}/{ROUNDS}: cold start in seconds: {cold}", flush=True)
    return rounds


def _round(candidate: Candidate) -> Round:
    logged, event = io.StringIO(), EVENT.read_bytes()
    started = time.perf_counter()
    with (
        contextlib.redirect_stdout(logged),
        emulator.emulated(candidate.python, candidate.handler, candidate.environment) as container,
    ):
        answer = json.loads(container.answer(event))
        cold_seconds = time.perf_counter() - started
        if answer.get("statusCode") != 200 or json.loads(answer["body"])["pred"] != 7:
            raise OperationError(f"{candidate.handler} answered {answer}")
        warm = list(_timed(lambda: container.answer(event), candidate.requests))
        for heavy in candidate.heavy:
            status = json.loads(container.answer(heavy))["statusCode"]
            assert status == 200, status
        return Round(cold_seconds, warm, container.memory_kilobytes() * 1024 / 1e6)


def _timed(call: Callable[[], object], times: int) -> Iterator[float]:
    for _ in range(times):
        started = time.perf_counter()
        call()
        yield time.perf_counter() - started


def _latency_figures(rounds: dict[str, list[Round]]) -> Iterator[Figure]:
    cold = {name: [each.cold_seconds for each in measured] for name, measured in rounds.items()}
    floor = [statistics.median(each.warm_seconds) for each in rounds["empty"]]
    warm = {
        name: [statistics.median(each.warm_seconds) - share for each, share in zip(measured, floor, strict=True)]
        for name, measured in rounds.items()
    }
    tail = [
        _percentile([max(0.0, seconds - share) for seconds in each.warm_seconds], 99) / middle
        for each, share, middle in zip(rounds["ours"], floor, warm["ours"], strict=True)
    ]
    yield _ratio("cold start, tensorflow / ours", cold["tensorflow"], cold["ours"], "at least", 20)
    yield _ratio("cold start, ours / hello", cold["ours"], cold["hello"], "at most", 1.3)
    yield _ratio("warm p50 in the handler, tensorflow / ours", warm["tensorflow"], warm["ours"], "at least", 50)
    yield _ratio("warm p50 in the handler, ours / hello", warm["ours"], warm["hello"], "at most", 1.5)
    yield _figure("warm p99 / p50 in the handler", tail, "at most", 3)


def _heavy_events() -> tuple[bytes, ...]:
    """Return what takes most memory: many pictures, a large one, and as many tensors as a body holds."""
    tensors = np.repeat(np.asarray(Image.open(DIGIT))[None], 4_000, axis=0)
    events = [*_batch_events().values(), _image_event(_drawn(SIDES[-1])), _tensor_event(tensors)]
    return tuple(json.dumps(event).encode() for event in events)


def _batch_events() -> dict[str, dict[str, Any]]:
    png = base64.b64encode(DIGIT.read_bytes()).decode()
    pixels = np.asarray(Image.open(DIGIT))
    return {
        "png": _event(json.dumps({"instances": [{"image": png}] * BATCH})),
        "pixels": _event(json.dumps({"instances": [{"pixels": pixels.ravel().tolist()}] * BATCH})),
        "binary": _tensor_event(np.repeat(pixels[None], BATCH, axis=0)),
    }


def _batches(ours: dict[str, str], theirs: dict[str, str]) -> dict[str, list[float]]:
    """Return the median seconds in each round of a request of 256 images, on one core, through the whole handler."""
    own = _batch_events()
    pixels = np.asarray(Image.open(DIGIT)).tobytes()
    other = {"tensorflow": {"body": base64.b64encode(pixels * BATCH).decode()}}
    rounds: dict[str, list[float]] = {name: [] for name in (*own, *other)}
    for _ in range(ROUNDS):
        measured = _in_process(emulator.bare_python(), ours, OURS, own, 0.5)
        measured |= _in_process([sys.executable], theirs, "tensorflow_predict:batch", other, 0.5)
        for name, each in measured.items():
            rounds[name].append(statistics.median(each["seconds"]))
    return rounds


def _batch_figures(batches: dict[str, list[float]]) -> Iterator[Figure]:
    for name in ("png", "pixels", "binary"):
        label = f"images a second and core, {BATCH} as {name}, ours / tensorflow"
        yield _ratio(label, batches["tensorflow"], batches[name], "at least", 5)
    rates = [BATCH / seconds for seconds in batches["binary"]]
    yield _figure("images a second and core, V2 binary tensors", rates, "at least", 20_000)


def _size_figures(rounds: dict[str, list[Round]], model_bytes: int) -> Iterator[Figure]:
    folders = (emulator.FUNCTION_FOLDER, *emulator.LAYER_FOLDERS)
    artifact = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    yield _figure("function and layers unzipped, MB", [artifact / 1e6], "at most", 95)
    yield _figure("model, kB", [model_bytes / 1e3], "at most", 400)
    memory = {name: [each.memory_megabytes for each in measured] for name, measured in rounds.items()}
    tensorflow = statistics.median(memory["tensorflow"])
    yield _figure(f"memory while serving, MB (tensorflow {tensorflow:.0f})", memory["ours"], "at most", 160)


def _costs(rounds: dict[str, list[Round]]) -> list[dict[str, float]]:
    """Return what a million predictions cost on paper, by memory size: Lambda alone, list price, init billed.

    Each invocation is billed in whole milliseconds. Below one core's worth of memory the time grows as the share of
    the core shrinks.
    """
    floor = statistics.median(statistics.median(each.warm_seconds) for each in rounds["empty"])
    seconds = [max(0.0, each - floor) for measured in rounds["ours"] for each in measured.warm_seconds]
    cold = statistics.median(each.cold_seconds for each in rounds["ours"])
    peak = max(each.memory_megabytes for each in rounds["ours"])
    costs = []
    for megabytes in MEMORY_SIZES:
        slower = max(1.0, MEGABYTES_PER_CORE / megabytes)
        billed = statistics.mean(math.ceil(each * slower * 1e3) / 1e3 for each in seconds)
        billed += cold * slower / REQUESTS_PER_COLD_START
        dollars = billed * megabytes / 1024 * DOLLARS_PER_GIGABYTE_SECOND + DOLLARS_PER_REQUEST
        costs.append(
            {
                "memory_megabytes": megabytes,
                "fits": megabytes > peak,
                "p50_milliseconds": statistics.median(seconds) * slower * 1e3,
                "p99_milliseconds": _percentile(seconds, 99) * slower * 1e3,
                "cold_seconds": cold * slower,
                "dollars_per_million": dollars * 1e6,
            }
        )
    return costs


def _cost_lines(costs: list[dict[str, float]]) -> Iterator[str]:
    fast = [cost for cost in costs if cost["fits"] and cost["p99_milliseconds"] < MOST_P99_MILLISECONDS]
    cheapest = min(fast, key=lambda cost: cost["dollars_per_million"], default=None)
    yield "| memory | warm p50 | warm p99 | cold start | a million predictions |"
    yield "| --- | --- | --- | --- | --- |"
    for cost in costs:
        mark = ", too small" if not cost["fits"] else ", the cheapest with p99 under 10 ms" if cost is cheapest else ""
        yield (
            f"| {cost['memory_megabytes']:.0f} MB | {cost['p50_milliseconds']:.1f} ms | "
            f"{cost['p99_milliseconds']:.1f} ms | {cost['cold_seconds']:.2f} s | "
            f"{cost['dollars_per_million']:.3f} dollars{mark} |"
        )


def _curves(ours: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return how the time of a request grows, in milliseconds, and where the time of a single one goes."""
    png = base64.b64encode(DIGIT.read_bytes()).decode()
    one = {"one": json.loads(EVENT.read_text())}
    by_count = {str(count): _event(json.dumps({"instances": [{"image": png}] * count})) for count in COUNTS}
    by_side = {str(side): _image_event(_drawn(side)) for side in SIDES}
    measured = _in_process(emulator.bare_python(), ours, OURS, one | by_count, 0.5)
    sides = _in_process(emulator.bare_python(), ours, OURS, by_side, 0.5)
    floor = ours | {"PYTHONPATH": os.pathsep.join(map(str, (folder / "handlers", emulator.LAYER_FOLDERS[0])))}
    return {
        "images": {count: _milliseconds(measured[count]) for count in by_count},
        "side": {side: _milliseconds(sides[side]) for side in by_side},
        "concurrency": _by_concurrency(ours, folder),
        "phases": _phases(measured["one"]),
        "hello": _milliseconds(_in_process(emulator.bare_python(), floor, "hello:handler", one, 0.5)["one"]),
    }


def _phases(measured: dict[str, Any]) -> dict[str, float]:
    """Return the median milliseconds of each phase; `framework` is what the handler takes besides."""
    split = [
        dict(part.strip().split(";dur=") for part in each["server-timing"].split(",")) for each in measured["headers"]
    ]
    phases = {name: statistics.median(float(each[name]) for each in split) for name in PHASES}
    return {**phases, "framework": _milliseconds(measured) - sum(phases.values())}


def _by_concurrency(ours: dict[str, str], folder: Path) -> dict[str, dict[str, float]]:
    """Return latency and throughput of the artifact under uvicorn; server and clients have a process each."""
    with _served(ours, folder) as url, ProcessPoolExecutor(1) as processes:
        _ask(url, 1)  # which loads the model
        found = {}
        for concurrency in CONCURRENCIES:
            seconds, elapsed = processes.submit(_load, url, concurrency, 40 * concurrency).result()
            found[str(concurrency)] = {
                "p50_milliseconds": statistics.median(seconds) * 1e3,
                "p99_milliseconds": _percentile(seconds, 99) * 1e3,
                "requests_per_second": len(seconds) / elapsed,
            }
        return found


@contextlib.contextmanager
def _served(ours: dict[str, str], folder: Path) -> Iterator[str]:
    """Serve the artifact's application by uvicorn, which the artifact itself does not hold."""
    server = folder / "server"
    server.mkdir()
    emulator.link_packages(server, ("uvicorn", "click", "h11"))
    port = free_port()
    command = [*emulator.bare_python(), "-m", "uvicorn", "asgi:app", "--port", str(port), "--log-level", "warning"]
    path = os.pathsep.join((ours["PYTHONPATH"], str(server), str(folder / "handlers")))
    environment = {"PATH": os.environ["PATH"], **ours, "PYTHONPATH": path}
    with subprocess.Popen([*command, "--lifespan", "off", "--no-access-log"], env=environment) as process:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _load(url: str, concurrency: int, requests: int) -> tuple[list[float], float]:
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as threads:
        asked = [threads.submit(_ask, url, requests // concurrency) for _ in range(concurrency)]
        seconds = [each for client in asked for each in client.result()]
    return seconds, time.perf_counter() - started


def _ask(url: str, requests: int) -> list[float]:
    address = urlsplit(url)
    connection = HTTPConnection(str(address.hostname), address.port)
    headers = {"authorization": f"Bearer {EVENT_TOKEN}", "content-type": "image/png"}
    body = DIGIT.read_bytes()

    def ask() -> None:
        connection.request("POST", "/v1/predict", body, headers)
        answer = connection.getresponse()
        assert json.loads(answer.read())["pred"] == 7, answer.status

    with contextlib.closing(connection):
        return list(_timed(ask, requests))


def _in_process(
    python: Sequence[str], environment: dict[str, str], handler: str, events: dict[str, Any], seconds: float
) -> dict[str, Any]:
    finished = subprocess.run(
        [*python, str(IN_PROCESS), handler, str(seconds)],
        env={"PATH": os.environ["PATH"], **environment},
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise OperationError(f"{handler} failed: {finished.stderr.strip().splitlines()[-1]}")
    answers: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answers


def _event(body: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(EVENT.read_text())
    event["body"] = body
    return event


def _image_event(file: bytes) -> dict[str, Any]:
    event = _event(base64.b64encode(file).decode()) | {"isBase64Encoded": True}
    event["headers"]["content-type"] = "image/jpeg"
    return event


def _tensor_event(images: np.ndarray) -> dict[str, Any]:
    tensor = {"name": "pixels", "shape": list(images.shape), "datatype": "UINT8"}
    document = {"inputs": [{**tensor, "parameters": {"binary_data_size": images.size}}]}
    header = json.dumps({**document, "parameters": {"binary_data_output": True}}).encode()
    event = _event(base64.b64encode(header + images.tobytes()).decode()) | {"isBase64Encoded": True}
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/v2/models/digits/infer"
    event["headers"] |= {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(header)),
    }
    return event


def _drawn(side: int) -> bytes:
    """Return a JPEG of that side: MNIST's own form at 28, a photograph of a sheet above."""
    pixels = np.asarray(Image.open(DIGIT))
    if side > 28:
        pixels = ROWS["photo"].distort(pixels, np.random.default_rng(1))
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _ratio(name: str, over: Sequence[float], under: Sequence[float], rule: str, aim: float) -> Figure:
    return _figure(name, [one / other for one, other in zip(over, under, strict=True)], rule, aim)


def _figure(name: str, values: Sequence[float], rule: str, aim: float) -> Figure:
    low, middle, high = (float(each) for each in np.percentile(values, (25, 50, 75)))
    return Figure(name, middle, low, high, rule, aim)


def _percentile(values: Sequence[float], share: float) -> float:
    return float(np.percentile(values, share))


def _milliseconds(measured: dict[str, Any]) -> float:
    return float(statistics.median(measured["seconds"])) * 1e3


def _summary(measured: list[Round]) -> dict[str, Any]:
    warm = [seconds * 1e3 for each in measured for seconds in each.warm_seconds]
    return {
        "cold_seconds": [round(each.cold_seconds, 4) for each in measured],
        "warm_p50_milliseconds": statistics.median(warm),
        "warm_p99_milliseconds": _percentile(warm, 99),
        "memory_megabytes": max(each.memory_megabytes for each in measured),
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _plot(result: dict[str, Any]) -> Plot:
    curves = result["curves"]
    plot = Plot(figsize=(11, 7.5), layout="constrained")
    axes = plot.subplots(2, 2)
    for place, name, label in (
        (axes[0, 0], "images", "images in a request"),
        (axes[0, 1], "side", "side of the image in pixels"),
    ):
        places = [int(each) for each in curves[name]]
        place.loglog(places, list(curves[name].values()), marker="o")
        place.set(xlabel=label, ylabel="milliseconds in the handler", xticks=places)
    rows = curves["concurrency"]
    for share in ("p50", "p99"):
        values = [each[f"{share}_milliseconds"] for each in rows.values()]
        axes[1, 0].loglog([int(each) for each in rows], values, marker="o", label=share)
    axes[1, 0].set(
        xlabel="requests at a time, under uvicorn", ylabel="milliseconds", xticks=[int(each) for each in rows]
    )
    axes[1, 0].legend()
    transport = result["rounds"]["empty"]["warm_p50_milliseconds"]
    phases = {**curves["phases"], "transport": transport}
    axes[1, 1].barh(list(phases), list(phases.values()))
    axes[1, 1].invert_yaxis()
    axes[1, 1].set(xlabel="milliseconds of one request; transport is the emulator's")
    for place in axes.flat[:3]:
        place.set_xticklabels([str(int(tick)) for tick in place.get_xticks()], rotation=45)
        place.yaxis.set_major_formatter("{x:g}")
        place.minorticks_off()
        place.grid(alpha=0.3)
    return plot


if __name__ == "__main__":
    sys.exit(main())
