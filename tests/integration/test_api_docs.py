"""What is written about the API is so."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from functions.predict_api.app import app_from_environment
from local.lambda_invoke import EVENT_TOKEN
from local.programs import program
from local.server import LocalServer
from tests.api_commands import check_answer, commands

ROOT = Path(__file__).parents[2]


def test_there_are_commands() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize("command", commands())
def test_command_works(server: LocalServer, command: str) -> None:
    environment = {**os.environ, "URL": server.url, "TOKEN": EVENT_TOKEN}
    finished = subprocess.run(  # noqa: S602
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    check_answer(command, json.loads(finished.stdout))


def test_the_checked_in_openapi_document_is_the_applications() -> None:
    checked_in = json.loads((ROOT / "docs/openapi.json").read_text())
    assert checked_in == app_from_environment({}).openapi(), "run 'make openapi' and look at what changed"


def test_schemathesis_finds_no_broken_promise(server: LocalServer, tmp_path: Path) -> None:
    """It makes requests of all kinds out of the OpenAPI document, and judges the answers by it.

    Left out is that what fits the schema is accepted: a string of bytes may still be no image.
    """
    command = [program("schemathesis"), "run", f"{server.url}/openapi.json"]
    command += [
        "--exclude-checks",
        "positive_data_acceptance",
        "--header",
        f"Authorization: Bearer {EVENT_TOKEN}",
        "--max-examples",
        "20",
        "--seed",
        "1",
    ]
    command += ["--no-color", "--generation-database", "none"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-5_000:]
