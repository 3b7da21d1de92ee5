"""The API on this machine, served by uvicorn in a thread."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from local.store import check_free

HOST = "127.0.0.1"
_START_SECONDS = 10.0


class LocalServer:
    """A running server; use it as a context manager."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        """Choose a port; 0 takes any that is free."""
        self._port = port
        self._server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="warning", lifespan="off"))
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
        return f"http://{HOST}:{listener.sockets[0].getsockname()[1]}"
