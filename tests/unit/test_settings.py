"""Reading the API's settings."""

from __future__ import annotations

import pytest

from digits.errors import ConfigurationError
from functions.predict_api.settings import Settings


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
        }
    )
    assert settings == Settings(
        "b", "eu-central-1", "http://store", ("https://a.example", "https://b.example"), 1.5, "/digits"
    )


def test_an_empty_endpoint_is_aws() -> None:
    assert Settings.from_environment({"AWS_ENDPOINT_URL_S3": ""}).endpoint is None


@pytest.mark.parametrize("value", ["", "soon", "nan", "-1", "inf", "1e9"])
def test_a_ttl_that_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGITS_MODEL_TTL_SECONDS"):
        Settings.from_environment({"DIGITS_MODEL_TTL_SECONDS": value})
