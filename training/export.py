"""From the trained network to the file that is served, and the check that they agree."""

from __future__ import annotations

import base64
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import softmax

from digits.errors import ParityError
from digits.model.classifier import MAX_BATCH, Classifier
from digits.model.contract import CLASSES
from digits.model.manifest import Golden
from digits.model.proof import GOLDEN_TOLERANCE
from training.classifier import probabilities
from training.dataset import Part
from training.evaluate import measure
from training.quiet import quiet_libraries
from training.recipes import LOGITS

PARITY_TOLERANCE = GOLDEN_TOLERANCE  # with a larger one, golden answers might fail elsewhere
_EXAMPLES = 200  # to calibrate the ranges of int8 activations


def divide_logits(network: keras.Model, temperature: float, layer_name: str = LOGITS) -> None:
    """Fold a temperature into the layer that computes the logits, so that no operation is added."""
    layer = network.get_layer(layer_name)
    layer.set_weights([weights / temperature for weights in layer.get_weights()])


def to_litert(network: keras.Model, **options: Any) -> bytes:
    """Return the network as a LiteRT file with the same names and a free batch size.

    Args:
        options: for the converter; by default weights and arithmetic are float32.
    """
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        path = Path(folder) / "model.tflite"
        network.export(str(path), format="litert", verbose=False, **options)
        return path.read_bytes()


@dataclass(frozen=True)
class Candidate:
    """A way to export: what it costs, and how closely it matches Keras.

    Attributes:
        largest_difference: between its probabilities and Keras's, over the holdout.
        different_digits: how many holdout digits it reads differently.
        single_seconds: median time for one image; batch_seconds, per image in batches of 256.
    """

    name: str
    size_bytes: int
    accuracy: float
    expected_calibration_error: float
    negative_log_likelihood: float
    largest_difference: float
    different_digits: int
    single_seconds: float
    batch_seconds: float

    @property
    def keeps_parity(self) -> bool:
        """Whether it answers as Keras does, which is required of what is served."""
        return not self.different_digits and self.largest_difference <= PARITY_TOLERANCE


def compare(network: keras.Model, shipped: bytes, holdout: Part) -> list[Candidate]:
    """Compare the shipped file with quantised alternatives on the holdout.

    float32 ships. With int8 weights the file is a quarter of the size and batches are about three times as fast.
    But probabilities move by a few hundredths, and differently on different processors: neither parity with
    Keras nor the golden answers would hold. float16 weights are half the size and no faster.
    """
    int8 = [tf.lite.Optimize.DEFAULT]
    examples = holdout.images[:: max(1, len(holdout) // _EXAMPLES)]
    files = {
        "float32": shipped,
        "float16 weights": to_litert(network, optimizations=int8, target_spec={"supported_types": [tf.float16]}),
        "int8 weights": to_litert(network, optimizations=int8),
    }
    trained = probabilities(network, holdout.images)
    candidates = [_judge(name, Classifier(file), len(file), trained, holdout) for name, file in files.items()]
    logits = keras.Model(network.inputs, network.get_layer(LOGITS).output)
    file = to_litert(logits, optimizations=int8, representative_dataset=lambda: ([image[None]] for image in examples))
    candidates.append(_judge("int8 weights and activations", _FromLogits(file), len(file), trained, holdout))
    return candidates


class _FromLogits(Classifier):
    """A model without its softmax, which stays in float: in int8 its probabilities would be multiples of 1/256."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers: NDArray[np.float32] = softmax(super().predict(images), axis=1)
        return answers


def _judge(
    name: str, classifier: Classifier, size_bytes: int, trained: NDArray[np.float32], holdout: Part
) -> Candidate:
    answers = classifier.predict(holdout.images)
    metrics = measure(answers, holdout.labels)
    batch = holdout.images[:MAX_BATCH]
    return Candidate(
        name=name,
        size_bytes=size_bytes,
        accuracy=metrics.accuracy,
        expected_calibration_error=metrics.expected_calibration_error,
        negative_log_likelihood=metrics.negative_log_likelihood,
        largest_difference=float(np.abs(answers - trained).max()),
        different_digits=int((answers.argmax(axis=1) != trained.argmax(axis=1)).sum()),
        single_seconds=_seconds(classifier, batch[:1], 200),
        batch_seconds=_seconds(classifier, batch, 20) / len(batch),
    )


def _seconds(classifier: Classifier, images: NDArray[np.uint8], times: int) -> float:
    classifier.predict(images)
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        classifier.predict(images)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def check_parity(network: keras.Model, classifier: Classifier, images: NDArray[np.uint8]) -> float:
    """Compare both models on some digits and return the largest difference in a probability.

    Raises:
        ParityError: a digit is read differently, or a probability differs by more than 1e-3.
    """
    trained = probabilities(network, images)
    exported = classifier.predict(images)
    difference = float(np.abs(trained - exported).max())
    flipped = int((trained.argmax(axis=1) != exported.argmax(axis=1)).sum())
    # Written so that NaN fails too.
    if flipped or not difference <= PARITY_TOLERANCE:
        raise ParityError(
            f"the exported model reads {flipped} of {len(images)} digits differently from the trained one, "
            f"and a probability differs by {difference:.2g}"
        )
    return difference


def make_goldens(classifier: Classifier, part: Part) -> list[Golden]:
    """Return the first digit of each class with its answer."""
    first = [int(np.flatnonzero(part.labels == label)[0]) for label in range(len(CLASSES))]
    answers = classifier.predict(part.images[first])
    return [
        Golden(
            label=label,
            pixels_base64=base64.b64encode(part.images[index].tobytes()).decode(),
            probabilities=answer.tolist(),
        )
        for label, (index, answer) in enumerate(zip(first, answers, strict=True))
    ]
