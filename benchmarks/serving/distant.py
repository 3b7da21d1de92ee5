"""A store as far away as S3: it answers each request 25 ms after it came, and notes when.

It is read-only, and holds in memory what a function reads to predict. The distance is an assumption. Connecting takes
no time, and the size of an object makes no difference.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, folder_key
from digits.registry.pointer import Pointer
from digits.registry.store import StoredObject
from local.server import HOST

SECONDS = 0.025
_ABSENT = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


@dataclass
class Request:
    """When a request came and when its answer was sent, in seconds of one clock; infinity while it was not."""

    began: float
    ended: float = math.inf


class DistantStore(ThreadingHTTPServer):
    """A store that has begun to listen; see `distant_store`."""

    request_queue_size = 64

    def __init__(self, bucket: str, objects: dict[str, StoredObject]) -> None:
        """Hold a bucket's objects, by key."""
        super().__init__((HOST, 0), _Handler)
        self._objects = {f"/{bucket}/{key}": stored for key, stored in objects.items()}
        self._requests: list[Request] = []

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://{HOST}:{self.server_port}"

    def forget(self) -> None:
        """Forget all requests."""
        self._requests = []

    def requests(self) -> list[Request]:
        """Return the requests that came since they were forgotten, as they are now."""
        return [replace(each) for each in self._requests]

    def note(self) -> Request:
        """Note that a request came."""
        request = Request(time.perf_counter())
        self._requests.append(request)
        return request

    def find(self, path: str) -> StoredObject | None:
        """Return the object at `/bucket/key`, if there is one."""
        return self._objects.get(path)

    def handle_error(self, *_: object) -> None:
        """Say nothing: a function that is ended leaves its connections as they are."""


class _Handler(BaseHTTPRequestHandler):
    """Reads as S3 answers them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # with it a body would wait until its header's arrival is confirmed

    def do_GET(self) -> None:
        """Answer with the object, with 304 if its caller has it, or with 404."""
        store = self.server
        assert isinstance(store, DistantStore)
        request, stored = store.note(), store.find(self.path.partition("?")[0])
        time.sleep(SECONDS)
        # Before the answer, as its reader may send the next request before this thread goes on.
        request.ended = time.perf_counter()
        if stored is None:
            self._answer(HTTPStatus.NOT_FOUND, {"content-type": "application/xml"}, _ABSENT)
        elif self.headers.get("if-none-match") == stored.etag:
            self._answer(HTTPStatus.NOT_MODIFIED, {"etag": stored.etag})
        else:
            self._answer(HTTPStatus.OK, {"etag": stored.etag}, stored.data)

    def _answer(self, status: HTTPStatus, headers: dict[str, str], body: bytes | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def distant_store(bucket: Bucket) -> Iterator[DistantStore]:
    """Run a distant store with the live version of a bucket, and its tokens."""
    with DistantStore(bucket.name, live_objects(bucket)) as store:
        threading.Thread(target=store.serve_forever, name="distant store", daemon=True).start()
        try:
            yield store
        finally:
            store.shutdown()


def live_objects(bucket: Bucket) -> dict[str, StoredObject]:
    """Return all that a function may read to predict, by key: pointer, tokens, and the version's own objects."""
    version = Pointer.from_json(bucket.get(POINTER_KEY).data).version
    return {key: bucket.get(key) for key in (POINTER_KEY, TOKENS_KEY, *bucket.keys(folder_key(version)))}


def in_a_row(requests: Iterable[Request]) -> int:
    """Return how many requests the longest chain has in which each began after the one before it had ended.

    What had no answer yet is in no chain: nobody waited for it.
    """
    count, free = 0, -math.inf
    for each in sorted(requests, key=lambda request: request.ended):
        if free <= each.began and each.ended < math.inf:  # the one that ends first leaves most room for others
            count, free = count + 1, each.ended
    return count
