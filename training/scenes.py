"""Digits on real paper: in cells, on rulings, beside neighbours, in shadows, on desks.

Each scene is a pure function like the other distortions: it takes an MNIST image, uint8 (28, 28), ink bright, and a
random generator, and returns a picture, uint8 (height, width), dark ink on bright paper. The digit is whole.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from training.drawing import Floats, Pixels, blurred
from training.paper import Paper

LARGE = 160  # the least side, in pixels, where light or a desk is the matter


def cell(image: Pixels, generator: Generator) -> Pixels:
    """Write into a printed box or comb box; in a part of them the lines run on, as in a table."""
    paper = Paper(generator)
    thick = paper.thickness()
    left, top = generator.uniform(0.04, 0.11, 2) * (paper.width, paper.side)
    right, bottom = (1 - generator.uniform(0.04, 0.11, 2)) * (paper.width, paper.side)
    paper.write(image, (left + thick, top + thick, right - thick, bottom - thick), (0.5, 0.78))
    kind = generator.choice(("box", "box", "table", "comb"))
    high = top + (generator.uniform(0, 0.6) * (bottom - top) if kind == "comb" else 0) - thick / 2
    sideways = 1 if kind == "table" else paper.between(True, left - thick / 2, right + thick / 2)
    upwards = 1 if kind == "table" else paper.between(False, high, bottom + thick / 2)
    dark = paper.dark * generator.uniform(0.55, 1.15)
    paper.print_lines(paper.line(False, bottom, thick) * sideways, dark)
    if kind != "comb":
        paper.print_lines(paper.line(False, top, thick) * sideways, dark)
    for at in (left, right):
        paper.print_lines(paper.line(True, at, thick) * upwards, dark)
    return paper.photo()


def cut_cell(image: Pixels, generator: Generator) -> Pixels:
    """Write into a cell that is cut out along its lines: some of its sides are at the very border."""
    paper = Paper(generator)
    paper.write(image)
    sides = generator.random(4) < 0.75
    for side in np.flatnonzero(sides) if sides.any() else range(4):
        paper.print_border(int(side), generator.uniform(-0.005, 0.035))
    return paper.photo()


def ruled(image: Pixels, generator: Generator) -> Pixels:
    """Write on ruled paper, in a part of them with a margin line."""
    paper = Paper(generator)
    paper.write(image)
    every = generator.uniform(0.35, 1.1) * (paper.box[3] - paper.box[1])
    dark = paper.dark * generator.uniform(0.35, 0.9)
    thick = paper.thickness(0.006, 0.02)
    paper.print_lines(paper.line(False, generator.uniform(0, every), thick, every), dark)
    if generator.random() < 0.2:
        paper.print_lines(paper.line(True, generator.uniform(0.02, 0.1) * paper.width, thick), dark)
    return paper.photo()


def squared(image: Pixels, generator: Generator) -> Pixels:
    """Write on squared paper, in a part of them with a pencil that is no darker than the squares."""
    paper = Paper(generator)
    paper.write(image)
    dark = paper.dark * generator.uniform(0.25, 0.75)
    if generator.random() < 0.25:
        paper.dark = generator.uniform(0.3, 0.5)
        dark = paper.dark * generator.uniform(0.9, 1.1)
    paper.print_squares(generator.uniform(0.22, 0.6) * (paper.box[3] - paper.box[1]), dark)
    return paper.photo()


def edge_line(image: Pixels, generator: Generator) -> Pixels:
    """Leave a line of a table or the sheet's edge at one border, in half of them with a neighbour."""
    paper = Paper(generator)
    paper.write(image)
    side, share = int(generator.integers(4)), generator.uniform(0, 0.06)
    if generator.random() < 0.5:
        _write_neighbour(paper, image)
    if generator.random() < 0.6:
        paper.print_border(side, share)
        return paper.photo()
    reflected = paper.reflected()
    length = paper.side if side % 2 else paper.width
    beyond = paper.between(side % 2 == 0, -length, share * length)
    if side > 1:
        beyond = paper.between(side % 2 == 0, (1 - share) * length, 2 * length)
    return paper.photo(reflected + (np.float32(generator.uniform(0.1, 0.5)) - reflected) * beyond)


def neighbour(image: Pixels, generator: Generator) -> Pixels:
    """Leave a part of the next digit at the border, or a comma, a dot or its tail behind the digit, or both."""
    paper = Paper(generator)
    paper.write(image, (0.08 * paper.width, 0, 0.92 * paper.width, paper.side))
    both = generator.random()
    if both < 0.8:
        _write_neighbour(paper, image)
    if both > 0.6:
        _write_mark(paper)
    return paper.photo()


def underline(image: Pixels, generator: Generator) -> Pixels:
    """Underline the digit once or twice; in a part of them the line touches it or crosses its foot."""
    paper = Paper(generator)
    paper.write(image, (0, 0, paper.width, 0.92 * paper.side), (0.4, 0.68))
    left, top, right, bottom = paper.box
    height = bottom - top
    thick = max(1.2, height * generator.uniform(0.02, 0.07))
    touching = generator.random() < 0.4
    at = bottom + height * (generator.uniform(-0.1, 0.03) if touching else generator.uniform(0.06, 0.16))
    over = np.maximum(0.2 * height, (right - left) * generator.uniform(0.1, 0.6, 2))
    bow = generator.uniform(-0.04, 0.04) * height * np.cos(paper.along / np.float32(0.6 * height))
    lines = np.zeros_like(paper.ink)
    for each in (at, at + thick + height * generator.uniform(0.04, 0.09))[: 2 if generator.random() < 0.3 else 1]:
        distance = np.abs(paper.down + paper.side / 2 - each + bow.astype(np.float32))
        np.maximum(lines, np.clip(thick / 2 + 0.5 - distance, 0, 1), out=lines)
    if generator.random() < 0.8:
        lines *= paper.between(True, left - over[0], right + over[1])
    paper.print_lines(lines, paper.dark * generator.uniform(0.8, 1.1))
    return paper.photo()


def shadow(image: Pixels, generator: Generator) -> Pixels:
    """Let a shadow, sharp or soft, straight or bent, fall over half of the picture."""
    paper = Paper(generator, LARGE)
    paper.write(image)
    across, along = paper.turned(generator.uniform(0, 2 * math.pi))
    bent = generator.uniform(-0.25, 0.25) * np.abs(along)
    distance = (across - bent) / paper.side - generator.uniform(-0.25, 0.3)
    inside = 1 / (1 + np.exp(np.clip(-distance / generator.uniform(0.004, 0.05), -30, 30)))
    paper.light *= (1 - generator.uniform(0.35, 0.65) * inside).astype(np.float32)
    return paper.photo()


def vignette(image: Pixels, generator: Generator) -> Pixels:
    """Let the light fall off towards the corners by 60 to 120 grey levels."""
    paper = Paper(generator, LARGE)
    paper.write(image)
    paper.darken_corners()
    return paper.photo()


def desk(image: Pixels, generator: Generator) -> Pixels:
    """Show an edge or a corner of the sheet on a darker or brighter desk, never under the digit."""
    paper = Paper(generator, LARGE)
    paper.write(image, tall=(0.3, 0.5))
    brighter = generator.random() < 0.25
    paper.white = generator.uniform(0.45, 0.65) if brighter else paper.white
    tone = generator.uniform(0.85, 0.97) if brighter else generator.uniform(0.08, 0.45) * paper.white
    left, top, right, bottom = np.array(paper.box) - (paper.width / 2, paper.side / 2) * 2
    angle = generator.uniform(0, 2 * math.pi)
    beyond = np.zeros_like(paper.ink)
    for turn in (0, math.pi / 2)[: 2 if generator.random() < 0.3 else 1]:
        sine, cosine = math.sin(angle + turn), math.cos(angle + turn)
        reach = max(x * cosine + y * sine for x in (left, right) for y in (top, bottom))
        farthest = abs(cosine) * paper.width / 2 + abs(sine) * paper.side / 2
        at = reach + max(0.04 * paper.side, generator.uniform(0.1, 0.8) * (farthest - reach))
        np.maximum(beyond, np.clip(paper.turned(angle + turn)[0] - np.float32(at) + 0.5, 0, 1), out=beyond)
    wood = blurred(generator.standard_normal(beyond.shape, np.float32), 3) * np.float32(generator.uniform(0, 0.2))
    reflected = paper.reflected()
    return paper.photo(reflected + (np.clip(tone + wood, 0, 1) - reflected) * beyond)


def several(images: Pixels, generator: Generator) -> Pixels:
    """Write some digits, uint8 (n, 28, 28), beside each other at gaps of 0.05 to 0.3 of their height."""
    paper = Paper(generator, LARGE // 2)
    gaps = generator.uniform(0.05, 0.3, len(images) - 1)
    wide = gaps.sum() + sum(pen.shape[1] / 112 for pen in (paper.pen(image, 112) for image in images))
    height = min(generator.uniform(0.3, 0.6) * paper.side, 0.8 * paper.width / wide)
    x = (paper.width - height * wide) * generator.uniform(0.2, 0.8)
    y = (paper.side - height) * generator.uniform(0.2, 0.8)
    for image, gap in zip(images, [*gaps, 0], strict=True):
        pen = paper.pen(image, height * generator.uniform(0.9, 1))
        x = paper.put(pen, x, y + generator.uniform(0, 1) * (height - pen.shape[0]))[2] + height * gap
    return paper.photo()


def _write_neighbour(paper: Paper, image: Pixels) -> None:
    """Write what looks like another digit of this hand, a turned piece of the digit, at the left or right border."""
    generator = paper.generator
    left, top, right, bottom = paper.box
    flips = generator.choice((-1, 1), 2)
    piece = paper.pen(image[:: flips[0], :: flips[1]], (bottom - top) * generator.uniform(0.85, 1.15))
    free = max(0.06 * paper.width, 0.08 * (bottom - top))
    to_left = left > paper.width - right
    room = max(2.0, (left if to_left else paper.width - right) - free)
    width = min(room, max(3.0, piece.shape[1] * generator.uniform(0.12, 0.45)))
    y = top + generator.uniform(-0.1, 0.1) * (bottom - top)
    paper.put(piece, width - piece.shape[1] if to_left else paper.width - width, y)


def _write_mark(paper: Paper) -> None:
    """Write a dot or a comma at the digit's lower right, or a tail that comes in from the right border."""
    generator = paper.generator
    _, top, right, bottom = paper.box
    height = bottom - top
    radius = np.float32(max(1.0, height * generator.uniform(0.03, 0.055)))
    x, y = right + height * generator.uniform(0.1, 0.18), bottom - height * generator.uniform(-0.02, 0.08)
    kind = generator.choice(("dot", "comma", "tail"))
    end = {"dot": (x, y), "comma": (x - 0.05 * height, y + 0.12 * height)}.get(
        str(kind), (paper.width + height, y - height * generator.uniform(-0.1, 0.8))
    )
    paper.ink = np.maximum(paper.ink, _stroke(paper, (x, y), end, float(radius) * (0.7 if kind == "tail" else 1)))


def _stroke(paper: Paper, start: tuple[float, float], end: tuple[float, float], radius: float) -> Floats:
    """Return the ink of a straight stroke with round ends."""
    x, y = paper.x + np.float32(paper.width / 2 - start[0]), paper.y + np.float32(paper.side / 2 - start[1])
    u, v = end[0] - start[0], end[1] - start[1]
    share = np.clip((x * np.float32(u) + y * np.float32(v)) / np.float32(max(1e-6, u * u + v * v)), 0, 1)
    return np.clip(np.float32(radius + 0.5) - np.hypot(x - share * np.float32(u), y - share * np.float32(v)), 0, 1)
