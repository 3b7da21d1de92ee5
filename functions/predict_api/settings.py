"""What the API can be told from outside, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from digits.errors import ConfigurationError
from digits.model.identity import is_version
from digits.registry.endpoint import endpoint_of
from functions.predict_api.cors import read_origins

LEAST_TOKEN_AGE_SECONDS = 10.0


@dataclass(frozen=True)
class Settings:
    """The API's settings.

    Attributes:
        bucket: holds models and tokens; empty is reported with the first answer that needs it.
        endpoint: URL of an S3-compatible store; None is AWS.
        allowed_origins: web origins whose pages may call the API, as `cors.read_origins` returns them.
        model_ttl_seconds: how long a warm container goes on without asking for news.
        base_path: path that a custom domain maps to an HTTP API, like `/digits`; a stage is found by itself.
        model_version: serve this version, whatever is promoted; None serves what is.
        token_age_seconds: how long tokens are valid after the store last confirmed them; then nobody is let in.
        metrics_namespace: where CloudWatch puts the metrics of the log; empty has it take none.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    allowed_origins: tuple[str, ...] = ("*",)
    model_ttl_seconds: float = 60.0
    base_path: str = ""
    model_version: str | None = None
    token_age_seconds: float = 900.0
    metrics_namespace: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: a value makes no sense.
        """
        ttl_seconds = _seconds(environment, "DIGITS_MODEL_TTL_SECONDS", cls.model_ttl_seconds)
        token_age_seconds = _seconds(environment, "DIGITS_TOKEN_AGE_SECONDS", cls.token_age_seconds)
        if token_age_seconds <= max(ttl_seconds, LEAST_TOKEN_AGE_SECONDS):
            raise ConfigurationError(
                "DIGITS_TOKEN_AGE_SECONDS must be more than DIGITS_MODEL_TTL_SECONDS, and than "
                f"{LEAST_TOKEN_AGE_SECONDS:.0f}: a slow store takes some seconds to confirm tokens"
            )
        model_version = environment.get("DIGITS_MODEL_VERSION") or None
        if model_version and not is_version(model_version):
            raise ConfigurationError(f"DIGITS_MODEL_VERSION is {model_version!r}, which is no name of a version")
        base_path = environment.get("DIGITS_BASE_PATH", "").strip("/")
        return cls(
            bucket=environment.get("DIGITS_BUCKET", ""),
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
            endpoint=endpoint_of(environment),
            allowed_origins=allowed_origins(environment),
            model_ttl_seconds=ttl_seconds,
            token_age_seconds=token_age_seconds,
            model_version=model_version,
            base_path=f"/{base_path}" if base_path else "",
            metrics_namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE", ""),
        )


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, str(default))
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ConfigurationError(f"{name} must be a number of seconds, not {text!r}")
    return float(text)


def allowed_origins(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the origins whose pages may call the API, whatever else is wrong with the settings.

    Raises:
        ConfigurationError: one of them is no origin.
    """
    return read_origins(environment.get("DIGITS_ALLOWED_ORIGINS", "*"))
