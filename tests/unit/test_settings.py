"""Reading the API's settings."""

from __future__ import annotations

import pytest

from digits.errors import ConfigurationError
from functions.predict_api.settings import Settings
from functions.retrain.settings import Settings as RetrainSettings


def test_everything_has_a_default_but_the_bucket() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings(bucket="")


def test_values_are_taken_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "DIGITS_BUCKET": "b",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_S3": "http://store",
            "DIGITS_ALLOWED_ORIGINS": "https://a.example, https://b.example,",
            "DIGITS_MODEL_TTL_SECONDS": "1.5",
            "DIGITS_BASE_PATH": "digits/",
            "POWERTOOLS_METRICS_NAMESPACE": "LambdaDigits/stack",
        }
    )
    assert settings == Settings(
        "b",
        "eu-central-1",
        "http://store",
        ("https://a.example", "https://b.example"),
        1.5,
        "/digits",
        metrics_namespace="LambdaDigits/stack",
    )


def test_an_empty_endpoint_is_aws() -> None:
    assert Settings.from_environment({"AWS_ENDPOINT_URL_S3": ""}).endpoint is None


@pytest.mark.parametrize("value", ["", "soon", "nan", "-1", "inf", "1e9"])
def test_a_ttl_that_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGITS_MODEL_TTL_SECONDS"):
        Settings.from_environment({"DIGITS_MODEL_TTL_SECONDS": value})


@pytest.mark.parametrize("value", ["", "soon", "inf"])
def test_a_token_age_that_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGITS_TOKEN_AGE_SECONDS"):
        Settings.from_environment({"DIGITS_TOKEN_AGE_SECONDS": value})


def test_tokens_are_valid_for_longer_than_they_go_unchecked() -> None:
    assert Settings.from_environment({"DIGITS_TOKEN_AGE_SECONDS": "61"}).token_age_seconds == 61
    with pytest.raises(ConfigurationError, match="must be more than DIGITS_MODEL_TTL_SECONDS"):
        Settings.from_environment({"DIGITS_TOKEN_AGE_SECONDS": "60"})


def test_a_pinned_version_must_be_the_name_of_one() -> None:
    name = "20261122T051500Z-3f9a1c2b"
    assert Settings.from_environment({"DIGITS_MODEL_VERSION": name}).model_version == name
    assert Settings.from_environment({"DIGITS_MODEL_VERSION": ""}).model_version is None
    with pytest.raises(ConfigurationError, match="DIGITS_MODEL_VERSION is 'latest'"):
        Settings.from_environment({"DIGITS_MODEL_VERSION": "latest"})


def test_the_retraining_tells_nobody_where_no_topic_is_named() -> None:
    named = {"DIGITS_BUCKET": "b", "DIGITS_RETRAIN_RECIPE": "best", "DIGITS_RETRAIN_TOPIC": "arn:aws:sns:x:1:y"}
    assert RetrainSettings.from_environment(named) == RetrainSettings("b", "best", "arn:aws:sns:x:1:y")
    assert RetrainSettings.from_environment({**named, "DIGITS_RETRAIN_TOPIC": ""}).topic is None
    assert RetrainSettings.from_environment({}).recipe == "default"
