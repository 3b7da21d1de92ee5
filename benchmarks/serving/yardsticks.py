"""The handlers that are measured and compared, and where each is found."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from benchmarks import emulator
from benchmarks.serving import events
from local.build import bare_python

_HANDLERS = Path(__file__).parents[1] / "handlers"


@dataclass(frozen=True)
class Yardsticks:
    """A folder with the handlers, and the environment variables that each needs.

    Attributes:
        ours: for the artifact.
        floor: for the handlers that do nothing, and those with FastAPI only.
        tensorflow: for the handlers with TensorFlow.
    """

    folder: Path
    ours: dict[str, str]
    floor: dict[str, str]
    tensorflow: dict[str, str]

    @property
    def handlers(self) -> Path:
        """The folder with the handlers."""
        return self.folder / "handlers"


@dataclass(frozen=True)
class Candidate:
    """A handler to measure, and how it is started and called.

    Attributes:
        heavy: further requests before its memory is read.
    """

    python: list[str]
    handler: str
    environment: dict[str, str]
    requests: int
    heavy: tuple[bytes, ...] = ()


def lay_out(folder: Path, store: dict[str, str], trained: Path) -> Yardsticks:
    """Put the handlers, compiled, and Lambda's runtime client into an empty folder.

    Args:
        store: the variables that point at the object store.
        trained: the folder of a version, whose Keras model TensorFlow's handlers load.
    """
    client = folder / "client"
    client.mkdir()
    handlers = copytree(_HANDLERS, folder / "handlers")
    subprocess.run([*bare_python(), "-m", "compileall", "-q", str(handlers)], check=True)
    ours = emulator.artifact_environment(emulator.link_runtime_client(client), store)
    path = os.pathsep.join(map(str, (handlers, emulator.LAYER_FOLDERS[0], client)))
    tensorflow = {"MODEL": str(trained / "model.keras"), "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(handlers)}
    return Yardsticks(folder, ours, {**ours, "PYTHONPATH": path}, {"PYTHONPATH": str(handlers), **tensorflow})


def candidates(found: Yardsticks, requests: int) -> dict[str, Candidate]:
    """Return the candidates that take turns in a round, by name."""
    bare = bare_python()
    return {
        "empty": Candidate(bare, "empty.handler", found.floor, requests),
        "hello": Candidate(bare, "hello.handler", found.floor, requests),
        "ours": Candidate(bare, emulator.HANDLER, found.ours, requests, events.heavy()),
        "tensorflow": Candidate([sys.executable], "tensorflow_predict.handler", found.tensorflow, requests // 8),
    }
