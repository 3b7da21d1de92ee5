"""The sample events and digits."""

from __future__ import annotations

from pathlib import Path

from digits.model.manifest import Manifest
from digits.pictures.images import decode
from tests import events


def test_every_sample_event_has_an_expectation() -> None:
    assert {path.stem for path in events.FOLDER.glob("[!bs]*.json")} == events.EXPECTED.keys()


def test_no_sample_digit_is_one_that_the_model_was_trained_on(version: tuple[Manifest, dict[str, bytes]]) -> None:
    from training.dataset import load_subset

    subset = load_subset()
    trained_on = {image.tobytes() for image in subset.training.images}
    assert not any(decode(path.read_bytes()).pixels.tobytes() in trained_on for path in Path(events.DIGITS).iterdir())
