"""The pointer to the live version, and how a version is read and proved: all that the request path needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from pydantic import BaseModel, ConfigDict, ValidationError

from digits.errors import CorruptModelError, ObjectNotFoundError
from digits.model.identity import MODEL_FILE, READER_FILE, sha256
from digits.model.manifest import Manifest, Sha256, Version, first_problem
from digits.model.proof import LoadedModel, prove
from digits.registry.layout import manifest_key, object_key


class Pointer(BaseModel):
    """`models/current.json`: which version is live."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Version
    manifest_sha256: Sha256
    previous: Version | None
    promoted_at: datetime

    def to_json(self) -> bytes:
        """Return the bytes of the pointer object."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Pointer:
        """Read the pointer object.

        Raises:
            CorruptModelError: the object is not a pointer.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise CorruptModelError(f"the pointer cannot be read: {first_problem(error)}") from error


def _nothing(version: str) -> None:
    """Begin nothing."""


def load_live(
    read: Callable[[str], bytes], pointer_json: bytes, begin: Callable[[str], None] = _nothing
) -> LoadedModel:
    """Load the version that the pointer names, and prove it.

    Args:
        read: returns the bytes of an object, or raises ObjectNotFoundError or StoreError.
        begin: has the store asked for a version's networks ahead of `read`.

    Raises:
        CorruptModelError: pointer, manifest or model is missing or not what its digest says, or
            the model does not answer its goldens.
        StoreError: the store did not answer.
    """
    pointer = Pointer.from_json(pointer_json)
    begin(pointer.version)
    try:
        manifest_json = read(manifest_key(pointer.version))
    except ObjectNotFoundError as error:
        raise CorruptModelError(f"the live version is not complete: {error} is missing") from error
    if sha256(manifest_json) != pointer.manifest_sha256:
        raise CorruptModelError(f"the manifest of {pointer.version} is not the one that was promoted")
    return load_version(read, pointer.version, manifest_json)


def load_version(read: Callable[[str], bytes], version: str, manifest_json: bytes) -> LoadedModel:
    """Load a version by its manifest, and prove it; arguments and errors as in `load_live`."""
    manifest = Manifest.from_json(manifest_json)
    if manifest.version != version:
        raise CorruptModelError(f"the manifest of {version} says that it is {manifest.version}")
    try:
        model = read(object_key(version, MODEL_FILE))
    except ObjectNotFoundError as error:
        raise _incomplete(version, error) from error
    return prove(manifest, model, manifest_json, reader=partial(_read_reader, read, version))


def _read_reader(read: Callable[[str], bytes], version: str) -> bytes:
    try:
        return read(object_key(version, READER_FILE))
    except ObjectNotFoundError as error:
        raise _incomplete(version, error) from error


def _incomplete(version: str, error: ObjectNotFoundError) -> CorruptModelError:
    return CorruptModelError(f"{version} is not complete: {error} is missing")
