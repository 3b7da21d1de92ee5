"""The artifact's application for a server of its own, as outside Lambda."""

from __future__ import annotations

import os

from functions.predict_api.app import app_from_environment

app = app_from_environment(os.environ)
