"""The exported network, ready to answer from any thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from digits.errors import CorruptModelError
from digits.model.contract import CLASSES, INPUT, OUTPUT, Tensor

MAX_BATCH = 256


class Classifier:
    """A LiteRT model under the input and output contract of this project.

    An interpreter shared by threads gives wrong answers, so each thread gets its own over the same
    model bytes; one costs about half a millisecond and half a megabyte.

    Attributes:
        model: the bytes.
    """

    def __init__(self, model: bytes) -> None:
        """Take the bytes of a `.tflite` file.

        Raises:
            CorruptModelError: the bytes are not a model, or one with another contract.
        """
        self.model = model
        self._local = threading.local()
        self._interpreter()

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each digit for each image.

        Args:
            images: uint8 (batch, 28, 28) in canonical form.

        Returns:
            float32 (batch, 10); each row sums to 1.
        """
        parts = [self._predict_batch(images[start : start + MAX_BATCH]) for start in range(0, len(images), MAX_BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, len(CLASSES)), np.float32)

    def _predict_batch(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        graph = self._interpreter()
        if len(images) != graph.batch_size:
            graph.interpreter.resize_tensor_input(graph.input_index, images.shape, strict=True)
            graph.interpreter.allocate_tensors()
            graph.batch_size = len(images)
        graph.interpreter.set_tensor(graph.input_index, images)
        graph.interpreter.invoke()
        probabilities: NDArray[np.float32] = graph.interpreter.get_tensor(graph.output_index)
        return probabilities

    def _interpreter(self) -> _Graph:
        graph: _Graph | None = getattr(self._local, "graph", None)
        if graph is None:
            graph = self._local.graph = _open(self.model)
        return graph


@dataclass
class _Graph:
    """One thread's interpreter, and the batch size that its tensors are allocated for."""

    interpreter: Interpreter
    input_index: int
    output_index: int
    batch_size: int


def _open(model: bytes) -> _Graph:
    try:
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise CorruptModelError(
            "the model file cannot be read as a LiteRT model of one input and one output"
        ) from error
    if source["shape_signature"][0] != -1 or not _has_form(source, INPUT):
        raise CorruptModelError(f"the model does not take {INPUT.dtype} {INPUT.name} of shape {INPUT.shape}")
    if not _has_form(target, OUTPUT):
        raise CorruptModelError(f"the model does not answer {OUTPUT.dtype} {OUTPUT.name} of shape {OUTPUT.shape}")
    return _Graph(interpreter, source["index"], target["index"], batch_size=int(source["shape"][0]))


def _has_form(details: dict[str, Any], tensor: Tensor) -> bool:
    """Return whether LiteRT's details of a tensor match the contract, apart from the batch size."""
    return details["dtype"] is np.dtype(tensor.dtype).type and list(details["shape_signature"])[1:] == tensor.shape[1:]
