"""A client of the API that judges what comes back: a picture is posted, the answer taken apart."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from digits import verdicts
from digits.errors import DigitsError

NUMBER_SAMPLE = Path(__file__).parents[1] / "events/numbers/2026.png"
PREDICT, READ = "/v1/predict", "/v1/read"
_ORIGIN = "https://example.com"
_NO_READER = "urn:lambda-digits:no-reader"


class ApiTestError(DigitsError):
    """The API did not answer as it should."""


class RefusedError(ApiTestError):
    """The API refused the picture; the message is its verdict in words."""


class SeveralDigitsError(RefusedError):
    """The API was asked to read one digit, and saw several."""


class NoNumbersError(ApiTestError):
    """The API reads single digits only."""


@dataclass(frozen=True)
class Answer:
    """What came back, judged, and how long it took.

    Attributes:
        text: the digit, or the rows of a number, a line each.
        is_number: whether it was read as a number.
    """

    text: str
    conf: float
    accepted: bool
    version: str
    accuracy: float
    request_id: str
    milliseconds: float
    is_number: bool


def post(url: str, token: str, image: Path, client: httpx.Client, path: str = PREDICT) -> Answer:
    """Post an image in the published envelope and return the answer.

    Args:
        path: to read a digit, or a number.

    Raises:
        RefusedError: the picture shows no single digit, or no number.
        NoNumbersError: numbers are not read, as the live model has no reader, or the service is of an earlier release.
        ApiTestError: no answer, an error, an answer without what it must hold, or no CORS headers.
    """
    envelope = {"token": token, "params": {"image": base64.b64encode(read_image(image)).decode()}}
    started = time.perf_counter()
    try:
        response = client.post(f"{url.rstrip('/')}{path}", json=envelope, headers={"origin": _ORIGIN})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiTestError(f"no answer from {url}: {error}") from error
    milliseconds = (time.perf_counter() - started) * 1000
    try:
        document = response.json()
    except ValueError as error:
        raise ApiTestError(f"{url} answered {response.status_code} without a JSON document") from error
    if response.status_code != httpx.codes.OK:
        raise _refusal(url, path, response.status_code, document)
    if response.headers.get("access-control-allow-origin") not in ("*", _ORIGIN):
        raise ApiTestError(f"the answer lets no page of {_ORIGIN} read it: the CORS header is missing")
    return _answer(document, milliseconds, is_number=path == READ)


def _refusal(url: str, path: str, status: int, document: Any) -> ApiTestError:
    """Return the error for a problem document, or for what else came with a status that is not 200."""
    problem = document if isinstance(document, dict) else {}
    if words := _verdict(problem):
        return SeveralDigitsError(words) if problem["verdict"] == "several_digits" else RefusedError(words)
    message = f"{url} answered {status}: {problem.get('detail', document)}"
    if path == READ and (problem.get("type") == _NO_READER or status == httpx.codes.NOT_FOUND):
        return NoNumbersError(message)
    return ApiTestError(message)


def _verdict(problem: dict[str, Any]) -> str | None:
    """Return a problem's verdict in words; None where it has none that is known."""
    if not isinstance(problem.get("verdict"), str):
        return None
    boxes = problem.get("boxes")
    return verdicts.in_words(problem["verdict"], len(boxes) if isinstance(boxes, list) else 0)


def _answer(document: Any, milliseconds: float, *, is_number: bool) -> Answer:
    told = "text" if is_number else "pred"
    try:
        return Answer(
            str(document["text"]) if is_number else str(int(document["pred"])),
            float(document["conf"]),
            bool(document["accepted"]),
            str(document["model"]["version"]),
            float(document["model"]["accuracy"]),
            str(document["request_id"]),
            milliseconds,
            is_number,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ApiTestError(
            f"the answer does not hold {told}, conf, accepted, model and request_id as it should"
        ) from error


def ask(url: str, token: str, image: Path, client: httpx.Client) -> Answer:
    """Post an image as a digit, and where it shows several, as a number; the sample number is posted as one at once.

    Raises:
        ApiTestError: see `post`.
    """
    if image.resolve() == NUMBER_SAMPLE:
        return post(url, token, image, client, READ)
    try:
        return post(url, token, image, client)
    except SeveralDigitsError as several:
        try:
            return post(url, token, image, client, READ)
        except NoNumbersError:
            raise several from None


def read_image(image: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ApiTestError: it cannot be read.
    """
    try:
        return image.read_bytes()
    except OSError as error:
        raise ApiTestError(f"{image} cannot be read: {error.strerror}") from error
