"""Where the object store is: its address, found in the environment in the same way by readers and writers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from digits.errors import ConfigurationError

# As the AWS SDKs name them; the first one that is set and not empty counts.
VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
IGNORE_VARIABLE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"


def endpoint_of(environment: Mapping[str, str]) -> str | None:
    """Return the address of an S3-compatible store; None is AWS."""
    if environment.get(IGNORE_VARIABLE, "").lower() == "true":
        return None
    return next((address for name in VARIABLES if (address := environment.get(name))), None)


def check_endpoint(endpoint: str | None) -> None:
    """Check that an address means the same to every client: no path, no credentials.

    Raises:
        ConfigurationError: it is not.
    """
    if endpoint and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/?", endpoint):
        raise ConfigurationError(
            f"{' or '.join(VARIABLES)} is {endpoint!r}, which is no http or https address without a path"
        )
