"""Where the object store is: its address, found in the environment in the same way by readers and writers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from digits.errors import ConfigurationError

# As the AWS SDKs name them; the first one that is set and not empty counts.
VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
# Of a host's name, as both clients take it: no underscore.
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
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
    if endpoint and not _is_address(endpoint):
        raise ConfigurationError(
            f"{' or '.join(VARIABLES)} is {endpoint!r}, which is no http or https address without a path"
        )


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
        if "[" in parts.netloc:
            ip_address(host)
        elif not re.fullmatch(rf"({_LABEL}\.)*{_LABEL}", host):
            return False
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment) and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and parts.path in ("", "/") and plain and port != 0
