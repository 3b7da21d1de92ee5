"""What `sam build` makes: where it is, what its parts are called, and the stamp by which a changed layer is noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

BUILD = Path(__file__).parents[1] / ".aws-sam/build"
# The API's function and its layers, in the order of their search path; the names are those of template.yaml.
FUNCTION, LAYERS = "PredictApiFunction", ("RuntimeLayer", "DigitsLayer")
STAMP = "layers.sha256"


def stamp(build: Path) -> None:
    """Write the digest of the built layers into the built function.

    A new version of a function is published where its code is another one; a change in a layer alone would
    go unnoticed.

    Args:
        build: the folder that `sam build` wrote.
    """
    digest = hashlib.sha256()
    for path in sorted(path for layer in LAYERS for path in (build / layer).rglob("*") if path.is_file()):
        digest.update(path.relative_to(build).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    (build / FUNCTION / STAMP).write_text(digest.hexdigest() + "\n")
