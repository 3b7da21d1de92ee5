"""A folder as the object store of a batch on this machine: conditional writes, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from digits.errors import ConflictError, ObjectNotFoundError, StoreError
from digits.model.identity import sha256
from digits.registry.layout import BATCH, BATCH_OUT
from digits.registry.store import StoredObject

_HIDDEN = ".batch"  # what is only of use until a run has ended


class FolderStore:
    """What `functions.batch.runs.Store` tells, for one process at a time: results lie in the folder itself."""

    def __init__(self, root: Path) -> None:
        """Take a folder, which need not exist yet."""
        self._root = root

    def path(self, key: str) -> Path:
        """Return where an object is."""
        if key.startswith(BATCH_OUT):
            return self._root / key.removeprefix(BATCH_OUT)
        return self._root / _HIDDEN / key.removeprefix(BATCH)

    def get(self, key: str) -> StoredObject:
        """See `Store`."""
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectNotFoundError(key) from None
        except OSError as error:
            raise StoreError(f"{self.path(key)} cannot be read: {error.strerror}") from error
        return StoredObject(data, sha256(data))

    def state(self, key: str) -> tuple[int, str]:
        """See `Store`."""
        stored = self.get(key)
        return len(stored.data), stored.etag

    def get_range(self, key: str, start: int, stop: int, etag: str) -> bytes:
        """See `Store`."""
        stored = self.get(key)
        if stored.etag != etag:
            raise ConflictError(f"{self.path(key)} was changed by somebody else")
        return stored.data[start:stop]

    def create(self, key: str, data: bytes) -> str:
        """See `Store`."""
        self.upload(key, [data])
        return sha256(data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """See `Store`."""
        try:
            before = self.get(key).etag
        except ObjectNotFoundError:
            before = None
        if before != etag:
            raise ConflictError(f"{self.path(key)} was changed by somebody else")
        self._write(key, [data], over=True)
        return sha256(data)

    def upload(self, key: str, chunks: Iterable[bytes]) -> None:
        """See `Store`."""
        self._write(key, chunks, over=False)

    def _write(self, key: str, chunks: Iterable[bytes], *, over: bool) -> None:
        """Write beside, then move into place: a process that is killed, or a full disk, leaves nothing half-written."""
        path, beside = self.path(key), self._root / _HIDDEN
        partial = None
        try:
            beside.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=beside, prefix="partial-", delete=False) as file:
                partial = Path(file.name)
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o644)  # where a temporary file is for its owner alone
            if over:
                partial.replace(path)
            else:
                _link(partial, path)
        except FileExistsError:
            raise ConflictError(f"{path} exists already") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error
        finally:
            if partial is not None:
                partial.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """See `Store`; folders that are left empty go as well."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # of the first that is not empty
            for folder in takewhile(lambda folder: folder != self._root, path.parents):
                folder.rmdir()

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store`."""
        before, root = (BATCH_OUT, self._root) if prefix.startswith(BATCH_OUT) else (BATCH, self._root / _HIDDEN)
        folder = self.path(prefix.rpartition("/")[0] + "/")
        found = sorted(path.relative_to(root).as_posix() for path in folder.rglob("*") if path.is_file())
        return (key for key in (f"{before}{name}" for name in found) if key.startswith(prefix))


def _link(partial: Path, path: Path) -> None:
    """Give a file its name, which must be free; raises FileExistsError."""
    try:
        path.hardlink_to(partial)  # a rename would not mind
    except FileExistsError:
        raise
    except OSError:  # of a file system without such links, as memory cards have
        if path.exists():
            raise FileExistsError from None
        partial.replace(path)
