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

BATCH = 256
DIGIT = Path(__file__).parents[2] / "events/digits/7.png"
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
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side)).save(file, "JPEG", quality=90)
    event = _with_bytes(file.getvalue())
    event["headers"]["content-type"] = "image/jpeg"
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
    """Return the requests that take most memory: many pictures, a large one, and as many tensors as fit into a body."""
    tensors = np.repeat(_pixels()[None], _MOST_TENSORS, axis=0)
    events = [*batches().values(), of_side(_LARGEST_SIDE), _of_tensors(tensors)]
    return tuple(json.dumps(event).encode() for event in events)


def _pixels() -> NDArray[np.uint8]:
    """Return the sample picture, uint8 (28, 28)."""
    return np.asarray(Image.open(DIGIT))


def _with_body(body: str) -> dict[str, Any]:
    return sample() | {"body": body}


def _with_bytes(body: bytes) -> dict[str, Any]:
    return _with_body(base64.b64encode(body).decode()) | {"isBase64Encoded": True}


def _of_tensors(images: NDArray[np.uint8]) -> dict[str, Any]:
    tensor = {"name": "pixels", "shape": list(images.shape), "datatype": "UINT8"}
    document = {"inputs": [{**tensor, "parameters": {"binary_data_size": images.size}}]}
    header = json.dumps({**document, "parameters": {"binary_data_output": True}}).encode()
    event = _with_bytes(header + images.tobytes())
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/v2/models/digits/infer"
    event["headers"] |= {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(header)),
    }
    return event
