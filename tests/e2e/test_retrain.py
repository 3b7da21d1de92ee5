"""Retraining for real: a training on real digits, a promotion, and a running API that takes the new model up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.emulator import emulated, is_supported
from digits.model.manifest import Manifest
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.store import S3Reader
from digits.registry.versions import Registry
from functions.predict_api.app import create_app
from functions.predict_api.settings import Settings
from local import lambda_invoke
from local.programs import program
from local.server import LocalServer
from local.stack import running_store
from local.store import BUCKET, EmbeddedStore
from tests import events
from training import dataset
from training.artifacts import DISTORTED_FOLDER

type Version = tuple[Manifest, dict[str, bytes]]

TTL_SECONDS = 1.0
TOKEN = "of this test alone"
EVENT = events.FOLDER / "schedule_retrain.json"


def running_api(store: dict[str, str]) -> LocalServer:
    reader = S3Reader(BUCKET, "us-east-1", store["AWS_ENDPOINT_URL_S3"], {})
    return LocalServer(create_app(Settings(BUCKET, model_ttl_seconds=TTL_SECONDS), reader))


def ask(server: LocalServer, path: str, image: bytes) -> httpx.Response:
    headers = {"x-api-key": TOKEN, "content-type": "image/png"}
    return httpx.post(f"{server.url}{path}", content=image, headers=headers)


def answering_version(server: LocalServer) -> str | None:
    """Have the API read a seven; gives the version that did, or None where there is none yet."""
    response = ask(server, "/v1/predict", events.digit_file(7))
    if response.status_code == 503:
        return None
    answer = response.json()
    assert answer["pred"] == 7, answer
    version: str = answer["model"]["version"]
    return version


@pytest.mark.skipif(not is_supported(), reason="needs Linux on x86_64: the emulator runs nowhere else")
def test_the_handler_trains_promotes_and_the_running_api_follows(
    store: EmbeddedStore, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(
        trained.parent / DISTORTED_FOLDER, tmp_path / "artifacts" / DISTORTED_FOLDER
    )  # which takes a minute
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": "RetrainFunction",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "900",
        "DIGITS_MNIST": "embedded",
        "DIGITS_RETRAIN_RECIPE": "quick",
        "TMPDIR": str(tmp_path),
        "HOME": str(tmp_path),
        **store.environment(),
    }
    handler = "tests.few_digits.handler"
    tokens.add(Bucket.from_environment(os.environ), "test", TOKEN)
    with running_api(store.environment()) as server, emulated([sys.executable], handler, environment) as invoke:
        assert answering_version(server) is None
        outcome: dict[str, Any] = invoke(json.loads(EVENT.read_text()))
        assert outcome["outcome"] == "promote", outcome
        time.sleep(2 * TTL_SECONDS)
        assert answering_version(server) == outcome["version"]
        number = ask(server, "/v1/read", events.number_file()).json()
        assert number["text"].isdecimal(), number  # which digits, a reader of so few lines does not reliably tell
        assert number["model"]["version"] == outcome["version"]
        assert invoke({})["outcome"] == "unchanged"
    Registry(Bucket.from_environment(os.environ)).verify(outcome["version"])


@pytest.mark.docker
def test_sam_local_invoke_retrains_and_the_running_api_follows(
    build: Path, second_version: Version, tmp_path: Path
) -> None:
    if not Path(os.environ.get("DIGITS_MNIST", "")).is_file():
        pytest.skip("needs MNIST, so that the challenger is better: set DIGITS_MNIST to mnist.npz")
    here, there = lambda_invoke.store_addresses()
    live = second_version[0].version
    with running_store(host=here) as store:
        bucket = Bucket.from_environment(os.environ)
        tokens.add(bucket, "test", TOKEN)
        Registry(bucket).publish(*second_version)
        Registry(bucket).promote(live)
        assert dataset.store_mnist(bucket, os.environ)
        variables = lambda_invoke.environment_of_functions(store.environment(there))
        variables[lambda_invoke.RETRAIN]["DIGITS_RETRAIN_RECIPE"] = "quick"
        (tmp_path / "env.json").write_text(json.dumps(variables))
        command = [program("sam"), "local", "invoke", lambda_invoke.RETRAIN, "--event", str(EVENT)]
        command += ["--skip-pull-image", "--env-vars", str(tmp_path / "env.json")]
        with running_api(store.environment()) as server:
            assert answering_version(server) == live
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            assert finished.returncode == 0, finished.stderr
            print(finished.stderr, finished.stdout)
            outcome = json.loads(finished.stdout.strip().splitlines()[-1])
            assert outcome["outcome"] == "promote", finished.stderr
            assert outcome["decision"]["live"] == live
            time.sleep(2 * TTL_SECONDS)
            assert answering_version(server) == outcome["version"] != live
