"""Where things are in the bucket; no other module knows the keys.

models/<version>/model.tflite …   immutable, created with If-None-Match: *
models/<version>/manifest.json    written last: a version is visible only with its manifest
models/current.json               the pointer to the live version, swapped with If-Match
decisions/<version>.json          why it was promoted, refused or taken back
pins/<version>                    keeps a version that a deployment is pinned to
auth/tokens.json                  digests of tokens
datasets/mnist.npz                what the scheduled retraining learns from
datasets/extra/<digit>/…          and the labelled pictures that an operator adds
locks/retrain.json                who is retraining
batch/in/…                        what is to be read: one run for each object
batch/out/<name>.jsonl            a line for each picture of it
batch/out/<name>.summary.json     written last: a result is whole only with its summary
batch/work/<run>/…                what a run that is not finished has read so far
batch/next/<run>/<number>         has the run go on in another invocation
"""

from __future__ import annotations

import re

from digits.model.identity import MANIFEST_FILE, is_version

MODELS = "models/"
POINTER_KEY = f"{MODELS}current.json"
PINS = "pins/"
TOKENS_KEY = "auth/tokens.json"
MNIST_KEY = "datasets/mnist.npz"
EXTRA = "datasets/extra/"
LEASE_KEY = "locks/retrain.json"
BATCH = "batch/"
BATCH_IN = f"{BATCH}in/"
BATCH_OUT = f"{BATCH}out/"
BATCH_NEXT = f"{BATCH}next/"
BATCH_WORK = f"{BATCH}work/"


def object_key(version: str, name: str) -> str:
    """Return where a file of a version is kept."""
    return f"{folder_key(version)}{name}"


def folder_key(version: str) -> str:
    """Return where all files of a version are kept: a prefix."""
    return f"{MODELS}{version}/"


def manifest_key(version: str) -> str:
    """Return where the manifest of a version is kept."""
    return object_key(version, MANIFEST_FILE)


def decisions_key(version: str) -> str:
    """Return where the decisions on a version are kept."""
    return f"decisions/{version}.json"


def pin_key(version: str) -> str:
    """Return the key that keeps a version from being pruned."""
    return f"{PINS}{version}"


def version_of(key: str) -> str | None:
    """Return the version that a key under `MODELS` belongs to; None if it belongs to none."""
    name, slash, _ = key.removeprefix(MODELS).partition("/")
    return name if slash and is_version(name) else None


def extra_digit(key: str) -> int | None:
    """Return the digit that a key under `EXTRA` labels its picture with; None if it names none."""
    match = re.fullmatch(r"([0-9])/.+", key.removeprefix(EXTRA))
    return int(match[1]) if match else None
