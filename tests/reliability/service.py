"""The built function under uvicorn, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import emulator
from benchmarks.ports import reserved_port, wait_for
from local.build import bare_python
from tests.reliability.logs import FOLDER_VARIABLE
from tests.reliability.world import World

HANDLERS = Path(__file__).parent / "handlers"


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    pid: int

    @property
    def resident_kilobytes(self) -> int:
        """The memory that it has resident now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    @property
    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@contextmanager
def service(world: World, **settings: str) -> Iterator[Service]:
    """Serve the artifact with uvicorn, which is not part of it.

    Args:
        settings: variables of its environment.
    """
    with tempfile.TemporaryDirectory() as name, reserved_port() as port:
        folder = Path(name)
        client, server = folder / "client", folder / "server"
        client.mkdir()
        server.mkdir()
        emulator.link_packages(server, ("uvicorn", "click", "h11"))
        artifact = emulator.artifact_environment(emulator.link_runtime_client(client), world.environment())
        log = Path(os.environ.get(FOLDER_VARIABLE, name)) / f"service-{port}.log"
        path = os.pathsep.join((artifact["PYTHONPATH"], str(server), str(HANDLERS)))
        environment = {"PATH": os.environ["PATH"], **artifact, "PYTHONPATH": path, "DIGITS_RELIABILITY_LOG": str(log)}
        command = [*bare_python(), "-m", "uvicorn", "logged:app", "--log-level", "warning", "--lifespan", "off"]
        command += ["--no-access-log", "--port", str(port)]
        with (
            log.with_suffix(".output").open("wb") as output,
            subprocess.Popen(
                command, cwd=server, env=environment | settings, stdout=output, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                wait_for(port, process)
                yield Service(port, process.pid)
            finally:
                process.terminate()
