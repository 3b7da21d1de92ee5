"""Writes what SAM makes of the template under several sets of parameters, for the checks: variants.py FOLDER."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from tests.template import VARIANTS, variant

logging.disable()  # of SAM's own affairs
for name in VARIANTS:
    Path(sys.argv[1], f"{name}.json").write_text(json.dumps(variant(name), indent=1))
