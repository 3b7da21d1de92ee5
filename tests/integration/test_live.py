"""The live model in a warm container."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from digits.errors import NoModelError, StoreError
from digits.model.identity import MANIFEST_FILE, MODEL_FILE, READER_FILE
from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.pictures.images import decode
from digits.registry.bucket import Bucket
from digits.registry.layout import object_key
from digits.registry.live import live_model
from digits.registry.store import S3Reader
from local.store import BUCKET, EmbeddedStore
from tests import events

type Version = tuple[Manifest, dict[str, bytes]]


class CountingReader(S3Reader):
    """Counts what is asked of the store."""

    def __init__(self, store: EmbeddedStore) -> None:
        super().__init__(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})
        self.keys: list[str] = []

    def get(self, key: str, etag: str | None = None) -> Any:
        self.keys.append(key)
        return super().get(key, etag)


def test_the_model_is_loaded_once_however_many_requests_arrive_together(
    published: Bucket, store: EmbeddedStore
) -> None:
    reader = CountingReader(store)
    live = live_model(reader, ttl_seconds=60)
    assert reader.keys == []
    with ThreadPoolExecutor(16) as pool:
        models = list(pool.map(lambda _: live.get(), range(64)))
    assert len({id(model) for model in models}) == 1
    assert sum(key.endswith("model.tflite") for key in reader.keys) == 1
    assert len(reader.keys) == 3


def test_many_threads_get_the_same_right_answers(published: Bucket, store: EmbeddedStore) -> None:
    classifier = live_model(CountingReader(store), ttl_seconds=60).get().classifier
    digits = np.stack([decode(events.digit_file(digit)).pixels for digit in range(10)])
    expected = classifier.predict(digits)

    def predict(index: int) -> bool:
        size = index % 10 + 1
        return bool(np.allclose(classifier.predict(digits[:size]), expected[:size], atol=1e-6))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(predict, range(400)))


def test_no_model_is_an_error_of_its_own(store: EmbeddedStore) -> None:
    with pytest.raises(NoModelError):
        live_model(CountingReader(store), ttl_seconds=60).get()


def test_a_pinned_version_is_read_two_requests_after_each_other(
    published: Bucket, store: EmbeddedStore, version: Version
) -> None:
    begun: list[str] = []

    class Noting(CountingReader):
        def begin(self, key: str, etag: str | None = None) -> None:
            begun.append(key)
            super().begin(key, etag)

    pinned = version[0].version
    model = live_model(Noting(store), ttl_seconds=60, version=pinned, reads_numbers=lambda: True)
    model.begin()
    assert model.get().whole().manifest == version[0]
    assert begun == [object_key(pinned, name) for name in (MANIFEST_FILE, MODEL_FILE, READER_FILE)]


def test_a_reader_that_cannot_be_fetched_is_not_asked_for_by_each_caller(version: Version) -> None:
    asked = []

    def fetch() -> bytes:
        asked.append(1)
        raise StoreError("down")

    loaded = prove(version[0], version[1][MODEL_FILE], reader=fetch)
    for _ in range(5):
        with pytest.raises(StoreError):
            loaded.numbers.get()
    assert len(asked) == 1
