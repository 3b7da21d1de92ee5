"""A change of the canonical form cannot go unnoticed: models are trained for one, and refuse another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digits.pictures import canonical
from tests import canonical_references
from tests.canonical_references import TOLERANCE, differences, stored

ANEW = "run `python -m tests.canonical_references`, and train anew: a model is refused by any other form than its own"


def test_the_canonical_form_makes_the_pixels_that_its_version_stands_for() -> None:
    references = stored()
    assert len(references.canonical) > 30
    assert references.version == canonical.VERSION, f"the references are of version {references.version}: {ANEW}"
    changed = "\n".join(differences(references))
    assert not changed, f"the canonical form makes other pixels: raise canonical.VERSION, {ANEW}\n{changed}"


@pytest.mark.parametrize(
    ("constant", "value"), [("CENTRE", 14.05), ("INK_SIDE", 19), ("OUTLINE_INK", 0.3), ("SEARCH_SIDE", 96)]
)
def test_a_small_change_of_the_form_is_seen(constant: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, constant, value)
    assert differences(stored())


def test_what_the_last_bit_of_a_float_may_change_is_no_change() -> None:
    references = stored()
    little = {name: np.maximum(pixels, TOLERANCE) for name, pixels in references.canonical.items()}
    assert not differences(replace(references, canonical=little))


def test_the_references_are_not_written_anew_under_the_same_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = canonical_references.FILE.read_bytes()
    monkeypatch.setattr(canonical_references, "FILE", tmp_path / "references.npz")
    canonical_references.FILE.write_bytes(before)
    monkeypatch.setattr(canonical, "INK_SIDE", 19)
    assert canonical_references.main() == 1
    assert "raise canonical.VERSION" in capsys.readouterr().out
    assert canonical_references.FILE.read_bytes() == before
