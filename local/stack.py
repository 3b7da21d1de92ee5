"""Store and API together, from a first training to a running service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digits.errors import OperationError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from functions.predict_api.app import app_from_environment
from local import api_test
from local.server import HOST, Certificate, LocalServer, make_certificate
from local.store import EmbeddedStore, check_free
from training import artifacts

TOKEN_NAME = "local"
DEMO_RECIPE = "quick"  # the others take most of ten minutes, or more


def demo(store_port: int, api_port: int, stay: bool) -> None:
    """Train, publish, serve and ask, each through the command or code that a deployment uses.

    Args:
        stay: serve until interrupted, rather than end after the first answers.

    Raises:
        DigitsError: a step failed.
    """
    check_free(HOST, api_port, "API_PORT")  # before the training, not after it
    with running_store(store_port) as store:
        print(f"object store: {store.environment()['AWS_ENDPOINT_URL_S3']}", flush=True)
        run_training("train", "--recipe", DEMO_RECIPE)
        run_training("publish")
        _serve(api_port, stay)


def serve(store_port: int, api_port: int, https: bool) -> None:
    """Serve the last trained model until interrupted.

    Args:
        https: serve with a certificate made for the occasion, which only its own authority vouches for.

    Raises:
        DigitsError: nothing has been trained, or an address is taken.
    """
    with running_store(store_port) as store:
        print(f"object store: {store.environment()['AWS_ENDPOINT_URL_S3']}", flush=True)
        publish_latest(artifacts.OUTPUT)
        _serve(api_port, stay=True, certificate=make_certificate(artifacts.OUTPUT / "tls") if https else None)


@contextmanager
def running_store(port: int = 0, host: str = "127.0.0.1") -> Iterator[EmbeddedStore]:
    """Run the embedded store and point this process, and those that it starts, at it."""
    with EmbeddedStore(host, port) as store:
        before = dict(os.environ)
        os.environ.update(store.environment())
        try:
            yield store
        finally:
            os.environ.clear()
            os.environ.update(before)


def publish_latest(output: Path) -> None:
    """Publish and promote the last trained model in the store that the environment names."""
    manifest, files = artifacts.read_folder(artifacts.latest_folder(output))
    registry = Registry(Bucket.from_environment(os.environ))
    registry.promote(registry.publish(manifest, files))


def run_training(*arguments: str) -> None:
    """Run a command of the training job in a process of its own, as its memory need not stay.

    Ctrl-C reaches that process as well; how it ends is left to it.

    Raises:
        OperationError: it failed; it has said why itself.
    """
    with subprocess.Popen([sys.executable, "-m", "training", *arguments]) as process:
        status = None
        while status is None:
            with suppress(KeyboardInterrupt):
                status = process.wait()
    if status:
        raise OperationError(f"'python -m training {' '.join(arguments)}' ended with status {status}")


def _serve(api_port: int, stay: bool, certificate: Certificate | None = None) -> None:
    token = tokens.issue(Bucket.from_environment(os.environ), TOKEN_NAME)
    authority = certificate.authority if certificate else None
    options = f" --cacert {os.path.relpath(authority)}" if authority else ""
    with LocalServer(app_from_environment(os.environ), api_port, certificate) as server:
        api_test.run(server.url, token, verify=api_test.trust(insecure=False, authority=authority))
        print(f"URL         {server.url}")
        print(f"draw        {server.url}/ in a browser, with the token below")
        if authority:
            print(f"CA          {os.path.relpath(authority)}")
        print(f"token       {token}")
        print(f"try it      {api_test.curl_line(server.url, token, api_test.SAMPLE, options)}", flush=True)
        if stay:
            _wait()


def _wait() -> None:
    print("serving until Ctrl-C", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nstopped")
