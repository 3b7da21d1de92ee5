"""The API test: posts a sample request to a URL, takes the answer apart and judges it."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from digits.canonical import canonicalize
from digits.errors import DigitsError
from digits.images import decode

SAMPLES = Path(__file__).parents[1] / "events/digits"
SAMPLE = SAMPLES / "7.png"
TIMEOUT_SECONDS = 35.0  # an HTTP API gives up after 30
_ORIGIN = "https://example.com"
_SHADES = " .:-=+*#%@"


class ApiTestError(DigitsError):
    """The API did not answer as it should."""


@dataclass(frozen=True)
class Answer:
    """The document that came back, and how long it took."""

    document: dict[str, Any]
    milliseconds: float


def post(url: str, token: str, image: Path, verify: bool = True) -> Answer:
    """Post an image in the published envelope and return the answer.

    Args:
        verify: whether the server's certificate must be trusted.

    Raises:
        ApiTestError: no answer, an error, an answer without what it must hold, or no CORS headers.
    """
    envelope = {"token": token, "params": {"image": base64.b64encode(read_image(image)).decode()}}
    started = time.perf_counter()
    try:
        response = httpx.post(
            f"{url.rstrip('/')}/v1/predict",
            json=envelope,
            headers={"origin": _ORIGIN},
            timeout=TIMEOUT_SECONDS,
            verify=verify,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiTestError(f"no answer from {url}: {error}") from error
    milliseconds = (time.perf_counter() - started) * 1000
    try:
        document = response.json()
    except ValueError as error:
        raise ApiTestError(f"{url} answered {response.status_code} without a JSON document") from error
    if response.status_code != httpx.codes.OK:
        raise ApiTestError(f"{url} answered {response.status_code}: {document.get('detail', document)}")
    missing = {"pred", "conf", "model", "request_id"} - document.keys()
    if missing:
        raise ApiTestError(f"the answer has no {', '.join(sorted(missing))}")
    if response.headers.get("access-control-allow-origin") not in ("*", _ORIGIN):
        raise ApiTestError(f"the answer lets no page of {_ORIGIN} read it: the CORS header is missing")
    return Answer(document, milliseconds)


def report(answer: Answer, image: Path) -> str:
    """Return the answer as a few lines for a person, the digit drawn in characters."""
    document = answer.document
    return "\n".join(
        [
            text_art(image),
            f"pred        {document['pred']}",
            f"conf        {document['conf']:.4f}",
            f"model       {document['model']['version']} ({document['model']['accuracy']:.2%} on its test digits)",
            f"request id  {document['request_id']}",
            f"took        {answer.milliseconds:.1f} ms",
        ]
    )


def text_art(image: Path) -> str:
    """Return what the network sees of an image, 14 lines of 28 characters."""
    pixels = canonicalize(decode(read_image(image))).pixels
    rows = pixels.reshape(14, 2, 28).mean(axis=1)
    shades = np.minimum((rows / 256 * len(_SHADES)).astype(int), len(_SHADES) - 1)
    return "\n".join("".join(_SHADES[shade] for shade in row).rstrip() for row in shades)


def expected_digit(image: Path) -> int | None:
    """Return the digit that a file is named after, as in `7.png`, or None."""
    return int(image.stem) if image.stem.isdigit() and len(image.stem) == 1 else None


def run(url: str, token: str, image: Path, verify: bool = True) -> None:
    """Post an image, print the answer and check the digit where the file's name tells it.

    Raises:
        ApiTestError: see `post`; or the digit is wrong.
    """
    answer = post(url, token, image, verify)
    print(report(answer, image))
    expected = expected_digit(image)
    if expected is not None and answer.document["pred"] != expected:
        raise ApiTestError(f"{image} is a {expected}, the answer is {answer.document['pred']}")


def curl_line(url: str, token: str, image: Path) -> str:
    """Return a command that posts the image."""
    return (
        f"curl -s {url}/v1/predict -H 'Authorization: Bearer {token}' "
        f"-H 'Content-Type: image/png' --data-binary @{os.path.relpath(image)}"
    )


def read_image(image: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ApiTestError: it cannot be read.
    """
    try:
        return image.read_bytes()
    except OSError as error:
        raise ApiTestError(f"{image} cannot be read: {error.strerror}") from error
