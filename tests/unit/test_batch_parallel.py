"""Processes that read pictures beside this one."""

from __future__ import annotations

import json
import os
import signal
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

from digits.errors import ImageError
from functions.batch.answering import Answer, encoded
from functions.batch.contents import File, Grey, Item, Unusable
from functions.batch.errors import WorkerError
from functions.batch.parallel import ParallelAnswering, processors


@dataclass
class WhoReads:
    """Answers with the process that it is in, or ends it."""

    fatal: bool = False

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        for item in items:
            if self.fatal:
                os._exit(1)
            assert isinstance(item.content, File | Grey | Unusable)
            yield item, encoded({"read_by": os.getpid(), "sha256": item.content.sha256})


def pictures(count: int) -> list[Item]:
    return [Item(str(number), File(b"x", f"digest {number}"), number + 1) for number in range(count)]


def read(items: list[Item], *, fatal: bool = False) -> list[tuple[Item, dict[str, Any]]]:
    with closing(ParallelAnswering(WhoReads(), partial(WhoReads, fatal), 2, 4)) as answering:
        return [(item, json.loads(answer)) for item, answer in answering.answers(items)]


def readers(answers: Iterable[tuple[Item, Answer]]) -> set[int]:
    return {json.loads(answer)["read_by"] for _, answer in answers}


def test_answers_come_in_order_and_from_several_processes() -> None:
    items = pictures(400)
    told = read(items)
    assert [item.name for item, _ in told] == [item.name for item in items]
    assert [answer["sha256"] for _, answer in told] == [item.content.sha256 for item in items]
    assert 1 < len({answer["read_by"] for _, answer in told}) <= 3


def test_a_few_pictures_start_no_process() -> None:
    assert {answer["read_by"] for _, answer in read(pictures(4))} == {os.getpid()}
    assert read([]) == []


def test_what_cannot_be_sent_is_answered_here() -> None:
    items = [Item(str(number), Unusable(ImageError("no")), number + 1) for number in range(40)]
    assert {answer["read_by"] for _, answer in read(items)} == {os.getpid()}


def test_a_process_that_ends_is_told() -> None:
    with pytest.raises(WorkerError, match="has ended"):
        read(pictures(4_000), fatal=True)


def test_processes_read_again_until_they_are_closed() -> None:
    with closing(ParallelAnswering(WhoReads(), WhoReads, 2, 4)) as answering:
        early = answering.answers(pictures(4_000))
        others = readers(islice(early, 200)) - {os.getpid()}
        assert others <= readers(answering.answers(pictures(400)))
    for process in others:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_one_that_has_ended_is_started_again() -> None:
    with closing(ParallelAnswering(WhoReads(), WhoReads, 1, 4)) as answering:
        (other,) = readers(answering.answers(pictures(400))) - {os.getpid()}
        os.kill(other, signal.SIGKILL)
        while answering._workers[0].is_alive:
            time.sleep(0.01)
        assert len(list(answering.answers(pictures(400)))) == 400


def test_pages_of_one_file_are_read_here_as_each_would_bring_the_others() -> None:
    items = [Item("a.tif", File(b"x", "digest", page), page + 1, page=page + 1) for page in range(40)]
    assert {answer["read_by"] for _, answer in read(items)} == {os.getpid()}


def test_what_is_large_is_read_a_few_at_a_time() -> None:
    page = np.zeros((1_754, 1_240), np.uint8)
    alive: set[int] = set()

    def pages() -> Iterator[Item]:
        for number in range(60):
            pixels = page.copy()
            alive.add(number)
            weakref.finalize(pixels, alive.discard, number)
            yield Item(str(number), Grey(pixels), number + 1)
            assert len(alive) < 20

    with closing(ParallelAnswering(WhoReads(), WhoReads, 1, 256)) as answering:
        assert len(list(answering.answers(pages()))) == 60


@pytest.mark.parametrize(("megabytes", "most"), [("512", 1), ("1769", 1), ("3538", 2), ("10240", 5), ("", 1_000)])
def test_a_function_has_as_many_processors_as_its_memory_brings(megabytes: str, most: int) -> None:
    here = os.process_cpu_count() or 1
    assert processors({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": megabytes}) == min(here, most)
