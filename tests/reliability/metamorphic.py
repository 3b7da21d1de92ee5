"""The same picture in other words: what must not change the answer does not, and what may does by little."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from functions.batch import handler as batch
from local.lambda_invoke import EVENT_TOKEN
from tests import doors, events
from tests.batches import Context, dropped, end_batch_container
from tests.reliability import batch_faults, victims
from tests.reliability.rows import Row
from tests.reliability.world import Container, World

# By how much the confidence may differ where pixels are not the same any more.
MOST_APART = 0.05
_AUTHORIZED = {"authorization": "Bearer sample-token-for-local-events-only"}  # pragma: allowlist secret

type Pixels = NDArray[np.uint8]


def run(world: World, *, few_digits: bool = False) -> Iterator[Row]:
    """Send each sample digit through every door, in every encoding, changed in every way that must not matter.

    Args:
        few_digits: whether the model has learned from few; then only what is accepted must keep its confidence.
    """
    world.reset()
    container = Container(world.proxy.url)
    yield _doors(container)
    yield _encodings(container)
    for name, change in CHANGES.items():
        yield _changed(container, name, change, few_digits)
    yield _one_by_one(world, container)
    container.close()


def _core(answer: dict[str, Any]) -> bytes:
    """Return the bytes of an answer without what names the request and the file."""
    document = dict(events.body_of(answer) if "statusCode" in answer else answer)
    document.pop("request_id", None)
    document.pop("input_sha256", None)
    return json.dumps(document, sort_keys=True).encode()


def _request(digit: int) -> doors.Request:
    body = json.dumps(events.image_json(digit)).encode()
    return doors.Request("POST", "/v1/predict", {**_AUTHORIZED, "content-type": "application/json"}, body)


def _tensor(digit: int) -> dict[str, Any]:
    """Return a request of the Open Inference Protocol for a digit in canonical form."""
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28], "data": _pixels(digit).ravel().tolist()}
    return events.at(events.post({"inputs": [tensor]}), "/v2/models/digits/infer")


def _doors(container: Container) -> Row:
    row = Row("metamorphic", "through every door: the same bytes")
    # The base path of a custom domain is a setting where no resource tells it.
    told = [door for door in doors.every_door() if (door.mount, door.resource) != ("domain", "$default")]
    ways: list[Callable[[doors.Request], dict[str, Any]]] = [*doors.DOORS.values(), *told]
    for digit in range(10):
        request = _request(digit)
        expected = _core(container(doors.http_v2(request)))
        row.add(None if json.loads(expected)["pred"] == digit else f"{digit} is read as {expected[:200]!r}")
        for way in ways:
            found = _core(container(way(request)))
            row.add(None if found == expected else f"{digit} through {way}: {found[:200]!r}")
        direct = _core(container.handle({"token": EVENT_TOKEN, **events.image_json(digit)}))
        row.add(None if direct == expected else f"{digit} by direct invocation: {direct[:200]!r}")
        tensor = events.body_of(container(_tensor(digit)))["outputs"][0]["data"]
        row.add(None if tensor == json.loads(expected)["probabilities"] else f"{digit} by V2: {tensor}")
    row.figures = {"doors": len(ways) + 2}
    return row


def _encodings(container: Container) -> Row:
    row = Row("metamorphic", "in every lossless encoding: the same bytes")
    for digit in range(10):
        pixels = _pixels(digit)
        expected = _core(container(events.post({"pixels": pixels.tolist()})))
        row.add(None if json.loads(expected)["pred"] == digit else f"{digit} is read as {expected[:200]!r}")
        for name, event in _encoded(pixels).items():
            found = _core(container(event))
            row.add(None if found == expected else f"{digit} as {name}: {found[:200]!r}, not {expected[:200]!r}")
    return row


def _encoded(pixels: Pixels) -> dict[str, dict[str, Any]]:
    files = {kind: events.image_file(pixels, kind) for kind in ("PNG", "GIF", "BMP", "TIFF")}
    files["WebP, lossless"] = events.image_file(pixels, "WEBP", lossless=True)
    found = {name: events.post(file, content_type="image/png") for name, file in files.items()}
    encoded = base64.b64encode(files["PNG"]).decode()
    body, kind = events.multipart(files["PNG"])
    return found | {
        "base64": events.post({"image": encoded}),
        "base64 in lines": events.post(
            {"image": "\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))}
        ),
        "a data URL": events.post({"image": f"data:image/png;base64,{encoded}"}),
        "an envelope": events.post({"params": {"image": encoded}}),
        "a form": events.post(body, content_type=kind),
        "784 numbers": events.post({"pixels": pixels.ravel().tolist()}),
        "gzip": events.post(gzip.compress(files["PNG"]), {"content-encoding": "gzip"}, "image/png"),
    }


def _pixels(digit: int) -> Pixels:
    with Image.open(BytesIO(events.digit_file(digit))) as image:
        return np.asarray(image.convert("L"))


def _drawing(digit: int) -> Pixels:
    """Return a digit as people draw it: dark on light, in the middle of a page of 200 pixels."""
    with Image.open(BytesIO(events.digit_file(digit))) as image:
        large = np.asarray(image.convert("L").resize((140, 140), Image.Resampling.BICUBIC))
    return 255 - np.pad(large, 30)


def _turned(orientation: int) -> Callable[[Pixels], bytes]:
    upright = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}

    def change(pixels: Pixels) -> bytes:
        exif = Image.Exif()
        exif[274] = orientation
        file = BytesIO()
        Image.fromarray(pixels).transpose(upright[orientation]).save(file, "PNG", exif=exif)
        return file.getvalue()

    return change


def _png(pixels: Pixels) -> bytes:
    return events.image_file(np.ascontiguousarray(pixels), "PNG")


def _rescaled(pixels: Pixels) -> bytes:
    height, width = pixels.shape
    return _png(np.asarray(Image.fromarray(pixels).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)))


CHANGES: dict[str, Callable[[Pixels], bytes]] = {
    "inverted": lambda pixels: _png(255 - pixels),
    "padded by 50": lambda pixels: _png(np.pad(pixels, 50, constant_values=255)),
    "moved by 20 to the right and 10 down": lambda pixels: _png(np.roll(pixels, (10, 20), (0, 1))),
    "rescaled by 2": _rescaled,
    "turned by EXIF, by 180": _turned(3),
    "turned by EXIF, by 90": _turned(6),
    "turned by EXIF, by 270": _turned(8),
}


def _changed(container: Container, name: str, change: Callable[[Pixels], bytes], few_digits: bool) -> Row:
    row = Row("metamorphic", f"{name}: the same digit")
    apart = [0.0]
    for digit in range(10):
        pixels = _drawing(digit)
        before, after = (
            events.body_of(container(events.post(file, content_type="image/png")))
            for file in (_png(pixels), change(pixels))
        )
        if "pred" not in before or "pred" not in after:
            row.add(f"{digit}: {before.get('verdict')} and {after.get('verdict')}")
            continue
        apart.append(abs(before["conf"] - after["conf"]))
        doubtful = few_digits and not (before["accepted"] or after["accepted"])
        same = before["pred"] == after["pred"] and (doubtful or apart[-1] <= MOST_APART)
        row.add(
            None if same else f"{digit}: {before['pred']} {before['conf']:.4f}, {after['pred']} {after['conf']:.4f}"
        )
    row.figures = {"confidence_apart_at_most": max(apart), "tolerance": MOST_APART}
    return row


def _one_by_one(world: World, container: Container) -> Row:
    row = Row("metamorphic", "a batch: what its pictures get one by one")
    end_batch_container()
    key = victims.one_batch(world.bucket, "metamorphic.zip")
    batch.handler(dropped(key), Context("metamorphic", 60))
    lines = batch_faults.lines_of(world, "metamorphic.zip")
    row.add(None if len(lines) == victims.PICTURES else f"{len(lines)} lines")
    for number, line in enumerate(lines):
        document, alone = json.loads(line), events.body_of(container.predict(number % 10))
        same = document["pred"] == alone["pred"] and abs(document["conf"] - alone["conf"]) <= 1e-5
        row.add(None if same else f"{number}: {document} and {alone}")
    end_batch_container()
    return row
