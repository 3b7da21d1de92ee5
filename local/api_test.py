"""The API test: posts sample requests to a URL, takes the answers apart and judges them."""

from __future__ import annotations

import base64
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from digits import verdicts
from digits.errors import DigitsError, ImageError
from digits.pictures.images import SUFFIXES
from digits.reading import Picture, prepare

SAMPLES = Path(__file__).parents[1] / "events/digits"
SAMPLE = SAMPLES / "7.png"
TIMEOUT_SECONDS = 35.0  # an HTTP API gives up after 30
_ORIGIN = "https://example.com"
_SHADES = " .:-=+*#%@"


class ApiTestError(DigitsError):
    """The API did not answer as it should."""


class RefusedError(ApiTestError):
    """The API refused the picture; the message is its verdict in words."""


@dataclass(frozen=True)
class Answer:
    """What came back, judged, and how long it took."""

    pred: int
    conf: float
    accepted: bool
    version: str
    accuracy: float
    request_id: str
    milliseconds: float


def post(url: str, token: str, image: Path, client: httpx.Client) -> Answer:
    """Post an image in the published envelope and return the answer.

    Raises:
        RefusedError: the picture shows no single digit.
        ApiTestError: no answer, an error, an answer without what it must hold, or no CORS headers.
    """
    envelope = {"token": token, "params": {"image": base64.b64encode(read_image(image)).decode()}}
    started = time.perf_counter()
    try:
        response = client.post(f"{url.rstrip('/')}/v1/predict", json=envelope, headers={"origin": _ORIGIN})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiTestError(f"no answer from {url}: {error}") from error
    milliseconds = (time.perf_counter() - started) * 1000
    try:
        document = response.json()
    except ValueError as error:
        raise ApiTestError(f"{url} answered {response.status_code} without a JSON document") from error
    if response.status_code != httpx.codes.OK:
        if words := _verdict(document):
            raise RefusedError(words)
        detail = document.get("detail", document) if isinstance(document, dict) else document
        raise ApiTestError(f"{url} answered {response.status_code}: {detail}")
    if response.headers.get("access-control-allow-origin") not in ("*", _ORIGIN):
        raise ApiTestError(f"the answer lets no page of {_ORIGIN} read it: the CORS header is missing")
    return _answer(document, milliseconds)


def _verdict(problem: Any) -> str | None:
    """Return a problem's verdict in words; None where it has none that is known."""
    if not isinstance(problem, dict) or not isinstance(problem.get("verdict"), str):
        return None
    boxes = problem.get("boxes")
    return verdicts.in_words(problem["verdict"], len(boxes) if isinstance(boxes, list) else 0)


def _answer(document: Any, milliseconds: float) -> Answer:
    try:
        return Answer(
            int(document["pred"]),
            float(document["conf"]),
            bool(document["accepted"]),
            str(document["model"]["version"]),
            float(document["model"]["accuracy"]),
            str(document["request_id"]),
            milliseconds,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ApiTestError(
            "the answer does not hold pred, conf, accepted, model and request_id as it should"
        ) from error


def run(url: str, token: str, image: Path, verify: ssl.SSLContext | bool = True) -> None:
    """Post an image, or all of a folder, print what came back, and check the digits that file names tell.

    Args:
        verify: how the server's certificate is judged; False trusts any.

    Raises:
        ApiTestError: see `post`; or a digit is wrong.
    """
    with httpx.Client(timeout=TIMEOUT_SECONDS, verify=verify) as client:
        if image.is_dir():
            _run_folder(url, token, image, client)
            return
        try:
            answer = post(url, token, image, client)
        except RefusedError as error:
            raise ApiTestError(f"{image}: {error}") from error
    print(report(answer, image))
    expected = expected_digit(image)
    if expected is not None and answer.pred != expected:
        raise ApiTestError(f"{image} is a {expected}, the answer is {answer.pred}")


def trust(insecure: bool, authority: Path | None) -> ssl.SSLContext | bool:
    """Return how certificates are judged.

    Args:
        authority: file with the certificate of an authority of one's own.

    Raises:
        ApiTestError: the file is no certificate.
    """
    if authority is None:
        return not insecure
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise ApiTestError(f"{authority} cannot be used as a certificate: {error}") from error


def _run_folder(url: str, token: str, folder: Path, client: httpx.Client) -> None:
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not images:
        raise ApiTestError(f"{folder} holds no image")
    wrong = failed = 0
    print(f"{'image':24}  pred    conf       ms")
    for image in images:
        try:
            answer = post(url, token, image, client)
        except ApiTestError as error:
            failed += 1
            print(f"{image.name:24}  {error}")
            continue
        expected = expected_digit(image)
        missed = expected not in (None, answer.pred)
        wrong += missed
        marks = f"{_doubt(answer)}  is a {expected}" if missed else _doubt(answer)
        print(f"{image.name:24}  {answer.pred:4}  {answer.conf:6.4f}  {answer.milliseconds:7.1f}{marks}")
    if wrong or failed:
        raise ApiTestError(f"of {len(images)} images {wrong} were read wrongly and {failed} were not answered")


def report(answer: Answer, image: Path) -> str:
    """Return the answer as a few lines for a person, the digit drawn in characters."""
    return "\n".join(
        [
            text_art(image),
            f"pred        {answer.pred}",
            f"conf        {answer.conf:.4f}{_doubt(answer)}",
            f"model       {answer.version} ({answer.accuracy:.2%} on its test digits)",
            f"request id  {answer.request_id}",
            f"took        {answer.milliseconds:.1f} ms",
        ]
    )


def _doubt(answer: Answer) -> str:
    return "" if answer.accepted else f"  ({verdicts.NOT_SURE})"


def text_art(image: Path) -> str:
    """Return what the network sees of an image, 14 lines of at most 28 characters."""
    rows = _canonical(image).reshape(14, 2, 28).mean(axis=1)
    shades = np.minimum((rows / 256 * len(_SHADES)).astype(int), len(_SHADES) - 1)
    return "\n".join("".join(_SHADES[shade] for shade in row).rstrip() for row in shades)


def tensor_request(image: Path) -> dict[str, Any]:
    """Return a request of the Open Inference Protocol for an image, brought into canonical form."""
    pixels = _canonical(image)
    return {
        "inputs": [
            {"name": "pixels", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": pixels.ravel().tolist()}
        ]
    }


def expected_digit(image: Path) -> int | None:
    """Return the digit that a file is named after, as in `7.png` or `7-photo.jpg`, or None."""
    name = image.stem.partition("-")[0]
    return int(name) if len(name) == 1 and name in "0123456789" else None


def curl_line(url: str, token: str, image: Path, options: str = "") -> str:
    """Return a command that posts the image."""
    return (
        f"curl -s{options} {url}/v1/predict -H 'Authorization: Bearer {token}' "
        f"-H 'Content-Type: image/png' --data-binary @{os.path.relpath(image)}"
    )


def _canonical(image: Path) -> NDArray[np.uint8]:
    try:
        return prepare(Picture.of_file(read_image(image))).pixels
    except ImageError as error:
        raise ApiTestError(f"{image}: {error}") from error


def read_image(image: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ApiTestError: it cannot be read.
    """
    try:
        return image.read_bytes()
    except OSError as error:
        raise ApiTestError(f"{image} cannot be read: {error.strerror}") from error
