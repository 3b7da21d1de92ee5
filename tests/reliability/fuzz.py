"""Inputs by the ten thousand through every parser: no crash, no hang, no failure of our own, within memory."""

from __future__ import annotations

import base64
import json
import logging
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from digits.errors import DigitsError, InputError, ObjectNotFoundError
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import FileRecord, Manifest
from digits.model.proof import prove
from digits.registry.pointer import Pointer
from digits.registry.tokens import TokenSet
from tests import batches, events
from tests.reliability import inputs
from tests.reliability.logs import keep_logs
from tests.reliability.rows import Row, peak_megabytes
from tests.reliability.world import Container, World

MOST_SECONDS = 2.0
MOST_MEGABYTES = 512  # which is what the function has
GUIDED = ("images", "archives", "tensors")
_LONGEST_SECONDS = 10  # of a child that hangs
_DRAWN_AT_ONCE = 100
_MOST_FOR_A_MODEL = 300  # MB

STATUSES: Counter[int] = Counter()  # of this process's answers

# What an input is, and what sends it and tells what is wrong with how that ended.
type Send = Callable[[], str | None]
type Try = tuple[str, Send]
type Generator = Callable[[random.Random, Container, Any], Iterator[Try]]
type Target = Callable[[Row, Container, Any, int], None]


def run(world: World, count: int = 100_000, guided_runs: int = 20_000) -> Iterator[Row]:
    """Fuzz every parser, each in a process of its own.

    Args:
        count: of inputs in all, besides those that are guided by coverage.
        guided_runs: of inputs of each of the three formats that are guided by coverage.
    """
    world.reset()
    whole = sum(share for _, share in TARGETS.values())
    version = {name: data for name, data in world.version[1].items() if name in (MODEL_FILE, READER_FILE)}
    for name, (_, share) in TARGETS.items():
        row = Row("fuzz", name)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
            arguments = (name, count * share // whole, world.environment(), (world.version[0], version))
            try:
                row = processes.submit(fuzz, *arguments).result()
            except BrokenProcessPool:
                row.add("the process ended")
        yield row
    for name in GUIDED if guided_runs else ():
        yield _guided(name, guided_runs)


def fuzz(name: str, count: int, environment: dict[str, str], version: Any) -> Row:
    """Fuzz one parser; in a process of its own, whose memory is looked at."""
    os.environ.update(environment)
    if not keep_logs():
        logging.disable(logging.CRITICAL)
    row = tried(name, count, version)
    megabytes = peak_megabytes()
    row.figures["memory_MB"] = round(megabytes)
    if STATUSES:
        row.figures["answered_200"] = STATUSES[200] / STATUSES.total()
        row.figures["statuses"] = dict(STATUSES)
    if megabytes > MOST_MEGABYTES:
        row.lost += 1
        row.examples.append(f"{megabytes:.0f} MB")
    return row


def tried(name: str, count: int, version: Any) -> Row:
    """Fuzz one parser.

    Args:
        version: a manifest, and the model file.
    """
    row = Row("fuzz", name)
    target, _ = TARGETS[name]
    container = Container(os.environ["AWS_ENDPOINT_URL_S3"])
    target(row, container, version, count)
    container.close()
    return row


def _each(generate: Generator, around: Callable[[Send], Send] = lambda send: send) -> Target:
    """Return what fuzzes with the inputs of a generator."""

    def target(row: Row, container: Container, version: Any, count: int) -> None:
        for told, send in islice(generate(random.Random(1), container, version), count):
            _judge(row, told, around(send))

    return target


def _apart(send: Send) -> Send:
    """Have something done by a process of its own, which it may end: LiteRT does not survive every file."""

    def sent() -> str | None:
        child = os.fork()
        if not child:
            status, before = 2, peak_megabytes()
            try:
                signal.alarm(_LONGEST_SECONDS)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                status = int(send() is not None or peak_megabytes() - before > _MOST_FOR_A_MODEL)
            finally:
                os._exit(status)  # whatever happens: the rest of the suite is the parent's
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return f"the process ended with {status}" if status else None

    return sent


def _judge(row: Row, told: str, send: Send) -> None:
    started = time.perf_counter()
    try:
        problem = send()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    if seconds > MOST_SECONDS:
        problem = f"{seconds:.1f} s"
    row.add(f"{problem} for {told}" if problem else None, seconds)


def answered(container: Container, event: Any) -> str | None:
    """Have an event answered, and tell what is wrong with the answer."""
    return problem_of(container.handle(event))


def problem_of(answer: dict[str, Any]) -> str | None:
    """Tell what is wrong with an answer to something odd: a failure of our own, or no request id."""
    status = events.status_of(answer)
    STATUSES[status] += 1
    if status >= 500:
        return f"{status}: {str(answer)[:300]}"
    if "statusCode" in answer:
        has_id = "x-request-id" in answer["headers"]
    elif "predictions" in answer:
        has_id = all("request_id" in each for each in answer["predictions"])
    else:
        has_id = "request_id" in answer or "warm" in answer
    return None if has_id else f"no request id: {str(answer)[:300]}"


def _posted(path: str, kind: str, body: bytes) -> dict[str, Any]:
    return events.at(events.post(body, content_type=kind), path)


def _images(chance: random.Random, container: Container, _: Any) -> Iterator[Try]:
    files = inputs.images()
    while True:
        data = inputs.mutated(chance.choice(files), chance, files)
        event = _posted(chance.choice(("/v1/predict", "/v1/read")), "image/png", data)
        yield base64.b64encode(data).decode(), lambda event=event: answered(container, event)  # type: ignore[misc]


def _documents(row: Row, container: Container, path: str, count: int, seed: int) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs.documents())
    def send(document: Any) -> None:
        text = json.dumps(document)
        event = events.at(events.post(text), path)
        _judge(row, text[:300], lambda: answered(container, event))

    send()


def _drawn(row: Row, container: Container, _: Any, count: int) -> None:
    """Fuzz with documents of JSON; hypothesis holds 0.4 MB for each as long as it draws, so a few at a time."""
    paths = ("/v1/predict", "/v1/read", "/v2/models/digits/infer")
    for seed, start in enumerate(range(0, count, _DRAWN_AT_ONCE)):
        _documents(row, container, paths[seed % 3], min(_DRAWN_AT_ONCE, count - start), seed)


def _forms(chance: random.Random, container: Container, _: Any) -> Iterator[Try]:
    while True:
        body, kind = chance.choice(inputs.forms())
        data = inputs.mutated(body, chance, inputs.images())
        if chance.random() < 0.2:
            kind = inputs.mutated(kind.encode(), chance).decode("latin-1").replace("\r", "").replace("\n", "")
        event = _posted(chance.choice(("/v1/predict", "/v1/read")), kind, data)
        yield base64.b64encode(data).decode(), lambda event=event: answered(container, event)  # type: ignore[misc]


def _tensors(chance: random.Random, container: Container, _: Any) -> Iterator[Try]:
    while True:
        body, length = chance.choice(inputs.tensors())
        data = inputs.mutated(body, chance)
        headers = {} if length is None else {"inference-header-content-length": length}
        if chance.random() < 0.1:
            headers["inference-header-content-length"] = str(inputs.odd_value(chance))[:40]
        event = _posted("/v2/models/digits/infer", "application/octet-stream" if length else "application/json", data)
        event["headers"] |= headers
        yield base64.b64encode(data[:300]).decode(), lambda event=event: answered(container, event)  # type: ignore[misc]


def _events(chance: random.Random, container: Container, _: Any) -> Iterator[Try]:
    samples = [events.load(path.stem) for path in sorted(events.FOLDER.glob("*.json"))]
    while True:
        event = inputs.mutated_json(chance.choice(samples), chance)
        yield str(event)[:300], lambda event=event: answered(container, event)  # type: ignore[misc]


def _archives(chance: random.Random, *_: Any) -> Iterator[Try]:
    samples = inputs.archives()
    while True:
        name, data = chance.choice(samples)
        data = inputs.mutated(data, chance, tuple(each for _, each in samples))
        yield f"{name} {base64.b64encode(data[:300]).decode()}", lambda name=name, data=data: listed(name, data)  # type: ignore[misc]


def listed(name: str, data: bytes) -> str | None:
    """Have an archive read, and the first pictures in it decoded."""
    try:
        for item in islice(batches.source(name, data).items(), 50):
            try:
                item.content.picture()
            except InputError:
                continue
    except (InputError, ObjectNotFoundError):
        return None
    return None


def _pointers(chance: random.Random, *_: Any) -> Iterator[Try]:
    pointer = Pointer.model_validate(
        {
            "version": "20261122T051500Z-3f9a1c2b",
            "manifest_sha256": sha256(b""),
            "previous": None,
            "promoted_at": "2026-11-22T05:15:00Z",
        }
    ).to_json()
    tokens = json.dumps({"a": {"sha256": sha256(b""), "created_at": "2026-11-22T05:15:00Z", "check": "0"}}).encode()
    while True:
        parse, data = chance.choice(((Pointer.from_json, pointer), (TokenSet.from_json, tokens)))
        data = inputs.mutated(data, chance)
        yield str(data)[:300], lambda parse=parse, data=data: _refused(lambda: parse(data))  # type: ignore[misc]


def _refused(parse: Callable[[], object]) -> str | None:
    with suppress(DigitsError):
        parse()
    return None


def _manifests(chance: random.Random, _: Container, version: Any) -> Iterator[Try]:
    manifest, files = version
    document = json.loads(manifest.to_json())
    text = manifest.to_json()
    while True:
        if chance.random() < 0.5:
            data = inputs.mutated(text, chance)
        else:
            data = json.dumps(inputs.mutated_json(document, chance)).encode()

        def send(data: bytes = data) -> str | None:
            return _refused(lambda: prove(Manifest.from_json(data), files[MODEL_FILE], data))

        yield str(data)[:100], send


def _models(chance: random.Random, _: Container, version: Any) -> Iterator[Try]:
    """Models whose digest is right, as somebody would publish them who can write into the bucket."""
    manifest, files = version
    while True:
        data = dict(files)
        name = chance.choice((MODEL_FILE, READER_FILE)) if READER_FILE in files else MODEL_FILE
        data[name] = _mutated_model(data[name], chance)
        records = {each: FileRecord(sha256=sha256(data[each]), size_bytes=len(data[each])) for each in data}
        update = {"version": manifest.version[:-8] + records[MODEL_FILE].sha256[:8], "files": records}
        other = manifest.model_copy(update=update)

        def send(other: Manifest = other, data: dict[str, bytes] = data) -> str | None:
            return _refused(lambda: prove(other, data[MODEL_FILE], reader=lambda: data[READER_FILE]).whole())

        yield f"{name} {records[name].sha256}", send


def _mutated_model(model: bytes, chance: random.Random) -> bytes:
    """Change what is not weights: the tables at both ends of the file."""
    changed = bytearray(model)
    for _ in range(chance.choice((1, 2, 8))):
        place = chance.choice((chance.randrange(2_000), len(changed) - 1 - chance.randrange(8_000)))
        changed[place] = chance.choice((0, 0xFF, chance.randrange(256), changed[place] ^ 1 << chance.randrange(8)))
    return bytes(changed)


TARGETS: dict[str, tuple[Target, int]] = {
    "image files": (_each(_images), 15),
    "JSON documents": (_drawn, 6),
    "forms": (_each(_forms), 12),
    "V2 tensors": (_each(_tensors), 14),
    "events": (_each(_events), 14),
    "archives": (_each(_archives), 12),
    "pointers and token files": (_each(_pointers), 15),
    "manifests": (_each(_manifests), 6),
    "models": (_each(_models, _apart), 6),
}


def _guided(name: str, runs: int) -> Row:
    """Have atheris search for inputs that reach new code."""
    row = Row("fuzz", f"{name}, guided by coverage")
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, data in enumerate(seeds(name)):
            (corpus / str(number)).write_bytes(data)
        # By way of a shell, which is small: a process counts the memory of the one that it was forked from as its own.
        command = [
            "sh",
            "-c",
            '"$0" "$@"; exit $?',
            sys.executable,
            "-m",
            "tests.reliability.guided",
            name,
            str(corpus),
        ]
        command += [f"-runs={runs}", "-seed=1"]
        command += [f"-timeout={MOST_SECONDS:.0f}", f"-rss_limit_mb={MOST_MEGABYTES}", "-max_len=8192"]
        command += [f"-artifact_prefix={folder}/", "-verbosity=1", "-print_final_stats=1"]
        started = time.perf_counter()
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"number_of_executed_units:\s*(\d+)", finished.stderr)
        row.count = int(found[1]) if found else 0
        slowest = re.search(r"slowest_unit_time_sec:\s*(\d+)", finished.stderr)
        row.worst_seconds = float(slowest[1]) if slowest else None
        covered = re.findall(r"cov: (\d+) ft: (\d+)", finished.stderr)
        row.figures = {
            "seconds": round(time.perf_counter() - started),
            "branches_first": int(covered[0][0]) if covered else 0,
            "branches_last": int(covered[-1][0]) if covered else 0,
        }
        if finished.returncode:
            row.lost = 1
            kept = [base64.b64encode(path.read_bytes()).decode() for path in Path(folder).glob("*-*")]
            row.examples = [*kept, finished.stderr[-1500:]]
    return row


def seeds(name: str) -> Iterator[bytes]:
    """Return what atheris begins with; the first byte chooses the kind of an archive, or how a message is announced."""
    match name:
        case "images":
            yield from inputs.images()
        case "archives":
            yield from (bytes([number]) + data for number, (_, data) in enumerate(inputs.archives()))
        case "tensors":
            yield from (bytes([number]) + data[:4000] for number, (data, _) in enumerate(inputs.tensors()))
