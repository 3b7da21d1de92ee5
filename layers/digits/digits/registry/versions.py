"""The model registry as writers see it: immutable versions, and one pointer to the version that is live.

Every write is one conditional request, in such an order that a process killed between two of them leaves
nothing that a reader would take for whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from digits.errors import (
    ConflictError,
    CorruptModelError,
    NoModelError,
    ObjectNotFoundError,
    OperationError,
    UnknownVersionError,
)
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import Manifest
from digits.model.proof import LoadedModel, prove
from digits.registry.decisions import Decision, record, recorded
from digits.registry.layout import MODELS, POINTER_KEY, manifest_key, object_key, version_of
from digits.registry.pointer import Pointer, load_live, load_version

if TYPE_CHECKING:
    from digits.registry.bucket import Bucket


@dataclass(frozen=True)
class LiveState:
    """What is live, as it was read: a promotion is made against it and fails where it has changed.

    Attributes:
        pointer: None where nothing has been promoted, or the pointer cannot be read.
        etag: None where there is no pointer object.
    """

    pointer: Pointer | None
    etag: str | None

    @property
    def version(self) -> str | None:
        """The version that is live."""
        return self.pointer.version if self.pointer else None


class Registry:
    """The registry as writers see it."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def publish(self, manifest: Manifest, files: Mapping[str, bytes]) -> LoadedModel:
        """Upload a version: its files first, its manifest last. Publishing the same again changes nothing.

        Args:
            files: name to bytes; exactly those that the manifest lists.

        Returns:
            The model, proved.

        Raises:
            CorruptModelError: the files are not those that the manifest describes.
            ConflictError: the version exists with other contents.
        """
        described = {name: record.sha256 for name, record in manifest.files.items()}
        if MODEL_FILE not in files or {name: sha256(data) for name, data in files.items()} != described:
            raise CorruptModelError(f"the files of {manifest.version} are not those that its manifest describes")
        proved = prove(manifest, files[MODEL_FILE], reader=lambda: files[READER_FILE]).whole()
        for name, data in files.items():
            self._create(object_key(manifest.version, name), data)
        self._create(manifest_key(manifest.version), manifest.to_json())
        return proved

    def promote(self, version: str | LoadedModel, over: LiveState | None = None) -> Pointer:
        """Point `models/current.json` at a published version.

        Args:
            version: its name, or what `publish` or `load` returned, which need not be read and proved again.
            over: what the decision to promote was made against; what is live now where it is not given.

        Raises:
            UnknownVersionError: the version is not published.
            CorruptModelError: its files fail their proofs.
            ConflictError: something else was promoted meanwhile; the message tells what is live.
        """
        over = over or self.live_state()
        # What readers would not accept is not pointed at.
        proved = (self.load(version) if isinstance(version, str) else version).whole()
        version = proved.manifest.version
        if over.pointer is not None and over.pointer.version == version:
            return over.pointer
        pointer = Pointer(
            version=version,
            manifest_sha256=proved.manifest_sha256,
            previous=over.version,
            promoted_at=datetime.now(UTC),
        )
        try:
            etag = self._point(pointer.to_json(), over.etag)
        except ConflictError as error:
            raise ConflictError(
                f"{version} was not promoted: something else was promoted meanwhile, and "
                f"{self.live_state().version} is live"
            ) from error
        self._still_there(version, over, etag)
        return pointer

    def _point(self, pointer_json: bytes, etag: str | None) -> str:
        if etag is None:
            return self._bucket.create(POINTER_KEY, pointer_json)
        return self._bucket.replace(POINTER_KEY, pointer_json, etag)

    def _still_there(self, version: str, over: LiveState, etag: str) -> None:
        """Go back to what was live before where a version was pruned while it was promoted."""
        key = manifest_key(version)
        if key in self._bucket.keys(key):
            return
        if over.pointer is None:
            self._bucket.delete(POINTER_KEY)
        else:
            self._bucket.replace(POINTER_KEY, over.pointer.to_json(), etag)
        raise ConflictError(f"{version} was deleted while it was promoted, and {over.version} is live")

    def rollback(self, version: str | None = None, reason: str | None = None, dry_run: bool = False) -> str:
        """Go back to a version that was live, without a test: what is live is recorded as taken back.

        Args:
            version: where to; the one before the live one where it is not given.
            reason: is recorded.
            dry_run: change nothing.

        Returns:
            The version that is gone back to.

        Raises:
            OperationError: nothing is live, nothing was before it, or that was taken back or never promoted itself.
            UnknownVersionError, CorruptModelError, ConflictError: as in `promote`.
        """
        live = self.live_state()
        if live.etag is None or not (live.pointer or version):
            raise OperationError("nothing is live that could be taken back: promote a version")
        target = version or (live.pointer.previous if live.pointer else None)
        if target is None or target == live.version:
            raise OperationError(f"there is nothing to go back to from {live.version}")
        proved = self.load(target)
        self._check_was_live(target, live, named=version is not None)
        if dry_run:
            return target
        if live.version:
            # First, so that a process that is killed leaves nothing live that the record does not explain.
            taken_back = Decision(outcome="take back", decided_at=datetime.now(UTC), live=target, reason=reason)
            record(self._bucket, live.version, taken_back)
        self.promote(proved, live)
        return target

    def _check_was_live(self, version: str, live: LiveState, named: bool) -> None:
        outcomes = [decision.outcome for decision in recorded(self._bucket, version)]
        if outcomes[-1:] == ["take back"] and not named:
            raise OperationError(f"{version} was taken back itself: name the version to go back to")
        before = live.pointer.previous if live.pointer else None
        if version != before and not {"promote", "force"} & set(outcomes):
            raise OperationError(f"{version} was never live: promote it, so that it is tested")

    def live_state(self) -> LiveState:
        """Return what is live; a pointer that cannot be read counts as none, and can be replaced."""
        try:
            stored = self._bucket.get(POINTER_KEY)
        except ObjectNotFoundError:
            return LiveState(None, None)
        try:
            return LiveState(Pointer.from_json(stored.data), stored.etag)
        except CorruptModelError:
            return LiveState(None, stored.etag)

    def live(self) -> Pointer | None:
        """Return the pointer, or None before the first promotion.

        Raises:
            CorruptModelError: there is one that cannot be read.
        """
        live = self.live_state()
        if live.etag is not None and live.pointer is None:
            raise CorruptModelError(f"{POINTER_KEY} cannot be read: promote a version to replace it")
        return live.pointer

    def load(self, version: str | None = None) -> LoadedModel:
        """Return a published model, proved; the live one where no version is given.

        Raises:
            NoModelError: nothing has been promoted yet.
            UnknownVersionError: the version is not published.
            CorruptModelError: see `digits.model.proof`.
        """
        if version is not None:
            return load_version(self._read, version, self._manifest_json(version))
        try:
            pointer_json = self._bucket.get(POINTER_KEY).data
        except ObjectNotFoundError:
            raise NoModelError("no model has been published yet") from None
        return load_live(self._read, pointer_json)

    def versions(self) -> list[str]:
        """Return the published versions, oldest first."""
        found = ((version_of(key), key) for key in self._bucket.keys(MODELS))
        return [version for version, key in found if version and key == manifest_key(version)]

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of a published version.

        Raises:
            UnknownVersionError: the version is not published.
        """
        return Manifest.from_json(self._manifest_json(version))

    def file(self, manifest: Manifest, name: str) -> bytes:
        """Return a file of a published version.

        Raises:
            CorruptModelError: it is missing, or not what the manifest says.
        """
        try:
            data = self._bucket.get(object_key(manifest.version, name)).data
        except ObjectNotFoundError:
            raise CorruptModelError(f"{name} of {manifest.version} is missing") from None
        if sha256(data) != manifest.files[name].sha256 or len(data) != manifest.files[name].size_bytes:
            raise CorruptModelError(f"{name} of {manifest.version} does not have the digest of its manifest")
        return data

    def verify(self, version: str) -> Manifest:
        """Check all files of a published version, and the model against its proofs.

        Raises:
            UnknownVersionError: the version is not published.
            CorruptModelError: something is not as it should be; the message says what.
        """
        manifest = self.load(version).whole().manifest
        for name in manifest.files:
            self.file(manifest, name)
        return manifest

    def _manifest_json(self, version: str) -> bytes:
        try:
            return self._bucket.get(manifest_key(version)).data
        except ObjectNotFoundError:
            raise UnknownVersionError(f"no model {version!r} is published") from None

    def _read(self, key: str) -> bytes:
        return self._bucket.get(key).data

    def _create(self, key: str, data: bytes) -> None:
        try:
            self._bucket.create(key, data)
        except ConflictError:
            try:
                same = self._bucket.get(key).data == data
            except ObjectNotFoundError:  # deleted, or being written, by somebody else
                raise ConflictError(f"{key} is being changed by somebody else: try again") from None
            if not same:
                raise ConflictError(f"{key} exists with other contents") from None
