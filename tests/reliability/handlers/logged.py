"""The artifact's application for uvicorn, which writes all that it logs into a file."""

from __future__ import annotations

import json
import logging
import os

from functions.predict_api.app import app_from_environment


class _Everything(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({**record.__dict__, "told": super().format(record), "exc_info": None}, default=repr)


_handler = logging.FileHandler(os.environ["DIGITS_RELIABILITY_LOG"])
_handler.setFormatter(_Everything())
logging.getLogger().addHandler(_handler)
logging.getLogger().setLevel(logging.INFO)

app = app_from_environment(os.environ)
