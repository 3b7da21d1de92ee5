"""What the API can be told from outside, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from digits.errors import ConfigurationError
from digits.model.identity import is_version


@dataclass(frozen=True)
class Settings:
    """The API's settings.

    Attributes:
        bucket: holds models and tokens; empty is reported with the first answer that needs it.
        endpoint: URL of an S3-compatible store; None is AWS.
        allowed_origins: web origins whose pages may call the API; `*` is all.
        model_ttl_seconds: how long a warm container goes on without asking for news.
        base_path: path that a custom domain maps to an HTTP API, like `/digits`; a stage is found by itself.
        model_version: serve this version, whatever is promoted; None serves what is.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    allowed_origins: tuple[str, ...] = ("*",)
    model_ttl_seconds: float = 60.0
    base_path: str = ""
    model_version: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: a value makes no sense.
        """
        ttl = environment.get("DIGITS_MODEL_TTL_SECONDS", "60")
        if not re.fullmatch(r"\d+(\.\d+)?", ttl):
            raise ConfigurationError(f"DIGITS_MODEL_TTL_SECONDS must be a number of seconds, not {ttl!r}")
        model_version = environment.get("DIGITS_MODEL_VERSION") or None
        if model_version and not is_version(model_version):
            raise ConfigurationError(f"DIGITS_MODEL_VERSION is {model_version!r}, which is no name of a version")
        base_path = environment.get("DIGITS_BASE_PATH", "").strip("/")
        origins = environment.get("DIGITS_ALLOWED_ORIGINS", "*").split(",")
        return cls(
            bucket=environment.get("DIGITS_BUCKET", ""),
            region=environment.get("AWS_REGION") or "us-east-1",
            endpoint=environment.get("AWS_ENDPOINT_URL_S3") or None,
            allowed_origins=tuple(origin.strip() for origin in origins if origin.strip()),
            model_ttl_seconds=float(ttl),
            model_version=model_version,
            base_path=f"/{base_path}" if base_path else "",
        )
