"""The laptop stack as a person starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import __main__ as local_command
from tests import events


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DIGITS_"))}


def test_serve_answers_its_own_curl_line_until_interrupted(trained: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "local", "serve"]
    with subprocess.Popen(
        command, cwd=trained.parents[1], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if "Ctrl-C" in line:
                break
        shown = "\n".join(lines)
        assert re.search(r"^pred +7$", shown, re.MULTILINE), shown
        assert re.search(rf"^model +{trained.name}", shown, re.MULTILINE), shown
        curl = next(line.partition("try it")[2].strip() for line in lines if line.startswith("try it"))
        answer = subprocess.run(curl, shell=True, cwd=trained.parents[1], capture_output=True, check=True)  # noqa: S602
        assert json.loads(answer.stdout)["pred"] == 7
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


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
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    status = local_command.main(["api-test", "--url", f"http://127.0.0.1:{port}", "--token", "x"])
    assert status == 1
    assert capsys.readouterr().err.startswith(f"error: no answer from http://127.0.0.1:{port}")


@pytest.mark.docker
@pytest.mark.parametrize("name", sorted(name for name, (_, digit) in events.EXPECTED.items() if digit is not None))
def test_sam_local_invoke_reads_the_digit_of_each_predict_event(
    build: Path, trained: Path, name: str, environment: dict[str, str]
) -> None:
    status, digit = events.EXPECTED[name]
    event = events.FOLDER / f"{name}.json"
    command = [sys.executable, "-m", "local", "invoke", "--event", str(event), "--artifacts", str(trained.parent)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    response = json.loads(finished.stdout)
    assert response["statusCode"] == status, finished.stderr
    assert events.body_of(response)["pred"] == digit
