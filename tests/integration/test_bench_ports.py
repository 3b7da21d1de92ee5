"""Ports that are kept for servers which must be told their number."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import sys

import pytest

from benchmarks.ports import reserved_port, wait_for
from digits.errors import OperationError

IP_LOCAL_PORT_RANGE = 51  # of linux/in.h


def limits_any_port() -> bool:
    """Tell whether a socket can say from which range it takes any port."""
    with socket.socket() as any_socket:
        try:
            any_socket.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", 0))
        except OSError:
            return False
    return sys.platform == "linux"


def take_any_of(port: int) -> None:
    """Take any port where this one is all that there is, which makes sure of what else happens once in a while."""
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
        taker.bind(("127.0.0.1", 0))


@pytest.mark.skipif(not limits_any_port(), reason="needs Linux 6.3: others cannot limit what any port is")
def test_whoever_takes_any_port_does_not_get_one_that_is_reserved() -> None:
    with reserved_port() as port:
        with pytest.raises(OSError, match="in use") as caught:
            take_any_of(port)
        assert caught.value.errno == errno.EADDRINUSE
    take_any_of(port)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: elsewhere no port is kept")
def test_a_server_that_is_told_its_number_listens_on_it() -> None:
    with reserved_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            pass


def test_a_server_that_ended_is_not_waited_for() -> None:
    with reserved_port() as port, subprocess.Popen([sys.executable, "-c", ""]) as server:
        server.wait()
        with pytest.raises(OperationError, match="nothing listens"):
            wait_for(port, server)
