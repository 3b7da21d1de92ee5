"""What somebody tries who means harm: each row is an attack, and a test of its own."""

from __future__ import annotations

import base64
import hmac
import io
import json
import os
import random
import secrets
import socket
import tarfile
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image
from scipy.stats import mannwhitneyu

from digits.errors import CorruptModelError, DigitsError, InputError
from digits.model.classifier import Classifier
from digits.model.identity import MODEL_FILE, sha256
from digits.model.manifest import FileRecord, Manifest
from digits.model.proof import prove
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, manifest_key
from digits.registry.pointer import Pointer
from digits.registry.tokens import TokenRecord, TokenSet
from functions.predict_api import middleware
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from tests import batches, events
from tests.reliability import inputs
from tests.reliability.fuzz import MOST_SECONDS, problem_of
from tests.reliability.logs import keep_logs
from tests.reliability.rows import Row, peak_megabytes
from tests.reliability.world import Container, World, forks

# Besides what a container holds that has answered: of the 512 MB that the function has, it takes 125.
MOST_MEGABYTES = 380
# Of two distributions of times, how often one of the first is longer than one of the second: a half where they are
# alike. What is this near to it, nobody learns from over a network.
MOST_SHARE_APART = 0.02
_SECRET_FILE = b"root:"
_SOON_SECONDS = 2.0
_HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def run(world: World, guesses: int = 20_000) -> Iterator[Row]:
    """Try all attacks.

    Args:
        guesses: of tokens, whose times are compared; 0 compares none.
    """
    for attack in ATTACKS:
        world.reset()
        row = Row("attack", str(attack.__doc__).rstrip("."))
        attack(world, row)
        yield row
    if guesses:
        row = Row("attack", str(timed_guesses.__doc__).rstrip("."))
        timed_guesses(guesses, row)
        yield row


def guessed_tokens(world: World, row: Row) -> None:
    """Tokens that are guessed: none is let in."""
    container, chance = Container(world.proxy.url), random.Random(1)
    for _ in range(300):
        guess = chance.choice(
            (secrets.token_urlsafe(32), EVENT_TOKEN[:-1], EVENT_TOKEN + "a", "", "\0", EVENT_TOKEN.upper())
        )
        status = container.predict(7, guess)["statusCode"]
        row.add(None if status == 401 else f"{guess!r}: {status}")


def timed_guesses(guesses: int, row: Row) -> None:
    """Tokens whose digests begin as a valid one's does: refused in the same time as others."""
    valid = "valid-token-of-the-suite"
    digest = sha256(valid.encode())
    near = next(each for each in map(str, range(10**7)) if sha256(each.encode())[:4] == digest[:4])
    far = next(
        each for each in map(str, range(10**7)) if sha256(each.encode())[0] != digest[0] and len(each) == len(near)
    )
    records = {f"name-{number}": _record(secrets.token_hex(8)) for number in range(50)}
    tokens = TokenSet({**records, "valid": _record(valid)})
    share, p_value = _longer(tokens.name_of, near, far, guesses)
    found, _ = _longer(lambda guess: _compared_in_turn(digest, sha256(guess.encode())), near, far, guesses // 10)
    row.count = 2 * guesses
    row.figures = {"longer_share": share, "p_value": p_value, "longer_share_where_it_leaks": found}
    for well, problem in (
        (abs(share - 0.5) <= MOST_SHARE_APART, f"in {share:.1%} of pairs the near one takes longer"),
        (found - 0.5 > MOST_SHARE_APART, "what leaks is not told from what does not"),
        (not tokens.name_of(near) and not tokens.name_of(far), "a guess is let in"),
        # The difference that == makes is too small to be measured here, so that it is looked at.
        (_compared_at_once(tokens, near) == len(tokens.records), "not all records are compared in constant time"),
    ):
        row.add(None if well else problem)


def _compared_at_once(tokens: TokenSet, guess: str) -> int:
    """Return how many comparisons a guess takes that do not end at the first difference."""
    with mock.patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        tokens.name_of(guess)
    return compare.call_count


def _longer(compare: Callable[[str], object], near: str, far: str, guesses: int) -> tuple[float, float]:
    """Return in which share of pairs the near guess takes longer, and how likely that is where both take the same."""
    seconds: dict[str, list[int]] = {near: [], far: []}
    order = [near, far] * guesses
    random.Random(1).shuffle(order)
    for guess in order:
        started = time.perf_counter_ns()
        compare(guess)
        seconds[guess].append(time.perf_counter_ns() - started)
    tested = mannwhitneyu(seconds[near], seconds[far])
    return float(tested.statistic / (len(seconds[near]) * len(seconds[far]))), float(tested.pvalue)


def _compared_in_turn(one: str, other: str) -> bool:
    """Compare as one must not: the more of the beginning is right, the longer it takes."""
    return all(mine == yours for mine, yours in zip(one, other, strict=True))


def _record(token: str) -> TokenRecord:
    return TokenRecord(sha256=sha256(token.encode()), created_at=datetime.now(UTC))


def header_injection(world: World, row: Row) -> None:
    """Line ends in paths, headers, ids and origins: no header of an answer comes from them."""
    container = Container(world.proxy.url)
    evil = "x\r\nset-cookie: evil=1\r\n\r\n<script>"
    for path in (f"/v1/{evil}", "/v1/%0d%0aset-cookie:%20evil=1", f"/v2/models/{evil}"):
        answer = container(events.at(events.load("http_v2_health"), path))
        row.add(_injected(answer))
    for name in ("origin", "host", "x-request-id", "x-forwarded-proto", "content-type", "accept", "cookie", evil):
        answer = container(events.post(events.image_json(7), {name: f"https://a.example{evil}"}))
        row.add(_injected(answer))


def _injected(answer: dict[str, Any]) -> str | None:
    names = {name.lower() for name in answer["headers"]}
    ends = [value for value in answer["headers"].values() if "\r" in value or "\n" in value]
    return f"{answer['headers']}" if "set-cookie" in names or ends else None


@dataclass
class _Socket:
    """A raw connection to a server."""

    port: int

    def connected(self, seconds: float) -> socket.socket:
        """Return a connection that waits for so long."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def tell(self, data: bytes, seconds: float = 1.0) -> bytes:
        """Return all that is answered to bytes."""
        with self.connected(seconds) as connection:
            found = b""
            try:
                connection.sendall(data)
                while received := connection.recv(65536):
                    found += received
            except OSError:
                pass
            return found


def smuggled_requests(world: World, row: Row) -> None:
    """Requests inside of requests, by lengths that contradict each other: never two answers."""
    hidden = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    start = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\n"
    shapes = (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden,
        b"Content-Length: +5\r\n\r\nhello" + hidden,
        b"Transfer-Encoding: xchunked\r\n\r\n" + hidden,
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
        b"Content-Length: 5, 6\r\n\r\nhello" + hidden,
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + hidden,
        b"Content-Length:\x0b5\r\n\r\nhello" + hidden,
        b" Content-Length: 5\r\n\r\nhello" + hidden,
    )
    with _served(world) as server:
        for shape in shapes:
            found = server.tell(start + shape)
            row.add(f"{shape!r}: {found!r}" if _is_well(found) or found.count(b"HTTP/1.1 200") else None)
        # As a smuggled one would be answered: a request that openly follows another one.
        found = server.tell(start + b"Content-Length: 5\r\n\r\nhello" + hidden)
        row.add(None if _is_well(found) else f"two requests in the open: {found!r}")


def oversized_headers(world: World, row: Row) -> None:
    """Headers of megabytes, and thousands of them: refused, and the service goes on."""
    many = (b"\r\n".join(b"a%d: b" % number for number in range(count)) for count in (6_000, 10_000))
    with _served(world) as server:
        for headers in (b"a: " + b"b" * 5_000_000, b"a: " + b"b" * 40_000, *many):
            started = time.perf_counter()
            found = server.tell(b"GET /health HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n\r\n", 5.0)
            seconds = time.perf_counter() - started
            # What is sent on after the refusal may have the connection reset before the refusal is read.
            refused = found[9:12] in (b"400", b"431") or (not found and len(headers) > 1_000_000)
            row.add(None if refused and seconds < _SOON_SECONDS else f"{seconds:.1f} s: {found[:100]!r}", seconds)
            row.add(None if _is_well(server.tell(_HEALTH)) else "it is not well afterwards")


def slow_bodies(world: World, row: Row) -> None:
    """More bodies that never end than are taken on at a time: others are told so, and the places come back."""
    # Of this type, as the token of any other has to be in the headers.
    start = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n hello"
    with (
        mock.patch.object(middleware, "BODY_SECONDS", _SOON_SECONDS / 2),
        _served(world) as server,
        ExitStack() as open_,
    ):
        held = [open_.enter_context(server.connected(20)) for _ in range(middleware.MOST_AT_A_TIME)]
        for each in held:
            each.sendall(start)
        time.sleep(0.5)
        row.add(None if _is_well(server.tell(_HEALTH)) else "health is not told")
        found = server.tell(start.replace(b"9", b"6"))
        row.add(None if found[9:12] == b"503" and b"retry-after" in found.lower() else f"{found[:300]!r}")
        for each in held:
            told = each.recv(65536)
            row.add(None if told[9:12] == b"408" else f"{told[:100]!r}")
        found = server.tell(start.replace(b"9", b"6"))
        row.add(None if found[9:12] in (b"400", b"401", b"422") else f"afterwards: {found[:300]!r}")


def _is_well(answer: bytes) -> bool:
    return b'"status":"ok"' in answer


class _served:  # noqa: N801  # a context manager that is used as a function
    """The application under uvicorn."""

    def __init__(self, world: World) -> None:
        self._container = Container(world.proxy.url)

    def __enter__(self) -> _Socket:
        self._server = LocalServer(self._container.app)
        self._server.__enter__()
        return _Socket(int(self._server.url.rpartition(":")[2]))

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)


def path_traversal(world: World, row: Row) -> None:
    """Paths that lead out of the page's folder: no file of the machine is sent."""
    container = Container(world.proxy.url)
    ups = ("../" * 8, "..%2f" * 8, "%2e%2e/" * 8, "....//" * 8, "..\\" * 8, "%252e%252e%252f" * 8, "/")
    for up in ups:
        for start in ("/page/", "/docs/", "/", "/v2/models/", "/v2/models/digits/versions/"):
            answer = container(events.at(events.load("http_v2_page"), f"{start}{up}etc/passwd"))
            body = answer["body"]
            text = base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()
            row.add(
                f"{start}{up}: {answer['statusCode']}" if _SECRET_FILE in text or answer["statusCode"] >= 500 else None
            )


def forged_addresses(world: World, row: Row) -> None:
    """Addresses in every place where a picture may be named: none is ever fetched."""
    listener = socket.create_server(("127.0.0.1", 0))
    fetched: list[object] = []

    def accept() -> None:
        while True:
            try:
                fetched.append(listener.accept())
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
    container = Container(world.proxy.url)
    documents: list[Any] = [
        *({"image": url}, {"image": f"data:text/uri-list;base64,{base64.b64encode(url.encode()).decode()}"}),
        *({"url": url}, {"image": {"url": url}}, {"instances": [{"image": url}, {"url": url}]}),
        {"image": url, "fields": [{"name": url, "box": [0, 0, 1, 1]}]},
    ]
    for document in documents:
        for path in ("/v1/predict", "/v1/read"):
            row.add(_unless(container(events.at(events.post(document), path))["statusCode"] < 500, document))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'.encode()
    for kind in ("image/svg+xml", "image/png"):
        row.add(_unless(container(events.post(svg, content_type=kind))["statusCode"] in (415, 422), kind))
    shared = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28]}
    shared["parameters"] = {"shared_memory_region": url}  # type: ignore[assignment]
    event = events.at(events.post({"inputs": [shared]}), "/v2/models/digits/infer")
    row.add(_unless(container(event)["statusCode"] < 500, "V2"))
    for name, data in (
        ("a.csv", f"key,label\n{url},1\n".encode()),
        ("a.jsonl", batches.jsonl({"key": url}, {"image": url})),
    ):
        items = list(batches.source(name, data).items())
        row.add(_unless(all(batches.problem(item) for item in items), name))
    time.sleep(0.2)
    listener.close()
    row.add(_unless(not fetched, "somebody came to the address"))


def _unless(well: bool, what: object) -> str | None:
    return None if well else str(what)[:200]


def bombs(world: World, row: Row) -> None:
    """Little files that unpack to gigabytes, in every format: refused soon, within memory."""
    with ProcessPoolExecutor(1, forks(), max_tasks_per_child=1) as processes:  # each bomb has a process of its own
        for name, made in BOMBS.items():
            problem, seconds, megabytes = processes.submit(explode, name, made(), world.environment()).result()
            row.add(problem and f"{name}: {problem}", seconds)
            row.figures["memory_MB"] = max(megabytes, row.figures.get("memory_MB", 0))


def explode(name: str, data: bytes, environment: dict[str, str]) -> tuple[str | None, float, int]:
    """Send one bomb; in a process of its own, whose memory is looked at."""
    os.environ.update(environment)
    keep_logs()
    container = Container(os.environ["AWS_ENDPOINT_URL_S3"])
    container.predict()
    before = peak_megabytes()
    problem, started = None, time.perf_counter()
    if name.startswith("archive"):
        problem = _taken_from(name.partition(" ")[2], data)
    else:
        encoding = name.partition(" ")[2] if name.startswith("body") else "identity"
        event = events.post(data, {"content-encoding": encoding}, "image/png")
        answer = container.handle(event)
        is_refused = answer["statusCode"] in (413, 422)
        problem = problem_of(answer) or (None if is_refused else f"{answer['statusCode']}: {answer['body'][:200]}")
    seconds = time.perf_counter() - started
    megabytes = round(peak_megabytes() - before)
    if megabytes > MOST_MEGABYTES:
        problem = f"{megabytes} MB"
    elif seconds > MOST_SECONDS:
        problem = f"{seconds:.1f} s"
    return problem, seconds, megabytes


def _taken_from(name: str, data: bytes) -> str | None:
    """Tell whether anything but errors comes out of an archive."""
    try:
        found = [item for item in islice(batches.source(name, data).items(), 50) if batches.problem(item) is None]
    except InputError:
        return None
    return f"{len(found)} pictures come out of it" if found and name not in HARMLESS else None


def _large(kind: str, mode: str = "1", side: int = 12_000, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, kind, **options)
    return file.getvalue()


def _frames(kind: str) -> bytes:
    """Return a thousand pictures in one file; all but the first differ, or they would be kept as one."""
    file = io.BytesIO()
    first = Image.new("L", (400, 400))
    others = (Image.new("L", (400, 400), 1 + number % 200) for number in range(999))
    options = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
    first.save(file, kind, save_all=True, append_images=others, **options)
    return file.getvalue()


def _packed(window_bits: int, before: bytes = b"") -> bytes:
    """Return 600 MB of zeros, packed."""
    packer = zlib.compressobj(1, zlib.DEFLATED, window_bits)
    parts = [packer.compress(before), *(packer.compress(_MEGABYTE) for _ in range(_BOMB_MEGABYTES)), packer.flush()]
    return b"".join(parts)


def _png_with(chunk: bytes) -> bytes:
    """Return a PNG with a chunk of text or colours that unpacks to 600 MB."""
    payload = b"name\0\0" + _packed(zlib.MAX_WBITS)
    png = events.digit_file(7)
    made = len(payload).to_bytes(4, "big") + chunk + payload + zlib.crc32(chunk + payload).to_bytes(4, "big")
    return png[:33] + made + png[33:]


def _zip_with(name: str, before: bytes = b"") -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        member.write(before)
        for _ in range(_BOMB_MEGABYTES):
            member.write(_MEGABYTE)
    return file.getvalue()


def _npz() -> bytes:
    """Return an array of 600 MB in an archive, as numpy saves it."""
    file, count = io.BytesIO(), _BOMB_MEGABYTES * len(_MEGABYTE) // 784
    description = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
    np.lib.format.write_array_header_1_0(file, description)
    return _zip_with("x.npy", file.getvalue())


def _tar() -> bytes:
    info = tarfile.TarInfo("a.png")
    info.size = _BOMB_MEGABYTES * len(_MEGABYTE)
    return _packed(_GZIP, info.tobuf())


def _pdf() -> bytes:
    packed = _packed(zlib.MAX_WBITS)
    head = b"9 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed)
    return batches.document("PDF", 1).replace(b"xref", head + packed + b"\nendstream\nendobj\nxref", 1)


_MEGABYTE, _BOMB_MEGABYTES, _GZIP = bytes(2**20), 600, 16 + zlib.MAX_WBITS
HARMLESS = ("a.npz", "a.pdf")  # they are what they say, and their pictures are read one by one
# The last ones of each kind have as many pixels as are served.
BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: _large("PNG"),
    "PNG, iCCP": lambda: _png_with(b"iCCP"),
    "PNG, zTXt": lambda: _png_with(b"zTXt"),
    "PNG, RGBA": lambda: _large("PNG", "RGBA", 4_000),
    "PNG, 16 bits": lambda: _large("PNG", "I;16", 4_000),
    "GIF": lambda: _large("GIF"),
    "GIF, whole": lambda: _large("GIF", "L", 4_000),
    "BMP": lambda: _large("BMP"),
    "BMP, RGB": lambda: _large("BMP", "RGB", 1_200),
    "TIFF, deflate": lambda: _large("TIFF", compression="tiff_adobe_deflate"),
    "TIFF, LZW": lambda: _large("TIFF", compression="tiff_lzw"),
    "TIFF, packbits": lambda: _large("TIFF", compression="packbits"),
    "TIFF, floats": lambda: _large("TIFF", "F", 4_000, compression="tiff_adobe_deflate"),
    "JPEG": lambda: _large("JPEG", "L", quality=1),
    "JPEG, CMYK": lambda: _large("JPEG", "CMYK", 4_000, quality=1),
    "WebP": lambda: _large("WEBP", "RGB", 8_000, quality=1),
    "WebP, RGBA": lambda: _large("WEBP", "RGBA", 4_000, quality=1, method=0),
    "GIF, frames": lambda: _frames("GIF"),
    "TIFF, pages": lambda: _frames("TIFF"),
    "PNG, animated": lambda: _frames("PNG"),
    "WebP, animated": lambda: _frames("WEBP"),
    "body gzip": lambda: _packed(_GZIP),
    "body deflate": lambda: _packed(zlib.MAX_WBITS),
    "archive a.zip": lambda: _zip_with("a.png"),
    "archive a.tar.gz": _tar,
    "archive a.npz": _npz,
    "archive digits-idx3-ubyte.gz": lambda: _packed(_GZIP, batches.idx(np.zeros((1, 28, 28), np.uint8))[:16]),
    "archive a.jsonl.gz": lambda: _packed(_GZIP),
    "archive a.pdf": _pdf,
}


def polyglots(world: World, row: Row) -> None:
    """Files that are two things at once: read as one, and never sent back as what a browser would run."""
    container = Container(world.proxy.url)
    script = b"<html><script>alert(1)</script>"
    archive = batches.zipped({"a.png": events.digit_file(1)})
    for picture in (events.digit_file(7), *inputs.images()[:12]):
        for other in (script, archive, b"%PDF-1.7\n", b"MZ" + bytes(64), b"\x7fELF"):
            for data in (picture + other, other + picture):
                answer = container(events.post(data, content_type="image/png"))
                kind = answer["headers"]["content-type"]
                safe = "json" in kind and answer["headers"]["x-content-type-options"] == "nosniff"
                row.add(_unless(safe and answer["statusCode"] < 500 and "<script>" not in answer["body"], answer))


def models_that_run_code(world: World, row: Row) -> None:
    """Models with custom or flex operations, loops or state: refused before anything of them runs."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "written-by-a-model"
        for name, model in evil_models(written).items():
            for load in (Classifier, lambda data: _published(world, data)):
                try:
                    load(model)
                except CorruptModelError as error:
                    row.add(_unless("operation that is not run" in str(error), f"{name}: {error}"))
                else:
                    row.add(f"{name} is loaded")
        row.add(_unless(not written.exists(), "a model has written a file"))


def _published(world: World, model: bytes) -> object:
    manifest, _ = world.version
    record = FileRecord(sha256=sha256(model), size_bytes=len(model))
    update = {"version": manifest.version[:-8] + record.sha256[:8], "files": {MODEL_FILE: record}, "reader": None}
    return prove(manifest.model_copy(update=update), model)


def evil_models(written: Path) -> dict[str, bytes]:
    """Return models that do more than arithmetic, made by the converter, under the contract.

    Args:
        written: the file that one of them writes wherever it is run.
    """
    import tensorflow as tf

    class Evil(tf.Module):  # type: ignore[misc]
        def __init__(self, work: Callable[[Any, Any], Any]) -> None:
            super().__init__()
            self.count, self.work = tf.Variable(0.0), work

        @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.uint8, name="pixels")])  # type: ignore[untyped-decorator]
        def run(self, pixels: Any) -> Any:
            flat = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=(1, 2))
            return {"probabilities": tf.tile(self.work(self, flat)[:, None], (1, 10))}

    def model(work: Callable[[Any, Any], Any], *, flex: bool = False) -> bytes:
        evil = Evil(work)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([evil.run.get_concrete_function()], evil)
        converter.allow_custom_ops = converter.experimental_enable_resource_variables = True
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, *[tf.lite.OpsSet.SELECT_TF_OPS] * flex]
        converted: bytes = converter.convert()
        return converted

    def custom(_: Any, values: Any) -> Any:
        return tf.raw_ops.Erfinv(x=values)

    def writing(_: Any, values: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(written), "evil")]):
            return tf.identity(values)

    def forever(_: Any, values: Any) -> Any:
        return tf.while_loop(lambda each: tf.reduce_all(each < 1e30), lambda each: (each * 1.0,), (values,))[0]

    def counting(evil: Any, values: Any) -> Any:
        return values + evil.count.assign_add(1.0)

    return {
        "custom operation": model(custom),
        "flex that writes a file": model(writing, flex=True),
        "loop without an end": model(forever),
        "state": model(counting),
    }


def absurd_manifests(world: World, row: Row) -> None:
    """Manifests with absurd sizes, numbers and names: refused, or without any effect."""
    manifest, files = world.version
    document, pixels = json.loads(manifest.to_json()), manifest.goldens[0].pixels()
    sizes: tuple[Any, ...] = (-1, 0, 2**63, 10**30, "9" * 1000, 1e308, None, [], {"a": 1})
    for size in sizes:
        for change in (
            {"files": {MODEL_FILE: {**document["files"][MODEL_FILE], "size_bytes": size}}},
            {"acceptance_threshold": size},
            {"temperature": size},
            {"input": {**document["input"], "shape": [size, size, size]}},
            {"classes": [size] * 10},
            {"goldens": [{**document["goldens"][0], "probabilities": [size] * 10}]},
            {"recipe": {**document["recipe"], "parameter_count": size}},
        ):
            data = json.dumps({**document, **change}).encode()
            started = time.perf_counter()
            try:
                loaded = prove(Manifest.from_json(data), files[MODEL_FILE], data)
            except CorruptModelError:
                row.add(None, time.perf_counter() - started)
                continue
            threshold = loaded.manifest.acceptance_threshold
            read = loaded.classifier.predict(pixels[None])[0].argmax()
            right = read == manifest.goldens[0].label and (threshold is None or 0 <= threshold <= 1)
            row.add(_unless(bool(right), change), time.perf_counter() - started)
    for name, far in (("a", "[" * 100_000 + "]" * 100_000), ("recipe", '{"a":' * 100_000 + "1" + "}" * 100_000)):
        deep = json.dumps(document)[:-1] + f', "{name}": {far}}}'
        started = time.perf_counter()
        try:
            Manifest.from_json(deep.encode())
        except CorruptModelError:
            row.add(None, time.perf_counter() - started)
        else:
            row.add(f"{name} is taken, 100,000 deep")


def pointers_elsewhere(world: World, row: Row) -> None:
    """A pointer that names a key elsewhere, or another bucket's: refused, and nothing else is asked for."""
    good = json.loads(world.bucket.get(POINTER_KEY).data)
    names = (
        "../../other/20261122T051500Z-3f9a1c2b",
        "s3://other/models/x",
        "/etc",
        "http://127.0.0.1/",
        "",
        ".",
        "a\0b",
        "%2e%2e",
    )
    container = Container(world.proxy.url, ttl_seconds=0.0)
    container.predict()
    for name in names:
        for member in ("version", "manifest_sha256", "previous"):
            stored = world.bucket.get(POINTER_KEY)
            world.bucket.replace(POINTER_KEY, json.dumps({**good, member: name}).encode(), stored.etag)
            world.proxy.keys.clear()
            problem = world.problem_of(container.predict(), 7)
            asked = {key for _, key in world.proxy.keys}
            known = {POINTER_KEY, TOKENS_KEY, manifest_key(good["version"]), f"models/{good['version']}/{MODEL_FILE}"}
            row.add(problem or _unless(asked <= known, f"{name!r}: asked for {asked - known}"))
            try:
                Pointer.from_json(json.dumps({**good, member: name}).encode())
            except DigitsError:
                row.add()
            else:
                row.add(f"{member} {name!r} is taken")


def large_objects(world: World, row: Row) -> None:
    """Objects far larger than any that is read: not read into memory."""
    container = Container(world.proxy.url, ttl_seconds=0.0)
    container.predict()
    state = container.app.state.container
    for key, cached in ((POINTER_KEY, state.model), (TOKENS_KEY, state.gate.tokens)):
        before = world.bucket.get(key)
        for size, failures in ((2**20, 0), (20 * 2**20, 1)):  # what fits is read: it is valid
            etag = world.bucket.replace(key, before.data + b" " * size, world.bucket.get(key).etag)
            row.add(world.problem_of(container.predict(), 7), container.seconds)
            row.add(_unless(cached.failures == failures, f"{key}, {size:,} bytes: {cached.failures} failures"))
        world.bucket.replace(key, before.data, etag)


ATTACKS: tuple[Callable[[World, Row], None], ...] = (
    *(guessed_tokens, header_injection, smuggled_requests, oversized_headers, slow_bodies, path_traversal),
    *(forged_addresses, bombs, polyglots, models_that_run_code, absurd_manifests, pointers_elsewhere, large_objects),
)
