"""An exported network of one input and one output, ready to run from any thread."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from digits.errors import CorruptModelError
from digits.model.contract import Tensor

# Arithmetic on tensors. What else LiteRT knows can loop, keep state, or be code of somebody's own (custom operations,
# those of the flex delegate), and no network here needs it.
# fmt: off
OPERATIONS = frozenset((
    "ADD", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "DIV",
    "EXPAND_DIMS", "FULLY_CONNECTED", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MAXIMUM",
    "MEAN", "MINIMUM", "MUL", "PACK", "PAD", "PADV2", "QUANTIZE", "RELU", "RELU6", "RESHAPE", "SHAPE", "SLICE",
    "SOFTMAX", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE",
))
# fmt: on
MOST_VALUES = 64 * 2**20  # in all tensors, for as many inputs as are run at once: 256 MB of floats


class Graph:
    """A LiteRT model under a contract.

    An interpreter shared by threads gives wrong answers, so each thread gets its own over the same
    model bytes; one costs about half a millisecond and half a megabyte.

    Attributes:
        model: the bytes.
    """

    def __init__(self, model: bytes, source: Tensor, target: Tensor) -> None:
        """Take the bytes of a `.tflite` file.

        Args:
            source, target: the contract of its input and its output.

        Raises:
            CorruptModelError: the bytes are not a model, or one with another contract.
        """
        self.model = model
        self._source, self._target = source, target
        self._local = threading.local()
        self._opened()

    def run(self, values: NDArray[np.uint8], at_once: int) -> NDArray[np.float32]:
        """Return the outputs for inputs; both are as the contract says, and free dimensions as the inputs have them.

        Args:
            values: at least one, along the first axis.
            at_once: how many the network takes at most.
        """
        parts = [self._run(values[start : start + at_once]) for start in range(0, len(values), at_once)]
        return np.concatenate(parts)

    def _run(self, values: NDArray[np.uint8]) -> NDArray[np.float32]:
        opened = self._opened()
        if values.shape != opened.shape:
            opened.shape = ()  # unknown, should this fail
            opened.interpreter.resize_tensor_input(opened.source, values.shape, strict=True)
            _allocate(opened.interpreter)
            opened.shape = values.shape
        opened.interpreter.set_tensor(opened.source, values)
        opened.interpreter.invoke()
        result: NDArray[np.float32] = opened.interpreter.get_tensor(opened.target)
        return result

    def _opened(self) -> _Opened:
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = _open(self.model, self._source, self._target)
        return opened


@dataclass
class _Opened:
    """One thread's interpreter, and the input's shape that its tensors are allocated for."""

    interpreter: Interpreter
    source: int
    target: int
    shape: tuple[int, ...]


def _open(model: bytes, source: Tensor, target: Tensor) -> _Opened:
    try:
        interpreter = Interpreter(model_content=model, num_threads=1)
        _check(interpreter)
        _allocate(interpreter)
        (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise CorruptModelError(
            "the model file cannot be read as a LiteRT model of one input and one output"
        ) from error
    if not _has_form(taken, source):
        raise CorruptModelError(f"the model does not take {source.dtype} {source.name} of shape {source.shape}")
    if not _has_form(given, target):
        raise CorruptModelError(f"the model does not answer {target.dtype} {target.name} of shape {target.shape}")
    return _Opened(interpreter, taken["index"], given["index"], tuple(int(side) for side in taken["shape"]))


def _check(interpreter: Interpreter) -> None:
    """Refuse what is no plain arithmetic, or of an absurd size, before anything of it runs."""
    for operation in interpreter._get_ops_details():
        if operation["op_name"] not in OPERATIONS:
            raise CorruptModelError(f"the model has an operation that is not run: {operation['op_name']}")
    _check_sizes(interpreter)


def _allocate(interpreter: Interpreter) -> None:
    """Give all tensors the shapes that follow from the input's, which need not be those that the file declares."""
    interpreter.allocate_tensors()
    _check_sizes(interpreter)


def _check_sizes(interpreter: Interpreter) -> None:
    # By Python's integers: numpy's would wrap around.
    sizes = (math.prod(abs(int(side)) for side in tensor["shape"]) for tensor in interpreter.get_tensor_details())
    if sum(sizes) > MOST_VALUES:
        raise CorruptModelError(f"the model's tensors have more than {MOST_VALUES:,} values")


def _has_form(details: dict[str, Any], tensor: Tensor) -> bool:
    """Return whether LiteRT's details of a tensor match the contract."""
    return details["dtype"] is np.dtype(tensor.dtype).type and list(details["shape_signature"]) == tensor.shape
