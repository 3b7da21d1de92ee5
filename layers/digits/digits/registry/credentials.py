"""Credentials for the reader if the environment holds no keys.

A Lambda function restored from a snapshot gets no keys in its environment. It gets the address of a local
endpoint and a token for it (AWS SDK reference guide, "Container credential provider").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from obstore.store import S3Credential

TIMEOUT_SECONDS = 2.0


def container_credentials(environment: Mapping[str, str]) -> Callable[[], S3Credential] | None:
    """Return a source of credentials that expire and are fetched again, or None if there is no endpoint or no need."""
    address = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not address or environment.get("AWS_ACCESS_KEY_ID"):
        return None
    authorization = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")

    def fetch() -> S3Credential:
        request = Request(address, headers={"Authorization": authorization})
        with urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer = json.load(response)
        return {
            "access_key_id": answer["AccessKeyId"],
            "secret_access_key": answer["SecretAccessKey"],
            "token": answer["Token"],
            "expires_at": datetime.fromisoformat(answer["Expiration"]),
        }

    return fetch
