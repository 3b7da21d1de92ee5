"""What a training run leaves on disk: one folder a version, named like it."""

from __future__ import annotations

from pathlib import Path

from digits.errors import DataError
from digits.manifest import Manifest
from digits.registry import MANIFEST_FILE

OUTPUT = Path("artifacts")


def read_folder(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return a version's manifest and files from the folder that a training run made.

    Raises:
        DataError: the folder does not hold what a version consists of.
        CorruptModelError: its manifest cannot be read.
    """
    try:
        manifest = Manifest.from_json((folder / MANIFEST_FILE).read_bytes())
        return manifest, {name: (folder / name).read_bytes() for name in manifest.files}
    except OSError as error:
        raise DataError(f"{folder} holds no trained model: {error.filename} cannot be read") from error


def latest_folder(output: Path) -> Path:
    """Return the newest version's folder.

    Raises:
        DataError: there is none.
    """
    folders = sorted(path.parent for path in output.glob(f"*/{MANIFEST_FILE}"))
    if not folders:
        raise DataError(f"{output} holds no trained model: train one first")
    return folders[-1]
