"""A store with two versions in it, the proxy in front of it, containers over the proxy, and what they must answer."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from numpy.typing import NDArray

from digits.model.classifier import Classifier
from digits.model.identity import MODEL_FILE, new_version, sha256
from digits.model.manifest import FileRecord, Manifest
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api import gateway
from functions.predict_api import handler as predict_api
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local.lambda_invoke import EVENT_TOKEN
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.reliability.mixture import Expected
from tests.reliability.proxy import Proxy
from training.artifacts import read_folder

type Version = tuple[Manifest, dict[str, bytes]]

_LAST_BIAS = 0.01  # of how much the other version's differs


@dataclass
class World:
    """What all sections work with.

    Attributes:
        version: the trained one; other, one that answers a little differently.
        expected: what is to be answered to the pictures of the sample events.
    """

    store: EmbeddedStore
    proxy: Proxy
    version: Version
    other: Version
    expected: Expected = field(default_factory=lambda: Expected({}, {}))
    _objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def bucket(self) -> Bucket:
        """The bucket as writers see it, past the proxy."""
        return Bucket(BUCKET, self.store.client)

    @property
    def registry(self) -> Registry:
        """The registry, past the proxy."""
        return Registry(self.bucket)

    def environment(self) -> dict[str, str]:
        """Return the variables that point a process at the proxy."""
        return {**self.store.environment(), "AWS_ENDPOINT_URL_S3": self.proxy.url}

    def reset(self) -> None:
        """Have both versions published, the first one live, and the events' token."""
        self.proxy.lifted.set()
        self.store.reset()
        if not self._objects:
            registry = self.registry
            registry.publish(*self.other)
            registry.promote(registry.publish(*self.version))
            tokens.add(self.bucket, "events", EVENT_TOKEN)
            self._objects = {key: self.bucket.get(key).data for key in self.bucket.keys("")}
            return
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # in this process, where no socket is needed
        for key, data in self._objects.items():
            backend.put_object(BUCKET, key, data)

    def problem_of(self, answer: dict[str, Any], digit: int, versions: Set[str] = frozenset()) -> str | None:
        """Tell what is wrong with an answer to a digit, which must be a version's to the last bit.

        Args:
            versions: that may answer; none given is the one that is live after a reset.
        """
        if answer["statusCode"] != 200:
            return f"{answer['statusCode']}: {answer['body'][:200]}"
        document = json.loads(answer["body"])
        allowed = versions or {self.version[0].version}
        if document["model"]["version"] not in allowed:
            return f"an answer of {document['model']['version']}, which is not live"
        return self.expected.problem_of(document, digit)

    def problem_of_number(self, answer: dict[str, Any], name: str = "2026") -> str | None:
        """Tell what is wrong with an answer to a number."""
        if answer["statusCode"] != 200:
            return f"{answer['statusCode']}: {answer['body'][:200]}"
        text = json.loads(answer["body"])["text"]
        return None if text == self.expected.numbers[name] else f"a wrong answer: {text}"


@contextmanager
def world_of(folder: Path) -> Iterator[World]:
    """Run a store, and the proxy before it.

    Args:
        folder: of the trained version.
    """
    version = read_folder(folder)
    with EmbeddedStore() as store, Proxy(store.environment()["AWS_ENDPOINT_URL_S3"]) as proxy:
        world = World(store, proxy, version, nudged(version))
        before = dict(os.environ)
        os.environ.update(world.environment())
        try:
            world.reset()
            for manifest, _ in (world.version, world.other):
                container = Container(world.proxy.url, model_version=manifest.version)
                found = (container.predict(digit) for digit in range(10))
                told = (json.loads(answer["body"]) for answer in found)
                world.expected.digits[manifest.version] = {
                    digit: each["probabilities"] for digit, each in enumerate(told)
                }
                world.expected.numbers.update(container.numbers())
                container.close()
            yield world
        finally:
            os.environ.clear()
            os.environ.update(before)


class Container:
    """Lambda's handler in a container of its own, in this process."""

    def __init__(self, endpoint: str, ttl_seconds: float = 60.0, model_version: str | None = None) -> None:
        """Begin it; it is cold.

        Args:
            endpoint: where the store is, or the proxy before it.
        """
        settings = Settings(BUCKET, model_ttl_seconds=ttl_seconds, model_version=model_version)
        reader = S3Reader(BUCKET, settings.region, endpoint, {})
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)  # for the adapter, which asks for it
        self.app = create_app(settings, reader, threads=False)
        self._adapter = predict_api._adapted(self.app)
        self.seconds = 0.0

    def close(self) -> None:
        """End it, as its end does where nobody else has done it."""
        self._loop.close()

    __del__ = close

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        """Answer an event; `seconds` tells how long that took."""
        asyncio.set_event_loop(self._loop)
        started = time.perf_counter()
        answer: dict[str, Any] = self._adapter(
            gateway.regular(event), SimpleNamespace(aws_request_id="request-of-the-suite")
        )
        self.seconds = time.perf_counter() - started
        return answer

    def handle(self, event: Any) -> dict[str, Any]:
        """Answer any event, as Lambda's own handler does."""
        asyncio.set_event_loop(self._loop)
        with mock.patch.object(predict_api, "_adapter", return_value=self._adapter):
            return predict_api.handler(event, SimpleNamespace(aws_request_id="request-of-the-suite"))

    def predict(self, digit: int = 7, token: str = EVENT_TOKEN) -> dict[str, Any]:
        """Have a digit read."""
        return self(events.post(events.image_json(digit), {"authorization": f"Bearer {token}"}))

    def number(self, name: str = "2026") -> dict[str, Any]:
        """Have a number read."""
        return self(events.at(events.post(events.number_file(name), content_type="image/png"), "/v1/read"))

    def numbers(self) -> dict[str, str]:
        """Return what each number of the sample events is read as."""
        found = {}
        for name in sorted(path.stem for path in events.NUMBERS.glob("*.png")):
            answer = self.number(name)
            if answer["statusCode"] == 200:
                found[name] = json.loads(answer["body"])["text"]
        return found


def forks() -> ForkServerContext:
    """Return what forks processes from one that has imported everything: there is one for all of the suite."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.reliability.victims", "tests.reliability.attacks"])
    return context


def nudged(version: Version, by: float = _LAST_BIAS) -> Version:
    """Return a version whose network answers a little differently, and whose goldens say so."""
    manifest, files = version
    model = _with_another_bias(files[MODEL_FILE], by)
    classifier = Classifier(model)
    goldens = [
        golden.model_copy(update={"probabilities": classifier.predict(golden.pixels()[None])[0].tolist()})
        for golden in manifest.goldens
    ]
    record = FileRecord(sha256=sha256(model), size_bytes=len(model))
    update = {
        "version": new_version(model, datetime(2030, 1, 1, tzinfo=UTC)),
        "goldens": goldens,
        "files": {**manifest.files, MODEL_FILE: record},
    }
    return manifest.model_copy(update=update), {**files, MODEL_FILE: model}


def _with_another_bias(model: bytes, by: float) -> bytes:
    """Return a model with another bias in its last layer, which is the only constant of ten floats."""
    interpreter = Interpreter(model_content=model)
    for tensor in interpreter.get_tensor_details():
        if list(tensor["shape"]) == [10] and tensor["dtype"] is np.float32:
            bias: NDArray[np.float32] = interpreter.get_tensor(tensor["index"])
            place = model.find(bias.tobytes())
            if place >= 0:
                other: bytes = (bias + by * np.arange(10, dtype=np.float32)).tobytes()
                return model[:place] + other + model[place + len(other) :]
    raise AssertionError("the model has no bias of ten floats")
