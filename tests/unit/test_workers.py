"""Where blocking work is done."""

from __future__ import annotations

import asyncio
import threading

from functions.predict_api.workers import Workers


def test_work_is_done_in_a_thread_that_stays_or_on_the_spot() -> None:
    def where(suffix: str) -> str:
        return threading.current_thread().name + suffix

    here = threading.current_thread().name
    assert asyncio.run(Workers(threads=False).run(where, suffix="!")) == f"{here}!"
    assert asyncio.run(Workers(threads=True).run(where, "!")).startswith("digits")
