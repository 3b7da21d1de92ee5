"""The embedded object store: moto's S3 over a real socket, in memory, gone with the process."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from functools import cached_property
from http.client import HTTPConnection
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from digits.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "lambda-digits"


class EmbeddedStore:
    """A running store with one empty bucket; use it as a context manager."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Choose an address; port 0 takes any that is free."""
        self._host, self._port = host, port

    def __enter__(self) -> EmbeddedStore:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        check_free(self._host, self._port, "STORE_PORT")
        self._server = make_server(
            self._host, self._port, _Application(), threaded=True, request_handler=MotoRequestHandler
        )
        self._port = self._server.port
        Thread(target=self._server.serve_forever, name="store", daemon=True).start()
        self.reset()
        return self

    def reset(self) -> None:
        """Forget everything; moto keeps objects for the process, not for the server."""
        with closing(HTTPConnection(self._host, self._port)) as connection:
            connection.request("POST", "/moto-api/reset")
            connection.getresponse().read()
        self.client.create_bucket(Bucket=BUCKET)

    @cached_property
    def client(self) -> S3Client:
        """A client of the store, whatever the environment says."""
        environment = self.environment()
        return boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(proxies={}),
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, host: str | None = None) -> dict[str, str]:
        """Return the variables that point AWS clients and this project at the store.

        Args:
            host: the store's name where they are used, where that differs from here.
        """
        return {
            "AWS_ENDPOINT_URL_S3": f"http://{host or self._host}:{self._port}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DIGITS_BUCKET": BUCKET,
            "NO_PROXY": "127.0.0.1",
        }


class _Application:
    """Moto's S3 with one write at a time, as moto looks at a write's condition and writes in two steps."""

    def __init__(self) -> None:
        self._moto, self._writing = DomainDispatcherApplication(create_backend_app), Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return self._moto(environ, start_response)
        with self._writing:
            return self._moto(environ, start_response)


def check_free(host: str, port: int, variable: str) -> None:
    """Make sure that a server can listen there.

    Raises:
        ConfigurationError: the address is taken or not of this machine.
    """
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error}): choose another port with {variable}=…"
        ) from error
