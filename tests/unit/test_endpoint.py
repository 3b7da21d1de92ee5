"""Where the object store is: alike for those who read it and those who write it."""

from __future__ import annotations

import pytest

from digits.errors import ConfigurationError
from digits.registry.bucket import Bucket
from digits.registry.endpoint import endpoint_of
from digits.registry.store import S3Reader
from functions.predict_api.settings import Settings
from functions.retrain.settings import Settings as RetrainSettings

HERE, THERE = "http://127.0.0.1:9", "http://127.0.0.1:10"


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL_S3": HERE}, HERE),
        ({"AWS_ENDPOINT_URL": HERE}, HERE),
        ({"AWS_ENDPOINT_URL_S3": HERE, "AWS_ENDPOINT_URL": THERE}, HERE),
        ({"AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": HERE}, HERE),
        ({"AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": ""}, None),
        ({"AWS_ENDPOINT_URL_S3": HERE, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
    ],
)
def test_readers_and_writers_look_for_the_store_in_the_same_place(
    environment: dict[str, str], endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"DIGITS_BUCKET": "digits", "AWS_REGION": "us-east-1", **environment}
    found_by_boto3 = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in {**environment, **found_by_boto3}.items():
        monkeypatch.setenv(name, value)
    assert endpoint_of(environment) == endpoint
    assert Settings.from_environment(environment).endpoint == endpoint
    assert RetrainSettings.from_environment(environment).endpoint == endpoint
    reader = S3Reader("digits", "us-east-1", Settings.from_environment(environment).endpoint, environment)
    writer = Bucket.from_environment(environment)._client.meta.endpoint_url
    assert reader._endpoint == (endpoint or "https://s3.us-east-1.amazonaws.com")
    assert writer == (endpoint or "https://s3.amazonaws.com")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize(
    "endpoint",
    [
        f"{HERE}/s3",
        "http://user:secret@127.0.0.1:9",  # pragma: allowlist secret
        "127.0.0.1:9",
        "ftp://store",
        "http://::::",
        "http://.",
        "http://a_store:9000",
        "http://store:99999",
        "http://store?x",
        "http://[::1",
    ],
)
def test_an_endpoint_that_only_one_of_them_would_take_is_refused_by_both(name: str, endpoint: str) -> None:
    environment = {"DIGITS_BUCKET": "digits", name: endpoint}
    with pytest.raises(ConfigurationError, match="no http or https address"):
        Bucket.from_environment(environment)
    reader = S3Reader("digits", "us-east-1", Settings.from_environment(environment).endpoint, environment)
    with pytest.raises(ConfigurationError, match="no http or https address"):
        reader.get("key")
