"""The network that reads a line of digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.model.contract import LINE, LOGITS
from digits.model.graph import Graph
from digits.pictures.rows import LINE_HEIGHT, LONGEST_LINE, MARGIN

MAX_BATCH = 16


class Reader:
    """A LiteRT model that takes lines and answers logits, column by column.

    Attributes:
        model: the bytes.
    """

    def __init__(self, model: bytes) -> None:
        """Take the bytes of a `.tflite` file.

        Raises:
            CorruptModelError: the bytes are not a model, or one with another contract.
        """
        self.model = model
        self._graph = Graph(model, LINE, LOGITS, (MAX_BATCH, LINE_HEIGHT, LONGEST_LINE + 2 * MARGIN))

    def logits(self, lines: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network says of lines of one width.

        Args:
            lines: uint8 (batch, 32, width), as `digits.pictures.rows` draws them.

        Returns:
            float32 (batch, columns, 11): the logits of the ten digits and the blank, for every second column.
        """
        return self._graph.run(lines)
