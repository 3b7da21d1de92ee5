"""The API test: posts sample requests to a URL, shows the answers and judges them."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import httpx

from digits import verdicts
from digits.errors import ImageError
from digits.pictures.images import SUFFIXES
from digits.reading import Picture, prepare
from local.api_client import NUMBER_SAMPLE, Answer, ApiTestError, NoNumbersError, RefusedError, ask, read_image
from local.text_art import draw_digit, draw_rows

SAMPLES = Path(__file__).parents[1] / "events/digits"
SAMPLE = SAMPLES / "7.png"
TIMEOUT_SECONDS = 35.0  # an HTTP API gives up after 30


def run(url: str, token: str, image: Path | None = None, verify: ssl.SSLContext | bool = True) -> None:
    """Post an image, or all of a folder, print what came back, and check the digits that file names tell.

    Args:
        image: None posts a sample digit, and a sample number if the service reads numbers.
        verify: how the server's certificate is judged; False trusts any.

    Raises:
        ApiTestError: see `post`; or a digit is wrong.
    """
    with httpx.Client(timeout=TIMEOUT_SECONDS, verify=verify) as client:
        if image is not None and image.is_dir():
            _run_folder(url, token, image, client)
        elif image is not None:
            _run_file(url, token, image, client)
        else:
            _run_file(url, token, SAMPLE, client)
            try:
                _run_file(url, token, NUMBER_SAMPLE, client)
            except NoNumbersError as error:
                print(f"numbers are not read: {error}")


def _run_file(url: str, token: str, image: Path, client: httpx.Client) -> None:
    try:
        answer = ask(url, token, image, client)
    except RefusedError as error:
        raise ApiTestError(f"{image}: {error}") from error
    print(report(answer, image))
    expected = expected_text(image)
    if expected not in (None, answer.text):
        raise ApiTestError(f"{image} is a {expected}, the answer is {answer.text}")


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
            answer = ask(url, token, image, client)
        except ApiTestError as error:
            failed += 1
            print(f"{image.name:24}  {error}")
            continue
        expected = expected_text(image)
        missed = expected not in (None, answer.text)
        wrong += missed
        marks = f"{_doubt(answer)}  is a {expected}" if missed else _doubt(answer)
        text = answer.text.replace("\n", " ")
        print(f"{image.name:24}  {text:>4}  {answer.conf:6.4f}  {answer.milliseconds:7.1f}{marks}")
    if wrong or failed:
        raise ApiTestError(f"of {len(images)} images {wrong} were read wrongly and {failed} were not answered")


def report(answer: Answer, image: Path) -> str:
    """Return the answer as a few lines for a person, the digit or the rows drawn in characters."""
    label = "text" if answer.is_number else "pred"
    return "\n".join(
        [
            _drawing(answer, image),
            f"{label}        " + answer.text.replace("\n", "\n" + " " * 12),
            f"conf        {answer.conf:.4f}{_doubt(answer)}",
            f"model       {answer.version} ({answer.accuracy:.2%} on its test digits)",
            f"request id  {answer.request_id}",
            f"took        {answer.milliseconds:.1f} ms",
        ]
    )


def _drawing(answer: Answer, image: Path) -> str:
    draw = draw_rows if answer.is_number else draw_digit
    try:
        return draw(Picture.of_file(read_image(image)))
    except ImageError as error:
        raise ApiTestError(f"{image}: {error}") from error


def _doubt(answer: Answer) -> str:
    return "" if answer.accepted else f"  ({verdicts.NOT_SURE})"


def tensor_request(image: Path) -> dict[str, Any]:
    """Return a request of the Open Inference Protocol for an image, brought into canonical form."""
    try:
        pixels = prepare(Picture.of_file(read_image(image))).pixels
    except ImageError as error:
        raise ApiTestError(f"{image}: {error}") from error
    return {
        "inputs": [
            {"name": "pixels", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": pixels.ravel().tolist()}
        ]
    }


def expected_text(image: Path) -> str | None:
    """Return the digit that a file is named after, as in `7.png` or `7-photo.jpg`, the sample number's text, or None.

    Longer numbers in file names count pictures more often than they tell what is on them.
    """
    if image.resolve() == NUMBER_SAMPLE:
        return NUMBER_SAMPLE.stem
    name = image.stem.partition("-")[0]
    return name if len(name) == 1 and name in "0123456789" else None


def curl_line(url: str, token: str, image: Path, options: str = "") -> str:
    """Return a command that posts the image."""
    return (
        f"curl -s{options} {url}/v1/predict -H 'Authorization: Bearer {token}' "
        f"-H 'Content-Type: image/png' --data-binary @{os.path.relpath(image)}"
    )
