"""What a model must show before it answers anybody: digests, canonical form, contract, golden digits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from digits.errors import CorruptModelError, DigitsError, NoReaderError, bare
from digits.model.classifier import Classifier
from digits.model.contract import CLASSES, INPUT, LINE, LOGITS, OUTPUT, Tensor
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import Manifest, ReaderRecord
from digits.model.reader import Reader
from digits.model.strings import Columns, likely_strings, probabilities_of
from digits.moments import now
from digits.pictures import canonical, rows

GOLDEN_TOLERANCE = 1e-3
RETRY_SECONDS = 1.0  # until a reader that could not be loaded is asked for again


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed its own proofs.

    Attributes:
        manifest_sha256: digest of the manifest's bytes, which a pointer to the model carries.
    """

    manifest: Manifest
    classifier: Classifier
    manifest_sha256: str
    numbers: LazyReader = field(default_factory=lambda: LazyReader(None, None))

    def whole(self) -> LoadedModel:
        """Return it with its reader proved as well, if it has one; raises as `LazyReader.get` does."""
        if self.numbers.exists:
            self.numbers.get()
        return self


@dataclass(frozen=True)
class LoadedReader:
    """A reader of numbers that has passed its own proofs."""

    record: ReaderRecord
    network: Reader


class LazyReader:
    """The reader of a version, fetched and proved when it is first needed: one digit is read without it."""

    def __init__(self, manifest: Manifest | None, fetch: Callable[[], bytes] | None) -> None:
        """Bind what the manifest says of it, if there is one.

        Args:
            fetch: returns the bytes of its file.
        """
        described = manifest and manifest.files.get(READER_FILE)
        self._record = manifest.reader if manifest and described and fetch else None
        self._sha256 = described.sha256 if described else ""
        self._version, self._fetch = manifest.version if manifest else "this model", fetch or bytes
        self._lock = threading.Lock()
        self._loaded: LoadedReader | None = None
        self._failure: DigitsError | None = None
        self._failed_at = now()

    @property
    def exists(self) -> bool:
        """Whether the version has one."""
        return self._record is not None

    @property
    def value(self) -> LoadedReader | None:
        """What is in memory; None until it is needed."""
        return self._loaded

    def get(self) -> LoadedReader:
        """Return it, at the first call fetched and proved; callers get a failure again for RETRY_SECONDS.

        Raises:
            NoReaderError: the version has none.
            CorruptModelError: it is missing, or fails a proof.
            StoreError: the store did not answer.
        """
        if self._record is None:
            raise NoReaderError(f"{self._version} reads single digits only: it has no reader of numbers")
        if self._loaded is not None:
            return self._loaded
        # After a failure one caller tries again, while the others get the failure; at first all wait for it.
        if not self._lock.acquire(blocking=self._failure is None):
            raise self._kept()
        try:
            if self._loaded is None:
                if self._failure is not None and self._failed_at.until(now()) < RETRY_SECONDS:
                    raise self._kept()
                self._loaded = self._load(self._record)
            return self._loaded
        finally:
            self._lock.release()

    def _kept(self) -> DigitsError:
        return self._failure or CorruptModelError(f"the reader of {self._version} cannot be used")

    def _load(self, record: ReaderRecord) -> LoadedReader:
        try:
            loaded = self._prove(record, self._fetch())
        except DigitsError as error:
            self._failure, self._failed_at = bare(error), now()
            raise
        self._failure = None
        return loaded

    def _prove(self, record: ReaderRecord, model: bytes) -> LoadedReader:
        if sha256(model) != self._sha256:
            raise CorruptModelError(f"the reader of {self._version} does not have the digest of its manifest")
        if record.line_form != rows.VERSION:
            raise CorruptModelError(
                f"the reader of {self._version} wants line form {record.line_form}, this release makes {rows.VERSION}"
            )
        if not (_same_form(record.input, LINE) and _same_form(record.output, LOGITS)):
            raise CorruptModelError(f"the reader of {self._version} describes another input or output than is served")
        network = Reader(model)
        for golden in record.goldens:
            try:
                (logits,) = network.logits(golden.pixels()[None])
                columns = Columns.of(logits)
                string = likely_strings(columns)[0]
                (probability,) = probabilities_of(columns, [string])
            except (ValueError, RuntimeError, IndexError) as error:
                raise CorruptModelError(f"the reader of {self._version} fails on its golden inputs") from error
            # Written so that NaN fails too.
            alike = abs(probability - golden.probability) <= GOLDEN_TOLERANCE
            if "".join(map(str, string)) != golden.text or not alike:
                raise CorruptModelError(f"the reader of {self._version} does not answer its golden inputs as it should")
        return LoadedReader(record, network)


def prove(
    manifest: Manifest, model: bytes, manifest_json: bytes | None = None, *, reader: Callable[[], bytes] | None = None
) -> LoadedModel:
    """Check a model against its manifest: digest, canonical form, contract, goldens.

    Args:
        manifest_json: the manifest's bytes where it was read; None where it was made here, as it writes itself.
        reader: returns the bytes of the reader's file when it is first needed; None serves without one.

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
    with np.errstate(over="ignore"):  # of absurd numbers, which no answer is like
        expected = np.array([golden.probabilities for golden in manifest.goldens], np.float32)
    try:
        answers = classifier.predict(np.stack([golden.pixels() for golden in manifest.goldens]))
    except (ValueError, RuntimeError) as error:  # of LiteRT: the file opens, and cannot be run
        raise CorruptModelError(f"the model of {manifest.version} fails on its golden inputs") from error
    # Written so that NaN fails too.
    if answers.shape != expected.shape or not (
        (answers.argmax(axis=1) == expected.argmax(axis=1)).all()
        and np.abs(answers - expected).max() <= GOLDEN_TOLERANCE
    ):
        raise CorruptModelError(f"{manifest.version} does not answer its golden inputs as it should")
    return LoadedModel(manifest, classifier, sha256(manifest_json or manifest.to_json()), LazyReader(manifest, reader))


def _is_contract(manifest: Manifest) -> bool:
    """Tell whether a manifest describes the input, output and classes that are served."""
    same_tensors = _same_form(manifest.input, INPUT) and _same_form(manifest.output, OUTPUT)
    return same_tensors and tuple(manifest.classes) == CLASSES


def _same_form(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are of one type and shape; names may differ."""
    return (one.dtype, one.shape) == (other.dtype, other.shape)
