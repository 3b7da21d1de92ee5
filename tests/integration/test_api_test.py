"""The API test against a server on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.bucket import Bucket
from digits.store import S3Reader
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local import __main__ as local_command
from local.api_test import text_art
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from local.store import BUCKET, EmbeddedStore
from tests import events


@pytest.fixture
def allowed_origins() -> tuple[str, ...]:
    return ("*",)


@pytest.fixture
def server(published: Bucket, store: EmbeddedStore, allowed_origins: tuple[str, ...]) -> Iterator[LocalServer]:
    reader = S3Reader(BUCKET, "us-east-1", store.environment()["AWS_ENDPOINT_URL_S3"], {})
    with LocalServer(create_app(Settings(BUCKET, allowed_origins=allowed_origins), reader)) as running:
        yield running


def api_test(server: LocalServer, token: str = EVENT_TOKEN, image: Path = events.DIGITS / "7.png") -> int:
    return local_command.main(["api-test", "--url", server.url, "--token", token, "--image", str(image)])


def test_a_right_answer_is_shown_with_the_digit(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server) == 0
    printed = capsys.readouterr().out
    assert text_art(events.DIGITS / "7.png") in printed
    assert "pred        7" in printed


def test_a_wrong_answer_fails(server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    misnamed = tmp_path / "3.png"
    shutil.copy(events.DIGITS / "7.png", misnamed)
    assert api_test(server, image=misnamed) == 1
    assert capsys.readouterr().err == f"error: {misnamed} is a 3, the answer is 7\n"


def test_a_wrong_token_fails_in_one_line(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server, token="wrong") == 1
    assert capsys.readouterr().err == f"error: {server.url} answered 401: the token is not valid\n"


def test_a_missing_image_fails_in_one_line(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server, image=Path("nowhere.png")) == 1
    assert "nowhere.png cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("allowed_origins", [("https://elsewhere.example",)])
def test_missing_cors_headers_fail(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server) == 1
    assert "CORS" in capsys.readouterr().err


def test_the_drawing_is_14_lines_of_at_most_28_characters() -> None:
    lines = text_art(events.DIGITS / "0.png").split("\n")
    assert len(lines) == 14
    assert max(map(len, lines)) <= 28
    assert any("@" in line for line in lines)
