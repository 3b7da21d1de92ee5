"""MNIST from a host that does not answer."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from training import dataset


@pytest.fixture
def silent_host() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    released = threading.Event()

    class Silence(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            released.wait(30)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Silence) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/mnist.npz"
        released.set()
        server.shutdown()


def test_a_silent_download_host_is_given_up_and_the_subset_taken(
    silent_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * dataset.ANSWER_SECONDS <= 15
    monkeypatch.setattr(dataset, "DOWNLOAD_URL", silent_host)
    monkeypatch.setattr(dataset, "ANSWER_SECONDS", 0.2)
    found = dataset.find(None, None, {"KERAS_HOME": str(tmp_path)})
    assert found.name == "mnist-subset-5000"
    assert list(tmp_path.iterdir()) == []
