"""The proof that the exported model is the trained one."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from digits.errors import CorruptModelError, ParityError
from digits.model import graph
from digits.model.classifier import Classifier
from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.model.reader import Reader
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
def reader(version: tuple[Manifest, dict[str, bytes]]) -> Reader:
    return Reader(version[1]["reader.tflite"])


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
    declared = Interpreter(model_content=classifier.model).get_tensor_details()
    monkeypatch.setattr(graph, "MOST_VALUES", 10 * sum(math.prod(map(int, tensor["shape"])) for tensor in declared))
    with pytest.raises(CorruptModelError, match="values"):
        Classifier(classifier.model)


def test_a_reader_whose_padding_grows_is_refused(reader: Reader) -> None:
    """Padding is data of the model, and the sizes that follow from it are in no table of the file."""
    before = np.array([[0, 0], [1, 2], [1, 2], [0, 0]], np.int32).tobytes()
    after = np.array([[0, 0], [1, 2], [1, 2**16], [0, 0]], np.int32).tobytes()
    assert reader.model.count(before) == 1
    with pytest.raises(CorruptModelError, match="values"):
        Reader(reader.model.replace(before, after))


def test_a_model_without_a_graph_is_refused(classifier: Classifier) -> None:
    model = bytearray(classifier.model)
    root = int.from_bytes(model[:4], "little")
    offsets = root - int.from_bytes(model[root : root + 4], "little", signed=True)
    model[offsets + 8 : offsets + 10] = b"\0\0"  # the third field of the root table: the subgraphs
    with pytest.raises(CorruptModelError, match="cannot be read"):
        Classifier(bytes(model))


def test_an_operation_without_its_input_is_refused(classifier: Classifier) -> None:
    operations = Interpreter(model_content=classifier.model)._get_ops_details()
    (inputs,) = (each["inputs"] for each in operations if each["op_name"] == "RESHAPE")
    before, after = (struct.pack("<I2i", 2, inputs[0], second) for second in (inputs[1], -1))
    assert classifier.model.count(before) == 1
    with pytest.raises(CorruptModelError, match="too few inputs: RESHAPE"):
        Classifier(classifier.model.replace(before, after))


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 1_000])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptModelError, match="cannot be read"):
        Classifier(data)
