"""What is written about the API is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from functions.predict_api.app import app_from_environment
from local.lambda_invoke import EVENT_TOKEN
from local.programs import program
from local.server import LocalServer

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/api.md").read_text()


def commands() -> list[str]:
    """Return the indented commands of the page that run curl, continuation lines joined."""
    blocks = re.findall(r"(?:^    .+\n)+", DOCUMENT, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks if "curl" in block]


def test_there_are_commands() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize("command", commands())
def test_command_works(server: LocalServer, command: str) -> None:
    environment = {**os.environ, "URL": server.url, "TOKEN": EVENT_TOKEN}
    finished = subprocess.run(  # noqa: S602
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(finished.stdout)
    if "/v1/predict" in command:
        answers = answer.get("predictions", [answer])
        assert [each["pred"] for each in answers] == ([7, 1] if "1.png" in command else [7])
    elif "fields" in command:
        assert {name: field["text"] for name, field in answer["fields"].items()} == {"year": "2026", "zip": "79098"}
    elif "/v1/read" in command:
        assert (answer["text"], answer["warnings"]) == ("2026", [])
    elif "infer" in command:
        (output,) = answer["outputs"]
        assert max(range(10), key=output["data"].__getitem__) == 7
    else:
        assert not answer.keys() & {"status", "detail"} or answer["status"] == "ok"


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
