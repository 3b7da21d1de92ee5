"""What `sam build` makes: where it is, and what its parts are called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[1] / ".aws-sam/build"
# The API's function and its layers, in the order of their search path; the names are those of template.yaml.
FUNCTION, LAYERS = "PredictApiFunction", ("RuntimeLayer", "DigitsLayer")
BATCH, PRE_TRAFFIC = "BatchFunction", "PreTrafficFunction"


def without_retraining(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template without what only retraining needs, so that SAM wants neither its image nor a registry.

    The parameter `Retraining` alone keeps it from being made, and not SAM from asking for the image.
    """
    return {
        section: {name: part for name, part in parts.items() if part.get("Condition") != "Retrain"}
        if section in ("Resources", "Outputs")
        else parts
        for section, parts in template.items()
    }


def bare_python() -> list[str]:
    """Return the command of this interpreter without the development environment's packages."""
    return [sys._base_executable, "-s"]  # type: ignore[attr-defined]
