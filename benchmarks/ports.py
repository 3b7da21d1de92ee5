"""Ports of this machine: one that is kept for a server which must be told its number, and the wait for that server."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from digits.errors import OperationError

_START_SECONDS = 20.0


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port on which nobody listens until a server does that is told its number.

    Choosing a port and closing it is a race: somebody else may take it before the server does. Here it stays bound, so
    that whoever takes any port gets another one. On Linux a server that asks for it by number may listen all the same,
    because both set SO_REUSEADDR, as servers do, and this socket never listens. Other systems allow no such thing.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server listens.

    Raises:
        OperationError: it did not in time, or ended.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError as error:
            if time.monotonic() > deadline or server.poll() is not None:
                raise OperationError(f"nothing listens on port {port}") from error
            time.sleep(0.001)
