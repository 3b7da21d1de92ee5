"""Tokens as the store holds them."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

from digits.errors import StoreError
from digits.model.manifest import Manifest
from digits.moments import now
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api import handler as predict_api
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
    gate = Gate(reader, ttl_seconds=0, greatest_age_seconds=900)
    assert gate.authenticate("second-token") == "second"
    tokens.revoke(published, "second")
    with pytest.raises(Exception, match="not valid"):
        gate.authenticate("second-token")
    assert gate.authenticate(EVENT_TOKEN) == "events"


def freeze(handler_module: ModuleType, seconds: float) -> None:
    """Let only the wall clock have gone on, as it does while Lambda freezes a container."""
    container = handler_module._application().state.container
    for cached in (container.model, container.gate.tokens):
        cached._clock = lambda: replace(now(), wall=now().wall + seconds)


def test_a_revoked_token_is_out_with_the_first_request_after_a_freeze(handler: Handler, published: Bucket) -> None:
    assert handler(events.load("http_v2_predict_json"))["statusCode"] == 200
    tokens.revoke(published, "events")
    freeze(predict_api, 3600)
    assert_problem(handler(events.load("http_v2_predict_json")), 401)


@pytest.mark.parametrize(("slept", "status"), [(899, 200), (901, 503)])
def test_tokens_older_than_their_greatest_age_let_nobody_in_while_the_store_is_away(
    handler: Handler, slept: float, status: int
) -> None:
    def away(key: str, etag: str | None = None) -> None:
        raise StoreError(f"{key} is out of reach {etag}")

    assert handler(events.load("http_v2_predict_json"))["statusCode"] == 200
    container = predict_api._application().state.container
    container.model._reader = container.gate.tokens._reader = SimpleNamespace(get=away, begin=lambda *_: None)
    freeze(predict_api, slept)
    response = handler(events.load("http_v2_predict_json"))
    assert response["statusCode"] == status
    if status == 503:
        assert response["headers"]["retry-after"]
    assert handler(events.load("http_v2_model"))["statusCode"] == 200  # models have no greatest age
