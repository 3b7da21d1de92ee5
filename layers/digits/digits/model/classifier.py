"""The network that reads one digit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.model.contract import CLASSES, INPUT, OUTPUT
from digits.model.graph import Graph

MAX_BATCH = 256


class Classifier:
    """A LiteRT model under the input and output contract of this project.

    Attributes:
        model: the bytes.
    """

    def __init__(self, model: bytes) -> None:
        """Take the bytes of a `.tflite` file.

        Raises:
            CorruptModelError: the bytes are not a model, or one with another contract.
        """
        self.model = model
        self._graph = Graph(model, INPUT, OUTPUT, (MAX_BATCH, *INPUT.shape[1:]))

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each digit for each image.

        Args:
            images: uint8 (batch, 28, 28) in canonical form.

        Returns:
            float32 (batch, 10); each row sums to 1.
        """
        return self._graph.run(images) if len(images) else np.empty((0, len(CLASSES)), np.float32)
