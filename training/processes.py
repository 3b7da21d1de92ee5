"""One function, called for many numbers on all cores."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe, wait

from digits.errors import OperationError

# A process takes a second or two to start, and draws more pictures than this meanwhile.
WORTHWHILE = 1000
# Results are handed over so many at a time.
TOGETHER = 50


def mapped[Result](function: Callable[[int], Result], count: int, worthwhile: int = WORTHWHILE) -> list[Result]:
    """Return what a function makes of 0, 1 and so on, `count` results in order.

    Each core has a process of its own, as in threads Python would draw one picture at a time. Pipes join them, and
    nothing else: Lambda has no shared memory, which pools and queues need, and `multiprocessing` would run the module
    that the runtime began with, and the handler, once more in each process.

    Args:
        function: of a module other than `__main__`, or a `partial` of such a one with arguments that can be pickled, if
            there are enough numbers for several processes.
        worthwhile: so many take longer than a process takes to start.

    Raises:
        OperationError: the function failed, as a note tells in full, or a process could not start or ended early.
    """
    processes = min(os.process_cpu_count() or 1, count // worthwhile)
    if processes < 2:
        return [function(number) for number in range(count)]
    workers: list[_Worker[Result]] = []
    try:
        for _ in range(processes):
            workers.append(_Worker())
        for first, worker in enumerate(workers):
            worker.begin(function, range(first, count, processes))
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

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._count = 0
        self.pipe, theirs = Pipe()
        with theirs:
            handle = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import work; work({handle})"],
                stdin=subprocess.DEVNULL,
                pass_fds=[handle],
                process_group=0,  # so that Ctrl-C does not reach it; this process ends it
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def begin(self, function: Callable[[int], Result], numbers: range) -> None:
        """Hand its work over."""
        self._count = len(numbers)
        self.pipe.send((function, numbers))

    def receive(self) -> bool:
        """Take some results; return whether these were the last."""
        try:
            received = self.pipe.recv()
        except EOFError:
            raise OperationError(f"a process that drew pictures ended with status {self._process.wait()}") from None
        if isinstance(received, str):
            failed = OperationError(f"drawing pictures failed: {received.splitlines()[-1]}")
            failed.add_note(received)
            raise failed
        self.results += received
        return len(self.results) == self._count

    def end(self) -> None:
        """End the process, whether or not its work is done."""
        self.pipe.close()
        self._process.terminate()
        self._process.wait()


def work(handle: int) -> None:
    """Call a function for some numbers, all of which come through a pipe, and send the results back.

    Args:
        handle: the pipe's file descriptor.
    """
    with Connection(handle) as pipe:
        try:
            function, numbers = pipe.recv()
            for first in range(0, len(numbers), TOGETHER):
                pipe.send([function(number) for number in numbers[first : first + TOGETHER]])
        except (BrokenPipeError, EOFError):  # nobody waits for it any more
            pass
        except Exception:
            pipe.send(traceback.format_exc())
