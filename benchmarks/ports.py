"""Ports of this machine: one that is free, and the wait until somebody listens."""

from __future__ import annotations

import socket
import time

from digits.errors import OperationError

_START_SECONDS = 20.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait until somebody listens.

    Raises:
        OperationError: nobody did in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise OperationError(f"nothing listens on port {port}") from error
            time.sleep(0.001)
