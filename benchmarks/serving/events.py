"""The requests to the handlers: the sample event, and others made from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.serving import pictures
from benchmarks.serving.pictures import DIGITS
from training.distortions import ROWS
from training.paper import Paper

BATCH = 256
NUMBER, NUMBER_SIDE = "40276", 400
SCAN_SIDE = 200
DIGIT = DIGITS / "7.png"
_EVENTS = Path(__file__).parents[2] / "events"
_LARGEST_SIDE = 4000
_MOST_TENSORS = 4000  # as many as fit into a body


def sample(name: str = "http_v2_predict_json") -> dict[str, Any]:
    """Return a sample event; without a name that of one picture, a 7."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text())
    return event


def of_images(count: int) -> dict[str, Any]:
    """Return a request with `count` copies of the sample picture."""
    return _of_files([DIGIT.read_bytes()] * count)


def of_scans() -> dict[str, Any]:
    """Return a request of 256 scans, of all digits in turn."""
    scans = [pictures.scan(digit, (SCAN_SIDE, SCAN_SIDE), seed=30 + digit) for digit in range(10)]
    return _of_files(list(islice(cycle(scans), BATCH)))


def of_file(data: bytes, media_type: str) -> dict[str, Any]:
    """Return a request that is a picture's file."""
    event = _with_bytes(data)
    event["headers"]["content-type"] = media_type
    return event


def of_side(side: int) -> dict[str, Any]:
    """Return a request with a JPEG of that side length: MNIST's own form at 28, a photo of a page if larger."""
    pixels = _pixels()
    if side > pixels.shape[0]:
        pixels = ROWS["photo"].distort(pixels, np.random.default_rng(1))
    return _with_jpeg(np.asarray(Image.fromarray(pixels).resize((side, side))))


def number_picture() -> NDArray[np.uint8]:
    """Return a photo of a number, uint8 (400, 400)."""
    sheet, height = Paper(np.random.default_rng(1), size=(NUMBER_SIDE, NUMBER_SIDE)), NUMBER_SIDE / 6
    x = 0.05 * NUMBER_SIDE
    for digit in NUMBER:
        ink = sheet.pen(pictures.digit(int(digit)), height)
        _, _, end, _ = sheet.put(ink, x, (NUMBER_SIDE - height) / 2)
        x = end + height / 3
    return sheet.photo()


def of_number(side: int) -> dict[str, Any]:
    """Return a request to read that number, from a JPEG of that side length."""
    event = _with_jpeg(np.asarray(Image.fromarray(number_picture()).resize((side, side))))
    _send_to(event, "/v1/read")
    return event


def batches() -> dict[str, dict[str, Any]]:
    """Return requests of 256 images, by the form of the images."""
    pixels = _pixels()
    return {
        "png": of_images(BATCH),
        "pixels": _with_body(json.dumps({"instances": [{"pixels": pixels.ravel().tolist()}] * BATCH})),
        "binary": _of_tensors(np.repeat(pixels[None], BATCH, axis=0)),
    }


def bare_batch() -> dict[str, Any]:
    """Return the event with 256 images for the handler with TensorFlow only."""
    return {"body": base64.b64encode(_pixels().tobytes() * BATCH).decode()}


def heavy() -> tuple[bytes, ...]:
    """Return the requests that take most memory: many pictures, large ones, and as many tensors as fit into a body."""
    tensors = np.repeat(_pixels()[None], _MOST_TENSORS, axis=0)
    events = [*batches().values(), of_side(_LARGEST_SIDE), of_number(_LARGEST_SIDE), _of_tensors(tensors)]
    return tuple(json.dumps(event).encode() for event in events)


def _pixels() -> NDArray[np.uint8]:
    """Return the sample picture, uint8 (28, 28)."""
    return pictures.digit(7)


def _of_files(files: Sequence[bytes]) -> dict[str, Any]:
    images = [{"image": base64.b64encode(file).decode()} for file in files]
    return _with_body(json.dumps({"instances": images}))


def _with_body(body: str) -> dict[str, Any]:
    return sample() | {"body": body}


def _with_bytes(body: bytes) -> dict[str, Any]:
    return _with_body(base64.b64encode(body).decode()) | {"isBase64Encoded": True}


def _with_jpeg(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    return of_file(pictures.jpeg(pixels, 90), "image/jpeg")


def _send_to(event: dict[str, Any], path: str) -> None:
    event["rawPath"] = event["requestContext"]["http"]["path"] = path


def _of_tensors(images: NDArray[np.uint8]) -> dict[str, Any]:
    tensor = {"name": "pixels", "shape": list(images.shape), "datatype": "UINT8"}
    document = {"inputs": [{**tensor, "parameters": {"binary_data_size": images.size}}]}
    header = json.dumps({**document, "parameters": {"binary_data_output": True}}).encode()
    event = _with_bytes(header + images.tobytes())
    _send_to(event, "/v2/models/digits/infer")
    event["headers"] |= {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(header)),
    }
    return event
