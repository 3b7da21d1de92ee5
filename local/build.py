"""What `sam build` makes: where it is, and what its parts are called."""

from __future__ import annotations

from pathlib import Path

BUILD = Path(__file__).parents[1] / ".aws-sam/build"
# The API's function and its layers, in the order of their search path; the names are those of template.yaml.
FUNCTION, LAYERS = "PredictApiFunction", ("RuntimeLayer", "DigitsLayer")
BATCH = "BatchFunction"
