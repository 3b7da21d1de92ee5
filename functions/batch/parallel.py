"""More processors: processes beside this one that read pictures with the same model.

Lambda has no shared memory, and with it none of the queues and pools of `multiprocessing`; pipes it has.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from functions.batch.answering import Answer, Answering
from functions.batch.contents import Content, File, Grey, Item, Pixels
from functions.batch.errors import WorkerError

MEGABYTES_A_PROCESSOR = 1769  # of a function, as Lambda gives processors with memory
_MOST_BYTES_AT_ONCE = 4 * 2**20
_WAITING = 2  # chunks for each process, so that it need not wait for the next one

type Chunk = list[Item]
type Sent = tuple[bytes, str, int] | Pixels  # of a file its bytes, digest and page


def processors(environment: Mapping[str, str]) -> int:
    """Return how many processors this process may use."""
    count, memory = os.process_cpu_count() or 1, environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return min(count, max(1, int(memory) // MEGABYTES_A_PROCESSOR)) if memory.isdecimal() else count


class ParallelAnswering:
    """What this process and others read; answers come in the order of the pictures."""

    def __init__(self, here: Answering, make: Callable[[], Answering], others: int, at_once: int) -> None:
        """Take what reads in this process, and what makes the same in another one.

        Args:
            make: can be pickled.
            others: how many processes besides this one.
            at_once: how many pictures a process gets at a time.
        """
        self._here, self._make, self._others, self._at_once = here, make, others, at_once
        self._workers: list[_Worker] = []

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """See `Answering`.

        Raises:
            WorkerError: one of the other processes has ended.
        """
        ahead: deque[tuple[Chunk, Future[list[Answer]]]] = deque()
        for number, chunk in enumerate(_chunks(items, self._at_once)):
            if number == 1 or self._workers:  # a single one is not worth a process
                self._start()
            ahead.append(([item.let_go() for item in chunk], self._submitted(chunk)))
            while ahead and (ahead[0][1].done() or len(ahead) > _WAITING * (self._others + 1)):
                yield from _told(*ahead.popleft())
        while ahead:
            yield from _told(*ahead.popleft())

    def close(self) -> None:
        """End the other processes; they start again where there is need of them."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _start(self) -> None:
        """Start the other processes, which takes longer than to read a thousand digits, if they do not run yet."""
        if not all(worker.is_alive for worker in self._workers):
            self.close()
        if not self._workers:
            self._workers = [_Worker(self._make) for _ in range(self._others)]

    def _submitted(self, chunk: Chunk) -> Future[list[Answer]]:
        """Have a process read a chunk that has the time; if none has, this one."""
        free = min(self._workers, key=lambda worker: worker.waiting, default=None)
        if free and free.waiting < _WAITING and all(map(_can_be_sent, chunk)):
            return free.submit([_sent(item.content) for item in chunk])
        read: Future[list[Answer]] = Future()
        read.set_result([answer for _, answer in self._here.answers(chunk)])
        return read


def _chunks(items: Iterable[Item], at_once: int) -> Iterator[Chunk]:
    chunk: Chunk = []
    size = 0
    for item in items:
        chunk.append(item)
        size += _size(item.content)
        if len(chunk) >= at_once or size >= _MOST_BYTES_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(content: Content) -> int:
    if isinstance(content, File):
        return len(content.data)
    return content.pixels.nbytes if isinstance(content, Grey) else 0


def _can_be_sent(item: Item) -> bool:
    """Tell whether a picture is its own bytes; a page of a file would bring all others with it."""
    return isinstance(item.content, Grey) or (isinstance(item.content, File) and item.page is None)


def _sent(content: Content) -> Sent:
    """Return a picture as few bytes tell it."""
    if isinstance(content, File):
        return content.data, content.sha256, content.page
    assert isinstance(content, Grey)
    return content.pixels


def _received(sent: Sent) -> Item:
    return Item("", File(*sent) if isinstance(sent, tuple) else Grey(sent), None)


def _told(chunk: Chunk, answers: Future[list[Answer]]) -> Iterator[tuple[Item, Answer]]:
    return zip(chunk, answers.result(), strict=True)


class _Worker:
    """A process that reads chunks, one after the other, and the thread that talks to it."""

    def __init__(self, make: Callable[[], Answering]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=-1,
            start_new_session=True,  # Ctrl-C is for the one that keeps the place
        )
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(self._send, make)
        self._asked: list[Future[list[Answer]]] = []

    def close(self) -> None:
        """End it."""
        self._process.kill()  # whatever it is at: nobody waits for it any more
        self._thread.shutdown(cancel_futures=True)
        with suppress(OSError):  # of what was not sent
            self._process.communicate()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    @property
    def waiting(self) -> int:
        """How many chunks it has not read yet."""
        self._asked = [each for each in self._asked if not each.done()]
        return len(self._asked)

    def submit(self, chunk: list[Sent]) -> Future[list[Answer]]:
        """Have it read a chunk."""
        asked = self._thread.submit(self._ask, chunk)
        self._asked.append(asked)
        return asked

    def _ask(self, chunk: list[Sent]) -> list[Answer]:
        self._send(chunk)
        assert self._process.stdout is not None
        try:
            answers: list[Answer] = pickle.load(self._process.stdout)  # noqa: S301  # of a process of our own
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise WorkerError("a process that reads pictures has ended") from error
        return answers

    def _send(self, what: object) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerError("a process that reads pictures has ended") from error


def main() -> None:
    """Make what reads, as the first message says, and answer chunks until there are no more."""
    asked, answered = sys.stdin.buffer, sys.stdout.buffer
    try:
        answering: Answering = pickle.load(asked)()  # noqa: S301  # of the process that started this one
        while True:
            chunk: list[Sent] = pickle.load(asked)  # noqa: S301
            pickle.dump([answer for _, answer in answering.answers(map(_received, chunk))], answered)
            answered.flush()
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
