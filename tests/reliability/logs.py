"""Everything that is logged, kept to be searched for what must not be in it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

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
        handler = logging.FileHandler(Path(folder) / f"{os.getpid()}.log", delay=True)
        handler.setFormatter(Everything())
        root = logging.getLogger()
        root.handlers = [handler]
        root.setLevel(logging.INFO)
    return bool(folder)


def search(folder: Path, secrets: dict[str, bytes]) -> tuple[int, list[str]]:
    """Return how many bytes of logs there are, and which secrets are in them."""
    logs = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return sum(map(len, logs)), sorted(name for name, secret in secrets.items() if any(secret in log for log in logs))
