"""The API on this machine, served by uvicorn in a thread."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import trustme
import uvicorn
from starlette.types import ASGIApp

from local.store import check_free

HOST = "127.0.0.1"
_START_SECONDS = 10.0


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate for this machine alone, and of the authority that signed it."""

    chain_and_key: Path
    authority: Path


def make_certificate(folder: Path) -> Certificate:
    """Write a certificate for 127.0.0.1 and localhost; its authority exists for this one signature."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = Certificate(folder / "server.pem", folder / "ca.pem")
    authority = trustme.CA()
    certificate.chain_and_key.touch(mode=0o600)
    authority.issue_cert(HOST, "localhost").private_key_and_cert_chain_pem.write_to_path(certificate.chain_and_key)
    authority.cert_pem.write_to_path(certificate.authority)
    return certificate


class LocalServer:
    """A running server; use it as a context manager."""

    def __init__(self, app: ASGIApp, port: int = 0, certificate: Certificate | None = None) -> None:
        """Choose a port, 0 being any that is free, and HTTPS by giving a certificate."""
        self._port = port
        self._scheme = "https" if certificate else "http"
        chain = certificate.chain_and_key if certificate else None
        configuration = uvicorn.Config(
            app, host=HOST, port=port, log_level="warning", lifespan="off", ssl_certfile=chain, ssl_keyfile=chain
        )
        self._server = uvicorn.Server(configuration)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> LocalServer:
        check_free(HOST, self._port, "API_PORT")
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the local server did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        (listener,) = self._server.servers
        return f"{self._scheme}://{HOST}:{listener.sockets[0].getsockname()[1]}"
