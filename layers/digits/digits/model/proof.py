"""What a model must show before it answers anybody: digests, canonical form, contract, golden digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.errors import CorruptModelError
from digits.model.classifier import Classifier
from digits.model.contract import CLASSES, INPUT, OUTPUT, Tensor
from digits.model.identity import MODEL_FILE, sha256
from digits.model.manifest import Manifest
from digits.pictures import canonical

GOLDEN_TOLERANCE = 1e-3


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed its own proofs.

    Attributes:
        manifest_sha256: digest of the manifest's bytes, which a pointer to the model carries.
    """

    manifest: Manifest
    classifier: Classifier
    manifest_sha256: str


def prove(manifest: Manifest, model: bytes, manifest_json: bytes | None = None) -> LoadedModel:
    """Check a model against its manifest: digest, canonical form, contract, goldens.

    Args:
        manifest_json: the manifest's bytes where it was read; None where it was made here, as it writes itself.

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
    if not _is_contract(manifest):
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
    return LoadedModel(manifest, classifier, sha256(manifest_json or manifest.to_json()))


def _is_contract(manifest: Manifest) -> bool:
    """Tell whether a manifest describes the input, output and classes that are served; names may differ."""

    def form(tensor: Tensor) -> tuple[str, list[int]]:
        return tensor.dtype, tensor.shape

    same_tensors = form(manifest.input) == form(INPUT) and form(manifest.output) == form(OUTPUT)
    return same_tensors and tuple(manifest.classes) == CLASSES
