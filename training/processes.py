"""One function, called for many numbers on all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from digits.errors import OperationError

# A process takes a second or two to start, and draws more pictures than this meanwhile.
WORTHWHILE = 1000
# Results are handed over so many at a time.
TOGETHER = 50


def mapped[Result](function: Callable[[int], Result], count: int) -> list[Result]:
    """Return what a function makes of 0, 1 and so on, `count` results in order.

    Each core has a process of its own, as in threads Python would draw one picture at a time. Pipes join them, and
    nothing else: Lambda has no shared memory, which pools and queues need.

    Args:
        function: can be pickled, as can its results, if there are enough numbers for several processes.

    Raises:
        OperationError: the function failed, as a note tells in full, or a process could not start or ended early.
    """
    processes = min(os.process_cpu_count() or 1, count // WORTHWHILE)
    if processes < 2:
        return [function(number) for number in range(count)]
    workers: list[_Worker[Result]] = []
    try:
        for first in range(processes):
            workers.append(_Worker(function, range(first, count, processes)))
        at_work = workers
        while at_work:
            ready = wait([worker.pipe for worker in at_work])
            at_work = [worker for worker in at_work if worker.pipe not in ready or not worker.receive()]
    except OSError as error:
        raise OperationError(f"no process to draw pictures in: {error}") from error
    finally:
        for worker in workers:
            worker.end()
    return [workers[number % processes].results[number // processes] for number in range(count)]


class _Worker[Result]:
    """A process that calls the function for some of the numbers."""

    pipe: Connection
    results: list[Result]

    def __init__(self, function: Callable[[int], Result], numbers: range) -> None:
        self.results, self._count = [], len(numbers)
        context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # which would unblock the signal below
        self.pipe, theirs = context.Pipe(duplex=False)
        with theirs:
            self._process: SpawnProcess = context.Process(target=_work, args=(theirs, function, numbers), daemon=True)
            # Ctrl-C reaches the whole group; this process ends the others, and they need not say anything.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def receive(self) -> bool:
        """Take some results; return whether these were the last."""
        try:
            received = self.pipe.recv()
        except EOFError:
            self._process.join()
            raise OperationError(f"a process that drew pictures ended with status {self._process.exitcode}") from None
        if isinstance(received, str):
            failed = OperationError(f"drawing pictures failed: {received.splitlines()[-1]}")
            failed.add_note(received)
            raise failed
        self.results += received
        return len(self.results) == self._count

    def end(self) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join()


def _work[Result](pipe: Connection, function: Callable[[int], Result], numbers: range) -> None:
    try:
        for first in range(0, len(numbers), TOGETHER):
            pipe.send([function(number) for number in numbers[first : first + TOGETHER]])
    except BrokenPipeError:  # nobody waits for it any more
        pass
    except Exception:
        pipe.send(traceback.format_exc())
