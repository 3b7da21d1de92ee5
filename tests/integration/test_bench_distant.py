"""The serving benchmark's distant store, as a function's reader finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from benchmarks.serving import events
from benchmarks.serving.distant import SECONDS, DistantStore, distant_store, in_a_row
from digits.errors import ObjectNotFoundError
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, TOKENS_KEY
from digits.registry.store import S3Reader
from local.server import HOST
from tests.conftest import Handler


@pytest.fixture
def distant(published: Bucket) -> Iterator[DistantStore]:
    """A distant store with the trained model and the events' token."""
    with distant_store(published) as store:
        yield store


def test_a_reader_gets_what_is_in_the_bucket_and_what_is_not(distant: DistantStore, published: Bucket) -> None:
    reader = S3Reader(published.name, "us-east-1", distant.address, {})
    for key in published.keys("models/"):
        assert reader.get(key) == published.get(key)
    stored = published.get(TOKENS_KEY)
    assert reader.get(TOKENS_KEY, stored.etag) is None
    assert reader.get(TOKENS_KEY, '"of an earlier state"') == stored
    with pytest.raises(ObjectNotFoundError):
        reader.get("models/missing")


def test_answers_are_those_of_s3(distant: DistantStore, published: Bucket) -> None:
    stored = published.get(POINTER_KEY)
    connection, answers = HTTPConnection(HOST, distant.server_port), []
    for key, headers in ((POINTER_KEY, {}), (POINTER_KEY, {"If-None-Match": stored.etag}), ("missing", {})):
        connection.request("GET", f"/{published.name}/{key}", headers=headers)
        answer = connection.getresponse()
        answers.append((answer.status, answer.getheader("etag"), answer.read()))
    connection.close()
    assert answers[:2] == [(200, stored.etag, stored.data), (304, stored.etag, b"")]
    assert answers[2][:2] == (404, None)
    assert b"<Code>NoSuchKey</Code>" in answers[2][2]


def test_requests_take_their_time_and_are_noted(distant: DistantStore, published: Bucket) -> None:
    reader = S3Reader(published.name, "us-east-1", distant.address, {})
    for _ in range(3):
        reader.get(POINTER_KEY)
    noted = distant.requests()
    assert all(each.ended - each.began >= SECONDS for each in noted)
    assert (len(noted), in_a_row(noted)) == (3, 3)  # one after the other
    distant.forget()
    assert not distant.requests()


def test_a_function_starts_with_it(
    distant: DistantStore, cold_handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", distant.address)
    answer = cold_handler(events.sample())
    assert (answer["statusCode"], json.loads(answer["body"])["pred"]) == (200, 7)
    noted = distant.requests()
    assert 2 <= in_a_row(noted) <= len(noted)
