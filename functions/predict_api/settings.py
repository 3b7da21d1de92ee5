"""What the API can be told from outside, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from digits.errors import ConfigurationError


@dataclass(frozen=True)
class Settings:
    """The API's settings.

    Attributes:
        bucket: holds models and tokens; empty is reported with the first answer that needs it.
        endpoint: URL of an S3-compatible store; None is AWS.
        allowed_origins: web origins whose pages may call the API; `*` is all.
        model_ttl_seconds: how long a warm container goes on without asking for news.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    allowed_origins: tuple[str, ...] = ("*",)
    model_ttl_seconds: int = 60

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: a value makes no sense.
        """
        ttl = environment.get("DIGITS_MODEL_TTL_SECONDS", "60")
        if not ttl.isdecimal():
            raise ConfigurationError(f"DIGITS_MODEL_TTL_SECONDS must be a whole number of seconds, not {ttl!r}")
        origins = environment.get("DIGITS_ALLOWED_ORIGINS", "*").split(",")
        return cls(
            bucket=environment.get("DIGITS_BUCKET", ""),
            region=environment.get("AWS_REGION") or "us-east-1",
            endpoint=environment.get("AWS_ENDPOINT_URL_S3") or None,
            allowed_origins=tuple(origin.strip() for origin in origins if origin.strip()),
            model_ttl_seconds=int(ttl),
        )
