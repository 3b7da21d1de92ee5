"""Reference pictures with the pixels that the canonical form makes of them, kept beside this file.

After a change that is meant, raise `digits.pictures.canonical.VERSION` and write them anew:

    python -m tests.canonical_references
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.pictures import canonical
from digits.pictures.images import decode
from tests import events
from training.distortions import ROWS
from training.robustness import picture

FILE = Path(__file__).with_name("canonical_references.npz")
# Between processors and builds of a library the last bit of a float may differ, and a few grey levels with it.
TOLERANCE = 4
# Rows whose pictures are all noise, and do not compress: one of each is enough.
NOISY = {"photo", "chalk on board", "faint pencil", *(name for name, row in ROWS.items() if row.least_accuracy)}

type Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class References:
    """Pictures, uint8 (height, width), and their canonical form, uint8 (28, 28), by name.

    Attributes:
        version: of the canonical form.
    """

    version: int
    pictures: dict[str, Pixels]
    canonical: dict[str, Pixels]


def stored() -> References:
    """Return the references that are kept."""
    with np.load(FILE, allow_pickle=False) as archive:
        arrays = dict(archive)
    pictures, forms = (
        {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        for start in ("picture/", "canonical/")
    )
    return References(int(arrays["version"]), pictures, forms)


def canonical_of(pictures: dict[str, Pixels]) -> dict[str, Pixels]:
    """Return the canonical form of each picture as it is made now."""
    return {name: canonical.canonicalize(pixels).pixels for name, pixels in pictures.items()}


def differences(references: References) -> list[str]:
    """Return a line for each picture whose canonical form differs by more than `TOLERANCE` grey levels."""
    lines = []
    for name, pixels in canonical_of(references.pictures).items():
        apart = np.abs(pixels.astype(int) - references.canonical[name])
        if apart.max() > TOLERANCE:
            lines.append(f"{name}: {int((apart > TOLERANCE).sum())} pixels differ, by up to {apart.max()} grey levels")
    return lines


def _distorted() -> dict[str, Pixels]:
    """Return real digits as the rows of the robustness table distort them."""
    digits = np.stack([decode(events.digit_file(label)).pixels for label in range(10)])
    return {
        f"{label}, {row}": picture(digits, row, label)
        for number, row in enumerate(ROWS)
        if ROWS[row].digit is None  # what a hand writes comes in canonical form
        for label in ((number % 10,) if row in NOISY else (number % 10, (number + 5) % 10))
    }


def main() -> int:
    """Write the references anew, unless the canonical form makes other pixels under the version that they have."""
    if FILE.exists() and (before := stored()).version == canonical.VERSION:
        changed = differences(before)
        print(*changed, f"references of canonical form {before.version} are there already", sep="\n")
        if changed:
            print("the pixels are others: raise canonical.VERSION")
        return int(bool(changed))
    pictures = _distorted()
    arrays = {f"picture/{name}": pixels for name, pixels in pictures.items()}
    arrays |= {f"canonical/{name}": pixels for name, pixels in canonical_of(pictures).items()}
    np.savez_compressed(FILE, allow_pickle=False, version=np.array(canonical.VERSION), **arrays)
    print(f"{len(pictures)} references of canonical form {canonical.VERSION} in {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
