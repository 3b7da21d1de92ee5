"""Where blocking work is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial


class Workers:
    """Threads for blocking work, where another request may come meanwhile.

    The framework's own pool ends its threads with each Lambda invocation, and with a thread
    goes its interpreter of the model; these stay warm.
    """

    def __init__(self, threads: bool) -> None:
        """Choose whether there are threads; without any, work is done where it is asked for."""
        self._executor = ThreadPoolExecutor(thread_name_prefix="digits") if threads else None

    async def run[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do the work and return its result."""
        if self._executor is None:
            return work(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))
