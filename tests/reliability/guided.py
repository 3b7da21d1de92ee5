"""Fuzzing guided by coverage: `python -m tests.reliability.guided TARGET CORPUS OPTION…`, as libFuzzer has them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["digits", "functions", "PIL", "zipfile", "tarfile"]):
    from digits.errors import InputError
    from digits.model.contract import INPUT, OUTPUT
    from digits.pictures.images import decode
    from functions.predict_api.inference_schemas import TensorMetadata
    from functions.predict_api.tensors import read_inference
    from tests.reliability import fuzz, inputs

_SOURCE, _TARGET = TensorMetadata.of(INPUT), TensorMetadata.of(OUTPUT)


def images(data: bytes) -> None:
    """Decode a picture."""
    try:
        decode(data)
    except InputError:
        return


def archives(data: bytes) -> None:
    """Read an archive, whose name the first byte chooses."""
    names = [name for name, _ in inputs.archives()]
    fuzz.listed(names[data[0] % len(names)], data[1:]) if data else None


def tensors(data: bytes) -> None:
    """Read a message; the first byte tells how long the document in it is said to be."""
    if data:
        lengths = (None, str(data.find(b"}]}") + 2), "0", str(data[0]))
        try:
            read_inference(data[1:], lengths[data[0] % len(lengths)], _SOURCE, _TARGET)
        except InputError:
            return


TARGETS: dict[str, Callable[[bytes], None]] = {"images": images, "archives": archives, "tensors": tensors}

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
