"""Lambda's own runtime without a container: its interface emulator around its runtime client."""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.ports import reserved_port, wait_for
from digits.errors import OperationError
from local.build import BUILD, FUNCTION, LAYERS

FUNCTION_FOLDER, LAYER_FOLDERS = BUILD / FUNCTION, tuple(BUILD / layer / "python" for layer in LAYERS)
HANDLER = "functions.predict_api.handler.handler"
_PATH = "/2015-03-31/functions/function/invocations"
_LONGEST_SECONDS = 900.0
_PHASES = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\).*?INVOKE RTDONE\([^)]*duration: ([\d.]+)ms\)", re.DOTALL)
# As `handlers/phases.py` tells it.
_PROCESSOR = re.compile(r"processor seconds: init ([\d.]+), first invocation ([\d.]+)")


@dataclass(frozen=True)
class Phase:
    """A part of a cold start.

    Attributes:
        seconds: how long it took.
        processor_seconds: what it took of the processor, in all threads of the function's process.
    """

    seconds: float
    processor_seconds: float

    @property
    def waiting_seconds(self) -> float:
        """How long the function waited: for the store, above all."""
        return max(0.0, self.seconds - self.processor_seconds)


@dataclass
class Container:
    """A function in the emulator.

    Attributes:
        process: the emulator.
    """

    process: subprocess.Popen[bytes]
    connection: http.client.HTTPConnection

    def __call__(self, event: Any) -> Any:
        """Return the answer to an event."""
        return json.loads(self.answer(json.dumps(event).encode()))

    def answer(self, event: bytes) -> bytes:
        """Return the answer to an event, both as JSON; over one connection, as timings want it."""
        self.connection.request("POST", _PATH, event)
        return self.connection.getresponse().read()

    def processes(self) -> list[int]:
        """Return the ids of the processes that the emulator has started: the function's alone."""
        children = [path.read_text() for path in Path(f"/proc/{self.process.pid}/task").glob("*/children")]
        return [int(child) for child in " ".join(children).split()]

    def memory_kilobytes(self, *, now: bool = False) -> int:
        """Return the most memory that the function's process has had resident, or what it has now."""
        (python,) = self.processes()
        status = Path(f"/proc/{python}/status").read_text()
        return int(status.partition("VmRSS:" if now else "VmHWM:")[2].split()[0])


def artifact_environment(
    client: Path, store: dict[str, str], build: Path = BUILD, name: str = FUNCTION
) -> dict[str, str]:
    """Return the variables with which a bare interpreter finds the built function and nothing else.

    That holds in an empty folder: the one that an interpreter is started in may come first on its path.

    Args:
        client: see `link_runtime_client`.
        store: the variables that point at the object store.
        build: the folder that `sam build` wrote.
        name: of the function.
    """
    function, layers = build / name, [build / layer / "python" for layer in LAYERS]
    return {
        "PYTHONPATH": os.pathsep.join(map(str, (function, *layers, client))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(function),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "OPENBLAS_NUM_THREADS": "1",
        **store,
    }


def link_runtime_client(folder: Path) -> Path:
    """Put Lambda's runtime interface client into a folder, and nothing else of the development environment."""
    link_packages(folder, ("awslambdaric", "snapshot-restore-py", "simplejson"))
    return folder


def link_packages(folder: Path, names: Iterable[str]) -> None:
    """Put packages of the development environment into a folder."""
    for name in names:
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or [] if ".." not in file.parts}:
            (folder / top).symlink_to(Path(str(package.locate_file(top))))


def is_supported() -> bool:
    """Tell whether the emulator runs on this machine."""
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


@contextmanager
def emulated(
    python: list[str], handler: str, environment: dict[str, str], *, tell: Callable[[str], object] = print
) -> Iterator[Container]:
    """Run a handler in Lambda's runtime, in an empty folder.

    Args:
        tell: is given all that was logged, in the end.

    Raises:
        OperationError: the emulator does not run here, or did not start.
    """
    if not is_supported():
        raise OperationError("the runtime interface emulator needs Linux on x86_64")
    specification = find_spec("samcli")
    assert specification is not None
    assert specification.origin is not None
    emulator = Path(specification.origin).parent / "local/rapid/aws-lambda-rie-x86_64"
    environment = {"PATH": os.environ["PATH"], **environment}
    with (
        tempfile.TemporaryDirectory() as empty,
        reserved_port() as port,
        reserved_port() as api_port,
        tempfile.TemporaryFile() as log,  # a pipe would fill, and nobody reads it before the end
        subprocess.Popen(
            [
                *(str(emulator), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{api_port}", *python, "-m", "awslambdaric", handler),
            ],
            cwd=empty,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for(port, process)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LONGEST_SECONDS)
            with closing(connection):
                yield Container(process, connection)
        finally:
            process.terminate()
            process.wait()
            log.seek(0)
            tell(log.read().decode())


def cold_phases(log: str) -> tuple[Phase, Phase]:
    """Return a container's init and its first invocation, as the emulator and `handlers/phases.py` logged them.

    Init is from the start of the interpreter until it asks for its first event.

    Raises:
        OperationError: the log tells of no invocation, or not of the processor.
    """
    found, processor = _PHASES.search(log), _PROCESSOR.search(log)
    if found is None:
        raise OperationError("the emulator's log tells of no init with an invocation after it")
    if processor is None:
        raise OperationError("the emulator's log does not tell what init and first invocation took of the processor")
    init, first = (
        Phase(float(milliseconds) / 1e3, float(seconds))
        for milliseconds, seconds in zip(found.groups(), processor.groups(), strict=True)
    )
    return init, first
