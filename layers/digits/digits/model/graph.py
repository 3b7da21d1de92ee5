"""An exported network of one input and one output, ready to run from any thread."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
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
# How many values all tensors may have together: as the file declares them, and for the largest input, with scratch.
MOST_DECLARED = 16 * 2**20
MOST_VALUES = 256 * 2**20
# What the file's root table must have, by the number of the field in TensorFlow's schema.fbs.
_TABLES = {"operator_codes": 1, "subgraphs": 2, "buffers": 4}
_BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_UNREADABLE = "the model file cannot be read as a LiteRT model of one input and one output"


class Graph:
    """A LiteRT model under a contract.

    An interpreter shared by threads gives wrong answers, so each thread gets its own over the same
    model bytes; one costs about half a millisecond and half a megabyte.

    Attributes:
        model: the bytes.
    """

    def __init__(self, model: bytes, source: Tensor, target: Tensor, largest: Sequence[int]) -> None:
        """Take the bytes of a `.tflite` file.

        Args:
            source, target: the contract of its input and its output.
            largest: the shape of the largest input that is run at once.

        Raises:
            CorruptModelError: the bytes are not a model, one with another contract, or one of absurd size.
        """
        self.model = model
        self._at_once = largest[0]
        self._local = threading.local()
        _check(model, source, target, largest)

    def run(self, values: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the outputs for inputs, at least one; both are as the contract says."""
        starts = range(0, len(values), self._at_once)
        return np.concatenate([self._run(values[start : start + self._at_once]) for start in starts])

    def _run(self, values: NDArray[np.uint8]) -> NDArray[np.float32]:
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = _Opened(Interpreter(model_content=self.model, num_threads=1))
        return opened.run(values)


class _Opened:
    """One thread's interpreter."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._source: int = interpreter.get_input_details()[0]["index"]
        self._target: int = interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()  # of the input that the tensors are allocated for

    def run(self, values: NDArray[np.uint8]) -> NDArray[np.float32]:
        if values.shape != self._shape:
            self._shape = ()  # unknown until allocation succeeds
            self._interpreter.resize_tensor_input(self._source, values.shape, strict=True)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._source, values)
        self._interpreter.invoke()
        result: NDArray[np.float32] = self._interpreter.get_tensor(self._target)
        return result


def _check(model: bytes, source: Tensor, target: Tensor, largest: Sequence[int]) -> None:
    """Refuse what breaks the contract, is no plain arithmetic, or is of an absurd size, before anything of it runs."""
    if not _has_tables(model):
        raise CorruptModelError(_UNREADABLE)
    try:
        # The default delegate would hide what tensors there are between input and output.
        interpreter = Interpreter(
            model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
        if not _has_form(taken, source):
            raise CorruptModelError(f"the model does not take {source.dtype} {source.name} of shape {source.shape}")
        if not _has_form(given, target):
            raise CorruptModelError(f"the model does not answer {target.dtype} {target.name} of shape {target.shape}")
        for operation in interpreter._get_ops_details():
            if operation["op_name"] not in OPERATIONS:
                raise CorruptModelError(f"the model has an operation that is not run: {operation['op_name']}")
            # Only a bias may be missing: LiteRT would read what is not there.
            if -1 in operation["inputs"][: 2 if operation["op_name"] in _BIASED else None]:
                raise CorruptModelError(f"an operation of the model has too few inputs: {operation['op_name']}")
        _check_sizes(interpreter, MOST_DECLARED)
        interpreter.resize_tensor_input(taken["index"], largest, strict=True)
        interpreter.allocate_tensors()
        _check_sizes(interpreter, MOST_VALUES)
    except (ValueError, RuntimeError) as error:
        raise CorruptModelError(_UNREADABLE) from error


def _has_tables(model: bytes) -> bool:
    """Tell whether a file has operations, a graph and buffers: LiteRT does not survive one without."""
    places = [4 + 2 * number for number in _TABLES.values()]
    try:
        (root,) = struct.unpack_from("<I", model)
        offsets = root - struct.unpack_from("<i", model, root)[0]  # of a FlatBuffer's table: 0 where a field is missing
        (size,) = struct.unpack_from("<H", model, offsets)
        return max(places) < size and all(struct.unpack_from("<H", model, offsets + place)[0] for place in places)
    except struct.error:  # it is too short
        return False


def _check_sizes(interpreter: Interpreter, most: int) -> None:
    # By Python's integers: numpy's would wrap around.
    sizes = (math.prod(abs(int(side)) for side in tensor["shape"]) for tensor in interpreter.get_tensor_details())
    if sum(sizes) > most:
        raise CorruptModelError(f"the model's tensors have more than {most:,} values")


def _has_form(details: dict[str, Any], tensor: Tensor) -> bool:
    """Return whether LiteRT's details of a tensor match the contract."""
    return details["dtype"] is np.dtype(tensor.dtype).type and list(details["shape_signature"]) == tensor.shape
