"""Blank sheets in the light in which people photograph them: none of them shows a digit.

Each is a pure function of a random generator, and returns a picture, uint8 (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator

from training.drawing import Pixels, blurred, grey, jpeg
from training.paper import Paper


def vignette(generator: Generator) -> Pixels:
    """Return a blank sheet whose corners are 60 to 120 grey levels darker."""
    paper = Paper(generator)
    paper.darken_corners()
    return paper.photo()


def dark_corners(generator: Generator) -> Pixels:
    """Return a blank sheet with one to three dark corners."""
    paper = Paper(generator)
    for corner in generator.choice(4, int(generator.integers(1, 4)), replace=False):
        x, y = (corner % 2 - 0.5) * paper.width, (corner // 2 - 0.5) * paper.side
        distance = np.hypot(paper.x - np.float32(x), paper.y - np.float32(y)) / paper.side
        fall = np.clip(1 - distance / np.float32(generator.uniform(0.3, 0.8)), 0, 1)
        paper.light *= 1 - np.float32(generator.uniform(0.25, 0.6)) * fall ** np.float32(generator.uniform(1, 2))
    return paper.photo()


def gradient(generator: Generator) -> Pixels:
    """Return a blank sheet that is up to four times as bright on one side as on the other."""
    paper = Paper(generator)
    across = paper.turned(generator.uniform(0, 2 * math.pi))[0]
    share = (across - across.min()) / np.ptp(across)
    paper.light *= 1 - np.float32(generator.uniform(0.2, 0.75)) * share ** np.float32(generator.uniform(0.7, 2))
    return paper.photo()


def hand_shadow(generator: Generator) -> Pixels:
    """Return a blank sheet with the shadow of a hand: a palm at the border and fingers."""
    paper = Paper(generator)
    ahead, aside = (each / paper.side for each in paper.turned(generator.uniform(0, 2 * math.pi)))
    ahead += np.float32(generator.uniform(0.1, 0.5))
    shape = (ahead**2 / np.float32(0.1) + aside**2 / np.float32(0.06) < 1).astype(np.float32)
    for finger in range(4):
        middle, width = 0.13 * (finger - 1.5) + generator.uniform(-0.02, 0.02), generator.uniform(0.035, 0.055)
        past = np.clip(ahead - np.float32(generator.uniform(0.4, 0.75)), 0, None)
        shape[(np.hypot(past, aside - np.float32(middle)) < width) & (ahead > 0)] = 1
    shape = blurred(shape, generator.uniform(0.006, 0.05) * paper.side)
    paper.light *= 1 - np.float32(generator.uniform(0.2, 0.6)) * shape
    return paper.photo()


def texture(generator: Generator) -> Pixels:
    """Return blank paper with grain, fine or coarse."""
    paper = Paper(generator)
    grain = blurred(generator.standard_normal(paper.ink.shape, np.float32), generator.uniform(0.5, 4))
    paper.printed += np.clip(np.float32(generator.uniform(0.01, 0.06)) * grain / grain.std(), 0, 1)
    return paper.photo()


def compressed(generator: Generator) -> Pixels:
    """Return a blank sheet in even light as JPEG of low quality."""
    paper = Paper(generator)
    noise = generator.normal(0, generator.uniform(1, 8), paper.ink.shape)
    return jpeg(grey(255 * paper.white * paper.light + noise), int(generator.integers(10, 40)))


def ruled(generator: Generator, upright: bool = False) -> Pixels:
    """Return a blank sheet of ruled or squared paper."""
    paper = Paper(generator)
    every, dark = generator.uniform(0.12, 0.6) * paper.side, paper.dark * generator.uniform(0.25, 1)
    if upright:
        paper.print_squares(every, dark)
    else:
        paper.print_lines(paper.line(False, generator.uniform(0, every), paper.thickness(0.006, 0.02), every), dark)
    return paper.photo()


BLANKS: dict[str, Callable[[Generator], Pixels]] = {
    "vignette": vignette,
    "dark corners": dark_corners,
    "gradient": gradient,
    "shadow of a hand": hand_shadow,
    "texture": texture,
    "JPEG": compressed,
    "ruled": ruled,
    "squared": partial(ruled, upright=True),
}
