"""What a model must show before it answers anybody: digests, canonical form, contract, golden digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from digits import canonical
from digits.classifier import CLASS_COUNT, Classifier
from digits.errors import CorruptModelError, ObjectNotFoundError
from digits.layout import MANIFEST_FILE, MODEL_FILE, object_key, sha256
from digits.manifest import Manifest, Pointer

GOLDEN_TOLERANCE = 1e-3
_CONTRACT = (
    ("uint8", [-1, canonical.SIDE, canonical.SIDE]),
    ("float32", [-1, CLASS_COUNT]),
    [str(digit) for digit in range(CLASS_COUNT)],
)


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed its own proofs."""

    manifest: Manifest
    classifier: Classifier


def load_current(read: Callable[[str], bytes], pointer_json: bytes) -> LoadedModel:
    """Load the version that the pointer names, and prove it.

    Args:
        read: returns the bytes of an object, or raises ObjectNotFoundError or StoreError.

    Raises:
        CorruptModelError: pointer, manifest or model is missing or not what its digest says, or
            the model does not answer its goldens.
        StoreError: the store did not answer.
    """
    pointer = Pointer.from_json(pointer_json)
    try:
        manifest_json = read(object_key(pointer.version, MANIFEST_FILE))
    except ObjectNotFoundError as error:
        raise CorruptModelError(f"the current version is not complete: {error} is missing") from error
    if sha256(manifest_json) != pointer.manifest_sha256:
        raise CorruptModelError(f"the manifest of {pointer.version} is not the one that was promoted")
    return load_version(read, pointer.version, manifest_json)


def load_version(read: Callable[[str], bytes], version: str, manifest_json: bytes) -> LoadedModel:
    """Load a version by its manifest, and prove it; arguments and errors as in `load_current`."""
    manifest = Manifest.from_json(manifest_json)
    if manifest.version != version:
        raise CorruptModelError(f"the manifest of {version} says that it is {manifest.version}")
    try:
        return prove(manifest, read(object_key(version, MODEL_FILE)))
    except ObjectNotFoundError as error:
        raise CorruptModelError(f"{version} is not complete: {error} is missing") from error


def prove(manifest: Manifest, model: bytes) -> LoadedModel:
    """Check a model against its manifest: digest, canonical form, contract, goldens.

    Raises:
        CorruptModelError: it fails one of them; the message says which.
    """
    record = manifest.files.get(MODEL_FILE)
    if record is None or sha256(model) != record.sha256 or not manifest.version.endswith(record.sha256[:8]):
        raise CorruptModelError(f"the model file of {manifest.version} does not have the digest of its manifest")
    if manifest.canonical_form != canonical.VERSION:
        raise CorruptModelError(
            f"{manifest.version} wants canonical form {manifest.canonical_form}, this release makes {canonical.VERSION}"
        )
    if _contract(manifest) != _CONTRACT:
        raise CorruptModelError(f"{manifest.version} describes another input, output or classes than are served")
    classifier = Classifier(model)
    expected = np.array([golden.probabilities for golden in manifest.goldens], np.float32)
    try:
        answers = classifier.predict(np.stack([golden.pixels() for golden in manifest.goldens]))
    except (ValueError, RuntimeError) as error:  # of LiteRT: the file opens, and cannot be run
        raise CorruptModelError(f"the model of {manifest.version} fails on its golden inputs") from error
    same_digits = (answers.argmax(axis=1) == expected.argmax(axis=1)).all()
    # Written so that NaN fails too.
    if not (same_digits and np.abs(answers - expected).max() <= GOLDEN_TOLERANCE):
        raise CorruptModelError(f"{manifest.version} does not answer its golden inputs as it should")
    return LoadedModel(manifest, classifier)


def _contract(manifest: Manifest) -> tuple[tuple[str, list[int]], tuple[str, list[int]], list[str]]:
    source, target = manifest.input, manifest.output
    return (source.dtype, source.shape), (target.dtype, target.shape), manifest.classes
