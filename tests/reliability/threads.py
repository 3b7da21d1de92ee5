"""Many threads on one model: each answer must be, bit for bit, what one thread alone gets."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
from PIL import Image

from digits import reading
from digits.errors import UnreadableDigitError
from digits.reading import Picture
from tests import events
from tests.reliability.rows import Row
from tests.reliability.world import World

THREADS = 64


def run(world: World, predictions: int = 10_000) -> Iterator[Row]:
    """Read digits and numbers from 64 threads."""
    world.reset()
    loaded = world.registry.load()
    pictures = _pictures()

    def answer(number: int) -> bytes:
        picture = pictures[number]
        try:
            return reading.read(picture, loaded).probabilities.tobytes()
        except UnreadableDigitError as error:
            return error.verdict.encode()

    lines = [golden.pixels() for golden in loaded.manifest.reader.goldens] if loaded.manifest.reader else []

    def logits(number: int) -> bytes:
        return loaded.numbers.get().network.logits(lines[number][None]).tobytes()

    for name, count, work in (("digits", len(pictures), answer), ("lines", len(lines), logits)):
        row = Row("threads", f"{name}, {THREADS} threads")
        alone = [work(number) for number in range(count)]
        chance = random.Random(1)
        order = [chance.randrange(count) for _ in range(predictions if name == "digits" else predictions // 10)]

        def timed(number: int, work=work) -> tuple[int, bytes, float]:  # type: ignore[no-untyped-def]
            started = time.perf_counter()
            return number, work(number), time.perf_counter() - started

        with ThreadPoolExecutor(THREADS) as threads:
            for number, found, seconds in threads.map(timed, order):
                row.add(None if found == alone[number] else f"{name} {number} differs", seconds)
        row.figures = {"different_inputs": count}
        yield row


def _pictures() -> list[Picture]:
    """Return the sample digits in several sizes, places and polarities."""
    found = []
    for digit in range(10):
        with Image.open(BytesIO(events.digit_file(digit))) as image:
            grey = np.asarray(image.convert("L"))
        for side, invert in ((28, False), (28, True), (56, False), (200, True)):
            scaled = np.asarray(Image.fromarray(grey).resize((side, side)))
            found.append(Picture.of_pixels(255 - scaled if invert else scaled))
    return found
