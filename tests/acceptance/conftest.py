"""The service that is tested: a deployed stack, one that is running somewhere, or `make serve`."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from digits.registry import tokens
from digits.registry.bucket import Bucket
from local.deploy import TEST_TOKENS, stack_output
from tests.commands import clean_environment, found, served

# How long containers go on with the tokens that they have, and when the wait for one is given up.
_TOKENS_ARE_ASKED_FOR_SECONDS, _UNTIL_A_TOKEN_IS_KNOWN_SECONDS = 60, 120
_NOT_KNOWN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        takes_bytes: whether bodies that are no text get through; SAM's local gateway spoils them.
    """

    url: str
    token: str
    takes_bytes: bool = True


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The stack AWS_SAM_STACK_NAME, or what runs at DIGITS_URL and knows DIGITS_TOKEN, or `make serve`."""
    if stack := os.environ.get("AWS_SAM_STACK_NAME"):
        yield from _deployed(stack)
    elif url := os.environ.get("DIGITS_URL"):
        yield Service(url, os.environ["DIGITS_TOKEN"], os.environ.get("DIGITS_TEXT_ALONE") != "1")
    else:
        trained: Path = request.getfixturevalue("trained")
        command = [sys.executable, "-m", "local", "serve"]
        with served(command, trained.parents[1], clean_environment()) as shown:
            yield Service(found(r"^URL +(\S+)$", shown), found(r"^token +(\S+)$", shown))


def _deployed(stack: str) -> Iterator[Service]:
    """Issue a token for the tests, wait until it is known, and revoke it in the end."""
    url, bucket = stack_output(stack, "ApiUrl"), Bucket(stack_output(stack, "BucketName"))
    name = f"{TEST_TOKENS}{secrets.token_hex(4)}"
    is_in_use = bool(tokens.names(bucket))
    token = tokens.issue(bucket, name)
    try:
        end = time.monotonic() + _UNTIL_A_TOKEN_IS_KNOWN_SECONDS
        while _status(url, token) in _NOT_KNOWN and time.monotonic() < end:
            time.sleep(2)
        if is_in_use:  # other containers may be warm that have not asked since
            time.sleep(_TOKENS_ARE_ASKED_FOR_SECONDS)
        yield Service(url, token)
    finally:
        tokens.revoke(bucket, name)


def _status(url: str, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{url}/v1/predict", json={}, headers=headers, timeout=30).status_code


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of the service, without a token."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client
