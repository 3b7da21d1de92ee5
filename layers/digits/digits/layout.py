"""Where things are in the bucket.

models/<version>/model.tflite …   immutable, created with If-None-Match: *
models/<version>/manifest.json    written last: a version is visible only with its manifest
models/current.json               the pointer to the version that is live, swapped with If-Match
decisions/<version>.json          why it was promoted, refused or taken back
pins/<version>                    keeps a version that a deployment is pinned to
auth/tokens.json                  digests of tokens
datasets/mnist.npz                what the scheduled retraining learns from
datasets/extra/<digit>/…          and the labelled pictures that an operator adds
locks/retrain.json                who is retraining
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

CURRENT_KEY = "models/current.json"
MODELS = "models/"
MODEL_FILE = "model.tflite"
MANIFEST_FILE = "manifest.json"
PINS = "pins/"

VERSION_PATTERN = r"\d{8}T\d{6}Z-[0-9a-f]{8}"


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 digest."""
    return hashlib.sha256(data).hexdigest()


def new_version(model: bytes, created_at: datetime) -> str:
    """Return a version name: sorts by time, and carries the start of the model's digest."""
    return f"{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256(model)[:8]}"


def is_version(name: str) -> bool:
    """Tell whether something could be the name of a version."""
    return re.fullmatch(VERSION_PATTERN, name) is not None


def object_key(version: str, name: str) -> str:
    """Return where a file of a version is kept."""
    return f"{MODELS}{version}/{name}"


def decisions_key(version: str) -> str:
    """Return where the decisions on a version are kept."""
    return f"decisions/{version}.json"
