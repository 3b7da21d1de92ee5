"""The proof that the exported model is the trained one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from digits.errors import CorruptModelError, ParityError
from digits.model import graph
from digits.model.classifier import Classifier
from digits.model.manifest import Manifest
from digits.model.proof import prove
from training.dataset import load_subset
from training.export import check_parity


class FakeNetwork:
    """Answers what the exported model answers, changed a little."""

    def __init__(self, classifier: Classifier, change: Any) -> None:
        self.classifier, self.change = classifier, change

    def predict(self, images: Any, **_: object) -> dict[str, Any]:
        probabilities = self.classifier.predict(images).copy()
        self.change(probabilities)
        return {"probabilities": probabilities}


@pytest.fixture
def classifier(version: tuple[Manifest, dict[str, bytes]]) -> Classifier:
    return prove(version[0], version[1]["model.tflite"]).classifier


def nothing(_: Any) -> None:
    pass


def swap_two_answers(probabilities: Any) -> None:
    probabilities[5] = np.roll(probabilities[5], 1)


def shift_one_probability(probabilities: Any) -> None:
    probabilities[5, 3] += 2e-3


def lose_one(probabilities: Any) -> None:
    probabilities[5, 3] = np.nan


def test_equal_answers_agree(classifier: Classifier) -> None:
    assert check_parity(FakeNetwork(classifier, nothing), classifier, load_subset().test.images) == 0


@pytest.mark.parametrize("change", [swap_two_answers, shift_one_probability, lose_one])
def test_any_difference_stops_the_export(classifier: Classifier, change: Any) -> None:
    with pytest.raises(ParityError):
        check_parity(FakeNetwork(classifier, change), classifier, load_subset().test.images)


def test_batches_of_every_size_get_the_same_answers(classifier: Classifier) -> None:
    images = load_subset().test.images
    whole = classifier.predict(images)
    for size in (1, 2, 7, 255, 256, 257):
        assert np.allclose(classifier.predict(images[:size]), whole[:size], atol=1e-6)
    assert classifier.predict(images[:0]).shape == (0, 10)


def test_a_model_that_grows_beyond_what_it_declares_is_refused(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = load_subset().test.images
    fresh = Classifier(classifier.model)
    one = fresh._graph._opened().interpreter.get_tensor_details()
    monkeypatch.setattr(graph, "MOST_VALUES", sum(int(np.prod(tensor["shape"])) for tensor in one) + 1_000)
    assert fresh.predict(images[:1]).shape == (1, 10)
    with pytest.raises(CorruptModelError, match="values"):
        fresh.predict(images[:256])


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 1_000])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptModelError, match="cannot be read"):
        Classifier(data)
