"""Tokens as the store holds them."""

from __future__ import annotations

import pytest

from digits.model.manifest import Manifest
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api.auth import Gate
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler
from tests.problems import assert_problem


def test_with_an_empty_token_file_nobody_is_let_in(handler: Handler, published: Bucket) -> None:
    tokens.revoke(published, "events")
    assert_problem(handler(events.load("http_v2_predict_json")), 401)


def test_before_the_first_token_the_service_refuses(
    bucket: Bucket, version: tuple[Manifest, dict[str, bytes]], cold_handler: Handler
) -> None:
    manifest, files = version
    Registry(bucket).publish(manifest, files)
    Registry(bucket).promote(manifest.version)
    response = cold_handler(events.load("http_v2_predict_json"))
    assert_problem(response, 503, "no token has been issued")
    assert response["headers"]["retry-after"]


def test_revoking_a_token_ends_it_within_the_ttl(published: Bucket, reader: S3Reader) -> None:
    tokens.add(published, "second", "second-token")
    gate = Gate(reader, ttl_seconds=0)
    assert gate.authenticate("second-token") == "second"
    tokens.revoke(published, "second")
    with pytest.raises(Exception, match="not valid"):
        gate.authenticate("second-token")
    assert gate.authenticate(EVENT_TOKEN) == "events"
