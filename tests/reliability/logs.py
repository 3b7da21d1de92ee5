"""Everything that is logged, kept to be searched for what must not be in it."""

from __future__ import annotations

import io
import json
import logging
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tests import events

FOLDER_VARIABLE = "DIGITS_RELIABILITY_LOGS"


class Everything(logging.Formatter):
    """Tells all that a record holds, as Lambda's runtime may: message, extra fields, arguments and trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return it as one line."""
        told = super().format(record)
        return json.dumps({**record.__dict__, "told": told, "exc_info": None}, default=repr)


def keep_logs() -> bool:
    """Have this process keep all that it logs from now on; False where the environment names no folder for it."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        os.environ["POWERTOOLS_LOG_DEDUPLICATION_DISABLED"] = "true"  # else it keeps its lines from other handlers
        handler = logging.FileHandler(Path(folder) / f"{os.getpid()}.log", delay=True)
        handler.setFormatter(Everything())
        root = logging.getLogger()
        root.handlers = [handler]
        root.setLevel(logging.INFO)
    return bool(folder)


def keep(log: str) -> None:
    """Keep what another process has logged, or print it where nothing is kept."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        print(log)
        return
    with (Path(folder) / "others.log").open("a") as file:
        file.write(log)


def pieces_of(digit: int) -> dict[str, str]:
    """Return what tells a picture of the sample events from others, in each form that a log may have it in."""
    file = events.digit_file(digit)
    with Image.open(io.BytesIO(file)) as image:
        values = [str(value) for value in np.asarray(image.convert("L"))[12:14].ravel()]
    middle = file[len(file) // 2 :][:24]
    return {
        "base64": events.image_json(digit)["image"][100:160],
        "bytes": repr(middle)[2:-1],
        "escaped bytes": json.dumps(middle.decode("latin-1"))[1:-1],
        "hexadecimal digits": middle.hex(),
        "pixels": ", ".join(values),
        "pixels without spaces": ",".join(values),
        "rows of an array": " ".join(f"{value:>3}" for value in values[:28]),
    }


def search(folder: Path, secrets: dict[str, bytes]) -> tuple[int, list[str]]:
    """Return how many bytes of logs there are, and which secrets are in them."""
    logs = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return sum(map(len, logs)), sorted(name for name, secret in secrets.items() if any(secret in log for log in logs))
