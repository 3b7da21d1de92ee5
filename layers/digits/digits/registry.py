"""The model registry: immutable versions, and one pointer to the version that is live.

models/<version>/model.tflite …   created with If-None-Match: *
models/<version>/manifest.json    written last: a version is visible only with its manifest
models/current.json               created with If-None-Match: *, swapped with If-Match
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from digits import canonical
from digits.classifier import Classifier
from digits.errors import ConflictError, CorruptModelError, NoModelError, ObjectNotFoundError, UnknownVersionError
from digits.manifest import Manifest, Pointer

if TYPE_CHECKING:
    from digits.bucket import Bucket

CURRENT_KEY = "models/current.json"
MODEL_FILE = "model.tflite"
MANIFEST_FILE = "manifest.json"
GOLDEN_TOLERANCE = 1e-3


@dataclass(frozen=True)
class LoadedModel:
    """A model that has passed its own proofs."""

    manifest: Manifest
    classifier: Classifier


def new_version(model: bytes, created_at: datetime) -> str:
    """Return a version name: sorts by time, and carries the start of the model's digest."""
    return f"{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256(model)[:8]}"


def object_key(version: str, name: str) -> str:
    """Return where a file of a version is kept."""
    return f"models/{version}/{name}"


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 digest."""
    return hashlib.sha256(data).hexdigest()


def load_current(read: Callable[[str], bytes], pointer_json: bytes) -> LoadedModel:
    """Load the version that the pointer names, and prove it before anybody is answered by it.

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
        model = read(object_key(pointer.version, MODEL_FILE))
    except ObjectNotFoundError as error:
        raise CorruptModelError(f"the current version is not complete: {error} is missing") from error
    if sha256(manifest_json) != pointer.manifest_sha256:
        raise CorruptModelError(f"the manifest of {pointer.version} is not the one that was promoted")
    manifest = Manifest.from_json(manifest_json)
    if manifest.version != pointer.version:
        raise CorruptModelError(f"the manifest of {pointer.version} says that it is {manifest.version}")
    return prove(manifest, model)


def prove(manifest: Manifest, model: bytes) -> LoadedModel:
    """Check a model against its manifest: digest, canonical form, contract, goldens.

    Raises:
        CorruptModelError: it fails one of them; the message says which.
    """
    record = manifest.files.get(MODEL_FILE)
    if record is None or sha256(model) != record.sha256:
        raise CorruptModelError(f"the model file of {manifest.version} does not have the digest of its manifest")
    if manifest.canonical_form != canonical.VERSION:
        raise CorruptModelError(
            f"{manifest.version} wants canonical form {manifest.canonical_form}, this release makes {canonical.VERSION}"
        )
    classifier = Classifier(model)
    expected = np.array([golden.probabilities for golden in manifest.goldens], np.float32)
    answers = classifier.predict(np.stack([golden.pixels() for golden in manifest.goldens]))
    same_digits = (answers.argmax(axis=1) == expected.argmax(axis=1)).all()
    # Written so that NaN fails too.
    if not (same_digits and np.abs(answers - expected).max() <= GOLDEN_TOLERANCE):
        raise CorruptModelError(f"{manifest.version} does not answer its golden inputs as it should")
    return LoadedModel(manifest, classifier)


class Registry:
    """The registry as writers see it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def publish(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        """Upload a version: its files first, its manifest last. Publishing the same again changes nothing.

        Args:
            files: name to bytes; exactly those that the manifest lists.

        Raises:
            CorruptModelError: the files are not those that the manifest describes.
            ConflictError: the version exists with other contents.
        """
        described = {name: record.sha256 for name, record in manifest.files.items()}
        if MODEL_FILE not in files or {name: sha256(data) for name, data in files.items()} != described:
            raise CorruptModelError(f"the files of {manifest.version} are not those that its manifest describes")
        prove(manifest, files[MODEL_FILE])
        for name, data in files.items():
            self._create(object_key(manifest.version, name), data)
        self._create(object_key(manifest.version, MANIFEST_FILE), manifest.to_json())

    def promote(self, version: str, force: bool = False) -> Pointer:
        """Point `models/current.json` at a published version.

        Args:
            force: promote even a model that was trained on fewer digits than the current one.

        Raises:
            UnknownVersionError: the version is not published.
            CorruptModelError: its files fail their proofs.
            ConflictError: it was trained on less data, or somebody else promoted meanwhile.
        """
        manifest = self.manifest(version)
        current, etag = self._pointer()
        if current is not None and current.version == version:
            return current
        if current is not None and not force:
            self._check_training_count(manifest, current.version)
        pointer = Pointer(
            version=version,
            manifest_sha256=sha256(self._bucket.get(object_key(version, MANIFEST_FILE)).data),
            previous=current.version if current else None,
            promoted_at=datetime.now(UTC),
        )
        load_current(self._read, pointer.to_json())  # what readers would not accept is not pointed at
        if etag is None:
            self._bucket.create(CURRENT_KEY, pointer.to_json())
        else:
            self._bucket.replace(CURRENT_KEY, pointer.to_json(), etag)
        return pointer

    def current(self) -> Pointer | None:
        """Return the pointer, or None before the first promotion.

        Raises:
            CorruptModelError: there is one that cannot be read.
        """
        pointer, etag = self._pointer()
        if etag is not None and pointer is None:
            raise CorruptModelError(f"{CURRENT_KEY} cannot be read: promote a version to replace it")
        return pointer

    def load(self) -> LoadedModel:
        """Return the current model, proved.

        Raises:
            NoModelError: nothing has been promoted yet.
            CorruptModelError: see `load_current`.
        """
        try:
            pointer_json = self._bucket.get(CURRENT_KEY).data
        except ObjectNotFoundError:
            raise NoModelError("no model has been published yet") from None
        return load_current(self._read, pointer_json)

    def versions(self) -> list[str]:
        """Return the published versions, oldest first."""
        pattern = re.compile(rf"models/([^/]+)/{re.escape(MANIFEST_FILE)}")
        return [match[1] for key in self._bucket.keys("models/") if (match := pattern.fullmatch(key))]

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of a published version.

        Raises:
            UnknownVersionError: the version is not published.
        """
        try:
            return Manifest.from_json(self._bucket.get(object_key(version, MANIFEST_FILE)).data)
        except ObjectNotFoundError:
            raise UnknownVersionError(f"no model {version!r} is published") from None

    def file(self, manifest: Manifest, name: str) -> bytes:
        """Return a file of a published version.

        Raises:
            CorruptModelError: it is missing, or not what the manifest says.
        """
        try:
            data = self._bucket.get(object_key(manifest.version, name)).data
        except ObjectNotFoundError:
            raise CorruptModelError(f"{name} of {manifest.version} is missing") from None
        if sha256(data) != manifest.files[name].sha256:
            raise CorruptModelError(f"{name} of {manifest.version} does not have the digest of its manifest")
        return data

    def _pointer(self) -> tuple[Pointer | None, str | None]:
        try:
            stored = self._bucket.get(CURRENT_KEY)
        except ObjectNotFoundError:
            return None, None
        try:
            return Pointer.from_json(stored.data), stored.etag
        except CorruptModelError:
            return None, stored.etag

    def _check_training_count(self, manifest: Manifest, champion_version: str) -> None:
        try:
            champion = self.manifest(champion_version)
        except (UnknownVersionError, CorruptModelError):
            return  # nobody can be answered by it either
        ours, theirs = manifest.dataset.own_count, champion.dataset.own_count
        if theirs > ours:
            raise ConflictError(
                f"{manifest.version} was trained on {ours:,} digits of its data set and does not replace "
                f"{champion_version}, trained on {theirs:,}, unless forced"
            )

    def _read(self, key: str) -> bytes:
        return self._bucket.get(key).data

    def _create(self, key: str, data: bytes) -> None:
        try:
            self._bucket.create(key, data)
        except ConflictError:
            if self._bucket.get(key).data != data:
                raise ConflictError(f"{key} exists with other contents") from None
