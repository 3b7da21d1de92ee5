"""What a training run leaves on disk: one folder per version, named after it."""

from __future__ import annotations

import re
from pathlib import Path

from digits.errors import DataError
from digits.model.identity import MANIFEST_FILE
from digits.model.manifest import Manifest
from digits.registry.versions import Registry

OUTPUT = Path("artifacts")
REPORT_FOLDER = "report"  # within a version's folder
DISTORTED_FOLDER = "distorted-digits"  # beside the versions; kept for later runs


def read_folder(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return a version's manifest and files from the folder that a training run made.

    Raises:
        DataError: the folder does not hold a complete version.
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


def fetch_report(registry: Registry, version: str, folder: Path) -> None:
    """Write the report of a published version into a folder.

    Raises:
        UnknownVersionError: the version is not published.
        DataError: it has no report; the first release wrote none.
        CorruptModelError: one of its files is not what the manifest says.
    """
    manifest = registry.manifest(version)
    names = [name for name in manifest.files if re.fullmatch(rf"{REPORT_FOLDER}/\w+\.(html|json|png)", name)]
    if not names:
        raise DataError(f"{version} was published without a report")
    files = {name: registry.file(manifest, name) for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / Path(name).name).write_bytes(data)
