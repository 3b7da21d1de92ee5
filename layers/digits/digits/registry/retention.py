"""Which versions stay: the live one, the one before it, pinned ones and the newest; others may be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from digits.errors import ConflictError, OperationError
from digits.registry.layout import MODELS, PINS, folder_key, manifest_key, pin_key, version_of
from digits.registry.versions import Registry

if TYPE_CHECKING:
    from digits.registry.bucket import Bucket

# A folder without a manifest may be an upload in progress; after this long it is abandoned.
ABANDONED_AFTER = timedelta(days=1)


def pin(bucket: Bucket, version: str) -> None:
    """Keep a version from being pruned because a deployment is pinned to it.

    Raises:
        UnknownVersionError: the version is not published.
    """
    Registry(bucket).manifest(version)
    with suppress(ConflictError):  # it is pinned already
        bucket.create(pin_key(version), b"")
    Registry(bucket).manifest(version)  # it may have been pruned in between


def unpin(bucket: Bucket, version: str) -> None:
    """Let a version be pruned again."""
    bucket.delete(pin_key(version))


def pins(bucket: Bucket) -> set[str]:
    """Return the versions that are kept from being pruned."""
    return {key.removeprefix(PINS) for key in bucket.keys(PINS)}


def prune(bucket: Bucket, keep: int, dry_run: bool = False) -> Iterator[str]:
    """Delete old versions, and the remains of abandoned uploads.

    Args:
        keep: how many of the newest versions stay, besides the live one, the one before it, and pinned ones.
        dry_run: delete nothing.

    Returns:
        The versions and folders to delete, each just before it is deleted.

    Raises:
        CorruptModelError: the pointer cannot be read, so what is live is unknown.
        OperationError: there are versions, and none is live.
    """
    registry = Registry(bucket)
    versions = registry.versions()
    if versions and registry.live() is None:
        raise OperationError("nothing is live, so that nobody knows what must stay: promote a version first")
    for version in [*versions[: max(0, len(versions) - keep)], *_abandoned(bucket)]:
        # Checked again for each: meanwhile a version may be promoted, or an upload resumed.
        pointer = registry.live()
        if version in pins(bucket) or (pointer and version in (pointer.version, pointer.previous)):
            continue
        if version not in versions and version not in _abandoned(bucket):
            continue
        yield version
        if not dry_run:
            # The manifest goes first: without it nobody sees the version.
            bucket.delete(manifest_key(version))
            for key in list(bucket.keys(folder_key(version))):
                bucket.delete(key)


def _abandoned(bucket: Bucket) -> list[str]:
    """Return the folders without a manifest in which nothing has been written for a day."""
    versions = set(Registry(bucket).versions())
    newest: dict[str, datetime] = {}
    for key, modified in bucket.entries(MODELS):
        version = version_of(key)
        if version and version not in versions:
            newest[version] = max(modified, newest.get(version, modified))
    return [version for version, modified in newest.items() if datetime.now(UTC) - modified > ABANDONED_AFTER]
