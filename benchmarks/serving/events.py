"""The requests to the handlers: the sample event, and others made from it."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.distortions import ROWS
from training.paper import Paper

BATCH = 256
NUMBER, NUMBER_SIDE = "40276", 400
_DIGITS = Path(__file__).parents[2] / "events/digits"
DIGIT = _DIGITS / "7.png"
_SAMPLE = Path(__file__).parents[2] / "events/http_v2_predict_json.json"
_LARGEST_SIDE = 4000
_MOST_TENSORS = 4000  # as many as fit into a body


def sample() -> dict[str, Any]:
    """Return the sample event: one picture, a 7."""
    event: dict[str, Any] = json.loads(_SAMPLE.read_text())
    return event


def of_images(count: int) -> dict[str, Any]:
    """Return a request with `count` copies of the sample picture."""
    png = base64.b64encode(DIGIT.read_bytes()).decode()
    return _with_body(json.dumps({"instances": [{"image": png}] * count}))


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
        ink = sheet.pen(np.asarray(Image.open(_DIGITS / f"{digit}.png")), height)
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
    return np.asarray(Image.open(DIGIT))


def _with_body(body: str) -> dict[str, Any]:
    return sample() | {"body": body}


def _with_bytes(body: bytes) -> dict[str, Any]:
    return _with_body(base64.b64encode(body).decode()) | {"isBase64Encoded": True}


def _with_jpeg(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    event = _with_bytes(file.getvalue())
    event["headers"]["content-type"] = "image/jpeg"
    return event


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
