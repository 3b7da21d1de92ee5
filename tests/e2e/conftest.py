"""The built artifact, and Lambda's own runtime around it."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from local.store import EmbeddedStore

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam/build"
FUNCTION, LAYERS = BUILD / "PredictApiFunction", (BUILD / "RuntimeLayer/python", BUILD / "DigitsLayer/python")
HANDLER = "functions.predict_api.handler.handler"
_START_SECONDS = 20.0

Invoke = Callable[[Any], Any]


@pytest.fixture(scope="session")
def build() -> Path:
    """The folder that `sam build` wrote."""
    if not (BUILD / "template.yaml").exists():
        pytest.skip("needs the built artifact: run 'make build'")
    return BUILD


@pytest.fixture(scope="session")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Lambda's runtime interface client and nothing else of the development environment."""
    folder = tmp_path_factory.mktemp("runtime-client")
    for name in ("awslambdaric", "snapshot-restore-py", "simplejson"):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or [] if ".." not in file.parts}:
            (folder / top).symlink_to(Path(str(package.locate_file(top))))
    return folder


@pytest.fixture
def lambda_runtime(build: Path, runtime_client: Path, published: object, store: EmbeddedStore) -> Iterator[Invoke]:
    """The built function in a cold container.

    The interpreter is the bare one, so that the function finds only what the artifact holds.
    """
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (FUNCTION, *LAYERS, runtime_client))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(FUNCTION),
        "AWS_LAMBDA_FUNCTION_NAME": "PredictApiFunction",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        **store.environment(),
    }
    with emulated([sys._base_executable, "-s"], HANDLER, environment) as invoke:  # type: ignore[attr-defined]
        yield invoke


@contextmanager
def emulated(python: list[str], handler: str, environment: dict[str, str]) -> Iterator[Invoke]:
    """Run a handler in Lambda's runtime: its interface emulator around its runtime client."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("needs Linux on x86_64: the emulator runs nowhere else")
    specification = find_spec("samcli")
    assert specification is not None
    assert specification.origin is not None
    emulator = Path(specification.origin).parent / "local/rapid/aws-lambda-rie-x86_64"
    port, api_port = _free_port(), _free_port()
    command = [str(emulator), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{api_port}", *python, "-m", "awslambdaric", handler]
    environment = {"PATH": os.environ["PATH"], **environment}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            _wait_for(port)
            yield lambda event: _invoke(port, event)
        finally:
            process.terminate()
            assert process.stdout is not None
            print(process.stdout.read().decode())


def _invoke(port: int, event: Any) -> Any:
    address = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    with urlopen(Request(address, json.dumps(event).encode()), timeout=900) as response:
        return json.load(response)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
