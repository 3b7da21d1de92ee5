"""What a model was made from: the code, the libraries, the recipe and the digits."""

from __future__ import annotations

import hashlib
import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import digits
from digits.manifest import Manifest

if TYPE_CHECKING:
    from training.dataset import Dataset
    from training.recipes import Recipe

_LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy")


def made_from(manifest: Manifest, recipe: Recipe, dataset: Dataset, seed: int) -> bool:
    """Tell whether a version was made by this code from this recipe, these digits and this seed."""
    hyperparameters = json.loads(json.dumps(recipe.hyperparameters(len(dataset.training))))
    return (
        manifest.code_sha256 == code_sha256()
        and manifest.libraries == library_versions()
        and manifest.dataset.sha256 == dataset.sha256()
        and (manifest.recipe.name, manifest.recipe.seed) == (recipe.name, seed)
        and manifest.recipe.hyperparameters == hyperparameters
    )


def code_sha256() -> str:
    """Return the digest of the code that decides what a training run makes of its data."""
    folders = [Path(__file__).parent, Path(digits.__file__).parent]
    sources = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(sources)).hexdigest()


def code_revision() -> str | None:
    """Return git's name for the code, marked where it has been changed; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def library_versions() -> dict[str, str]:
    """Return the versions of what decides a model's weights and answers."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
