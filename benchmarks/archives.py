"""Archives of pictures for the batch function, and the events that tell it of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from PIL import Image

from digits.registry.layout import BATCH_IN
from local.store import BUCKET

BATCH_HANDLER = "functions.batch.handler.handler"


def png(pixels: Any) -> bytes:
    """Return a picture, uint8 (height, width), as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def archive(pictures: Sequence[bytes], count: int, labels: Any = None) -> bytes:
    """Return a zip of so many pictures, which are taken in turn.

    Args:
        labels: of the pictures; each then lies in a folder that tells its own.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for number in range(count):
            turn = number % len(pictures)
            name = f"{number:06}.png" if labels is None else f"{labels[turn]}/{number:06}.png"
            written.writestr(zipfile.ZipInfo(name), pictures[turn])
    return file.getvalue()


def dropped(name: str) -> dict[str, Any]:
    """Return the event that says that an object was dropped into the bucket."""
    detail = {"bucket": {"name": BUCKET}, "object": {"key": f"{BATCH_IN}{name}"}}
    return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
