"""What a model was made from: the code, the libraries, the recipe and the digits."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from digits import model, pictures
from digits.model.identity import sha256
from digits.model.manifest import Manifest

if TYPE_CHECKING:
    from training.dataset import Dataset
    from training.recipes import Recipe

# Modules that start a training, show it, or do something with its outcome.
_AROUND = {
    "__main__",
    "artifacts",
    "comparison",
    "lease",
    "progress",
    "promotion",
    "quiet",
    "registry_commands",
    "retraining",
    "train_commands",
}
_LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy")


def made_from(manifest: Manifest, recipe: Recipe, dataset: Dataset, seed: int) -> bool:
    """Return whether a version was made by this code from this recipe, these digits and this seed."""
    hyperparameters = json.loads(json.dumps(recipe.hyperparameters(len(dataset.training))))
    return (
        manifest.code_sha256 == code_sha256()
        and manifest.libraries == library_versions()
        and manifest.dataset.sha256 == dataset.sha256()
        and (manifest.recipe.name, manifest.recipe.seed) == (recipe.name, seed)
        and manifest.recipe.hyperparameters == hyperparameters
        and (manifest.reader is not None) == (recipe.reader is not None)
    )


def code_sha256() -> str:
    """Return the digest of the code that determines what a training run makes of its data."""
    training = sorted(Path(__file__).parent.glob("*.py"))
    return sources_sha256(*(path for path in training if path.stem not in _AROUND), *_folders(pictures, model))


def canonical_form_sha256(*more: ModuleType) -> str:
    """Return the digest of the code that brings a picture into canonical form, and of the given modules."""
    return sources_sha256(*_folders(pictures), *(Path(str(module.__file__)) for module in more))


def sources_sha256(*places: Path) -> str:
    """Return the digest of Python files; a folder stands for all those in it."""
    paths = [path for place in places for path in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    return sha256(b"".join(path.read_bytes() for path in paths))


def _folders(*packages: ModuleType) -> list[Path]:
    return [Path(str(package.__file__)).parent for package in packages]


def code_revision() -> str | None:
    """Return git's name for the code, marked if it has been changed; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that determine a model's weights and answers."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
