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
from benchmarks.serving.distant import DistantStore
from local.build import BATCH, bare_python

_HANDLERS = Path(__file__).parents[1] / "handlers"


@dataclass(frozen=True)
class Yardsticks:
    """A folder with the handlers, and the environment variables that each needs.

    Attributes:
        ours: for the artifact.
        batch: for the artifact's batch function.
        floor: for the handlers that do nothing, and those with FastAPI only.
        tensorflow: for the handlers with TensorFlow.
    """

    folder: Path
    ours: dict[str, str]
    batch: dict[str, str]
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
        store: the one that its environment points at, if that notes what it is asked.
    """

    python: list[str]
    handler: str
    environment: dict[str, str]
    requests: int
    heavy: tuple[bytes, ...] = ()
    store: DistantStore | None = None


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
    batch = emulator.artifact_environment(client, store, name=BATCH)
    path = os.pathsep.join(map(str, (handlers, emulator.LAYER_FOLDERS[0], client)))
    tensorflow = {"MODEL": str(trained.resolve() / "model.keras"), "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(handlers)}
    tensorflow["PYTHONPATH"] = str(handlers)
    return Yardsticks(folder, ours, batch, {**ours, "PYTHONPATH": path}, tensorflow)


def candidates(found: Yardsticks, distant: DistantStore, requests: int) -> dict[str, Candidate]:
    """Return the candidates that take turns in a round, by name.

    Args:
        distant: the store of the one that is `ours` but for that.
    """
    bare, few = bare_python(), max(1, requests // 8)
    # Behind all that is in the artifact comes the handler that tells of the processor.
    ours = found.ours | {"PYTHONPATH": os.pathsep.join((found.ours["PYTHONPATH"], str(found.handlers)))}
    away = ours | {"AWS_ENDPOINT_URL_S3": distant.address}
    return {
        "empty": Candidate(bare, "empty.handler", found.floor, requests),
        "hello": Candidate(bare, "hello.handler", found.floor, requests),
        "ours": Candidate(bare, emulator.HANDLER, ours, requests, events.heavy()),
        "distant": Candidate(bare, emulator.HANDLER, away, few, store=distant),
        "tensorflow": Candidate([sys.executable], "tensorflow_predict.handler", found.tensorflow, few),
    }
