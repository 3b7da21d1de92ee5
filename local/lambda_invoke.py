"""`sam local invoke` and `sam local start-api` with a store that holds the last trained model and the events' token."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from ipaddress import ip_network
from pathlib import Path

from digits.errors import OperationError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.layout import BATCH_IN
from local.build import BATCH, FUNCTION
from local.programs import program
from local.stack import publish_latest, running_store

# The sample events carry this token. It is worth nothing outside a store made for them.
EVENT_TOKEN = "sample-token-for-local-events-only"  # pragma: allowlist secret  # of samples alone
RETRAIN = "RetrainFunction"
_FUNCTIONS = {"schedule": RETRAIN, "batch": BATCH}
SAMPLES = Path(__file__).parents[1] / "events/digits"
BATCH_SAMPLE = f"{BATCH_IN}digits.zip"  # what the sample event of the batch function says that was dropped


def invoke(event: Path, output: Path) -> None:
    """Invoke a built function in Lambda's container with one event.

    Args:
        event: a file of `events/`; one whose name begins with `schedule_` is for the retrain function, with `batch_`
            for the batch function.
        output: where trainings left their models.

    Raises:
        DigitsError: nothing has been trained, or the SAM CLI or Docker failed.
    """
    with sam_store(output) as options:
        function = _FUNCTIONS.get(event.name.partition("_")[0], FUNCTION)
        _sam("invoke", function, "--event", str(event), *options)


def start_api(port: int, output: Path) -> None:
    """Serve the built function in Lambda's container behind the SAM CLI's gateway until interrupted.

    Raises:
        DigitsError: nothing has been trained, or the SAM CLI or Docker failed.
    """
    with sam_store(output) as options:
        print(f"token       {EVENT_TOKEN}", flush=True)
        _sam("start-api", "--port", str(port), "--warm-containers", "LAZY", *options)


def furnish(output: Path) -> None:
    """Put the last trained model, the events' token and pictures into the store that the environment names."""
    publish_latest(output)
    bucket = Bucket.from_environment(os.environ)
    tokens.add(bucket, "events", EVENT_TOKEN)
    bucket.create(BATCH_SAMPLE, sample_batch())


def sample_batch() -> bytes:
    """Return the sample digits as a zip, in folders that tell what they show."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(SAMPLES.glob("*.png")):
            archive.write(path, f"{path.stem[0]}/{path.name}")
    return file.getvalue()


@contextmanager
def sam_store(output: Path) -> Iterator[list[str]]:
    """Run a store with the last trained model and the events' token; gives the options that point SAM at it."""
    here, there = store_addresses()
    with running_store(host=here) as store, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        furnish(output)
        json.dump(environment_of_functions(store.environment(there)), file)
        file.flush()
        yield ["--env-vars", file.name, "--skip-pull-image"]


def environment_of_functions(store: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return what `sam local --env-vars` takes, for functions that use a store of this machine."""
    where = {name: store[name] for name in ("DIGITS_BUCKET", "AWS_ENDPOINT_URL_S3")}
    return {FUNCTION: where, BATCH: where, RETRAIN: {**where, "DIGITS_RETRAIN_TOPIC": ""}}


def _sam(*arguments: str) -> None:
    status = subprocess.run([program("sam"), "local", *arguments], check=False).returncode
    if status:
        raise OperationError(f"sam local {arguments[0]} ended with status {status}")


def store_addresses() -> tuple[str, str]:
    """Return where the store listens, and its host's name inside a container."""
    if platform.system() != "Linux":
        return "127.0.0.1", "host.docker.internal"
    command = ["docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise OperationError("no Docker engine answers: sam local invoke needs one") from error
    (configuration, *_) = json.loads(answer.stdout)
    # An engine that has not run a container yet names the network, but not its own address in it.
    host = configuration.get("Gateway") or str(ip_network(configuration["Subnet"])[1])
    return host, host
