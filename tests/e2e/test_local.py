"""The laptop stack as a person starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import boto3
import pytest
from botocore.config import Config

from benchmarks.ports import reserved_port
from local import __main__ as local_command
from local import lambda_invoke
from local.build import FUNCTION
from local.lambda_invoke import EVENT_TOKEN
from local.programs import program
from tests import events
from tests.commands import clean_environment, found, served

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment() -> dict[str, str]:
    return clean_environment()


def test_serve_answers_its_own_curl_line_until_interrupted(trained: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "local", "serve"]
    with served(command, trained.parents[1], environment) as shown:
        assert found(r"^pred +(.+)$", shown) == "7"
        assert found(r"^model +(\S+)", shown) == trained.name
        number = shown.partition("pred ")[2]
        assert found(r"^text +(.+)$", number) == "2026"
        assert re.search(r"^conf +(0\.\d{4}|1\.0000)", number, re.MULTILINE)
        drawing = [line for line in number.splitlines() if set(line) <= set(" .:-=+*#%@") and line]
        assert 8 < len(drawing) <= 16
        assert 40 < max(map(len, drawing)) <= 100
        curl = found(r"^try it +(.+)$", shown)
        answer = subprocess.run(curl, shell=True, cwd=trained.parents[1], capture_output=True, check=True)  # noqa: S602
        assert json.loads(answer.stdout)["pred"] == 7


def test_serve_before_the_first_training_says_what_to_do(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "local", "serve"]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr == "error: artifacts holds no trained model: train one first\n"


def test_a_taken_port_is_one_line_with_the_cure(tmp_path: Path, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "local", "serve", "--store-port", str(taken.getsockname()[1])]
        finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: cannot listen on 127.0.0.1:")
    assert "STORE_PORT=" in finished.stderr


def test_the_api_test_tells_in_one_line_that_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with reserved_port() as port:
        status = local_command.main(["api-test", "--url", f"http://127.0.0.1:{port}", "--token", "x"])
    assert status == 1
    assert capsys.readouterr().err.startswith(f"error: no answer from http://127.0.0.1:{port}")


def test_serve_with_https_is_trusted_through_its_own_authority(trained: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "local", "serve", "--https"]
    with served(command, trained.parents[1], environment) as shown:
        url = found(r"^URL +(https://.+)$", shown)
        token, authority = found(r"^token +(.+)$", shown), found(r"^CA +(.+)$", shown)
        test = ["api-test", "--url", url, "--token", token]
        assert local_command.main([*test, "--ca", str(trained.parents[1] / authority)]) == 0
        assert local_command.main([*test, "--insecure"]) == 0
        assert local_command.main(test) == 1


@contextmanager
def sam_serving(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """Run a server of the SAM CLI while the block runs; what functions log would fill a pipe that nobody reads."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, env=environment, stderr=log, start_new_session=True) as process,
    ):
        try:
            end = time.monotonic() + 120
            while "Running on" not in _text(log):
                assert process.poll() is None, _text(log)
                assert time.monotonic() < end, _text(log)
                time.sleep(0.2)
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
            process.wait(timeout=60)


def _text(log: IO[str]) -> str:
    """Return what another process has written into a file so far."""
    return os.pread(log.fileno(), 1_000_000, 0).decode(errors="replace")


@pytest.mark.docker
@pytest.mark.parametrize("name", ["http_v2_predict_json", "direct_predict"])
def test_sam_local_invoke_reads_the_digit_of_an_event(
    build: Path, trained: Path, name: str, environment: dict[str, str]
) -> None:
    status, digits = events.EXPECTED[name]
    event = events.FOLDER / f"{name}.json"
    command = [sys.executable, "-m", "local", "invoke", "--event", str(event), "--artifacts", str(trained.parent)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    response = json.loads(finished.stdout)
    assert events.status_of(response) == status, finished.stderr
    assert events.digits_of(response) == digits


@pytest.mark.docker
def test_lambdas_container_answers_every_event(build: Path, trained: Path) -> None:
    with reserved_port() as port, lambda_invoke.sam_store(trained.parent) as options:
        command = [program("sam"), "local", "start-lambda", "--port", str(port)]
        with sam_serving([*command, "--warm-containers", "LAZY", *options], dict(os.environ)):
            settings = Config(read_timeout=120, retries={"max_attempts": 0})
            client = boto3.client("lambda", endpoint_url=f"http://127.0.0.1:{port}", config=settings)
            for name, (status, digits) in events.EXPECTED.items():
                answer = client.invoke(FunctionName=FUNCTION, Payload=json.dumps(events.load(name)))
                response = json.loads(answer["Payload"].read())
                assert events.status_of(response) == status, (name, response)
                if digits:
                    assert events.digits_of(response) == digits, name


@pytest.mark.docker
def test_the_api_test_passes_against_sam_local_start_api(
    build: Path, trained: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "local", "start-api", "--artifacts", str(trained.parent), "--api-port"]
    with reserved_port() as port, sam_serving([*command, str(port)], environment):
        assert local_command.main(["api-test", "--url", f"http://127.0.0.1:{port}", "--token", EVENT_TOKEN]) == 0


@pytest.mark.docker
def test_sams_gateway_passes_the_acceptance_tests(build: Path, trained: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "local", "start-api", "--artifacts", str(trained.parent), "--api-port"]
    with reserved_port() as port, sam_serving([*command, str(port)], environment):
        service = {"DIGITS_URL": f"http://127.0.0.1:{port}", "DIGITS_TOKEN": EVENT_TOKEN, "DIGITS_TEXT_ALONE": "1"}
        suite = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", "tests/acceptance"]
        finished = subprocess.run(
            suite, cwd=ROOT, env=environment | service, capture_output=True, text=True, check=False
        )
        print(finished.stdout[-2_000:])
        assert finished.returncode == 0
