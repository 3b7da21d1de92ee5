"""From the trained network to the file that is served, and the proof that they agree."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from digits.classifier import Classifier
from digits.errors import ParityError
from digits.manifest import Golden
from training.dataset import Part

PARITY_TOLERANCE = 1e-3


def to_litert(network: keras.Model) -> bytes:
    """Return the network as a LiteRT file with float32 weights; names and a free batch size are kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        network.export(str(path), format="litert", verbose=False)
        return path.read_bytes()


def check_parity(network: keras.Model, classifier: Classifier, images: NDArray[np.uint8]) -> float:
    """Compare both on some digits and return the largest difference between two probabilities.

    Raises:
        ParityError: a digit is read differently, or a probability differs by more than 1e-3.
    """
    trained = np.asarray(network.predict(images, batch_size=1_000, verbose=0)["probabilities"])
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
    first = [int(np.flatnonzero(part.labels == label)[0]) for label in range(10)]
    answers = classifier.predict(part.images[first])
    return [
        Golden(
            label=label,
            pixels_base64=base64.b64encode(part.images[index].tobytes()).decode(),
            probabilities=answer.tolist(),
        )
        for label, (index, answer) in enumerate(zip(first, answers, strict=True))
    ]
