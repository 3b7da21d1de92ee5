"""The names of versions and of their files."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

MODEL_FILE = "model.tflite"
READER_FILE = "reader.tflite"
MANIFEST_FILE = "manifest.json"

VERSION_PATTERN = r"\d{8}T\d{6}Z-[0-9a-f]{8}"


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 digest."""
    return hashlib.sha256(data).hexdigest()


def new_version(model: bytes, created_at: datetime) -> str:
    """Return a version name; names sort by time and end with the start of the model's digest."""
    return f"{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256(model)[:8]}"


def is_version(name: str) -> bool:
    """Return whether a string has the form of a version name."""
    return re.fullmatch(VERSION_PATTERN, name) is not None
