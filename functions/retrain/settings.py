"""The settings of the scheduled retraining, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from digits.registry.endpoint import endpoint_of


@dataclass(frozen=True)
class Settings:
    """The retraining's settings.

    Attributes:
        bucket: holds data, models and decisions.
        endpoint: URL of an S3-compatible store; None is AWS.
        recipe: name of the recipe.
        topic: ARN of the SNS topic that the outcome is sent to; None sends nothing.
    """

    bucket: str
    recipe: str = "default"
    topic: str | None = None
    endpoint: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings."""
        return cls(
            bucket=environment.get("DIGITS_BUCKET", ""),
            recipe=environment.get("DIGITS_RETRAIN_RECIPE") or cls.recipe,
            topic=environment.get("DIGITS_RETRAIN_TOPIC") or None,
            endpoint=endpoint_of(environment),
        )
