"""The live model as a reader caches it: loaded on first use, then re-checked; on failures the last good one stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from digits.errors import NoModelError
from digits.model.identity import MODEL_FILE, READER_FILE
from digits.model.proof import LoadedModel
from digits.registry.cache import CachedObject
from digits.registry.layout import POINTER_KEY, manifest_key, object_key
from digits.registry.pointer import load_live, load_version
from digits.registry.store import ObjectReader, read

type LiveModel = CachedObject[LoadedModel]


def live_model(
    reader: ObjectReader,
    ttl_seconds: float,
    version: str | None = None,
    *,
    reads_numbers: Callable[[], bool] = lambda: False,
) -> LiveModel:
    """Return the cache of the model to serve; the store is first asked by `begin` or `get`.

    Args:
        version: serve this version instead of the live one; None serves the live one.
        reads_numbers: tells whether a version's reader will be wanted, so that it is fetched beside the model.
    """
    bytes_of = partial(read, reader)

    def begin(version: str) -> None:
        for name in (MODEL_FILE, READER_FILE) if reads_numbers() else (MODEL_FILE,):
            reader.begin(object_key(version, name))

    def load(data: bytes) -> LoadedModel:
        if version is None:
            loaded = load_live(bytes_of, data, begin)
        else:
            begin(version)
            loaded = load_version(bytes_of, version, data)
        # Where numbers are read, a version takes over with its reader or not at all.
        before = model.value
        return loaded.whole() if before is not None and before.numbers.value is not None else loaded

    model: LiveModel = CachedObject(
        reader,
        manifest_key(version) if version else POINTER_KEY,
        parse=load,
        missing=partial(_no_model, version),
        ttl_seconds=ttl_seconds,
    )
    return model


def _no_model(version: str | None) -> NoModelError:
    return NoModelError(f"model {version} is not published" if version else "no model has been published yet")
