"""A pen in a hand: lines through points, drawn unevenly, as ink."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

type Stroke = NDArray[np.float64]
type Floats = NDArray[np.float32]

SIDE = 144  # of a drawing, in pixels
REACH = 96  # the longest side of what is drawn
_BOW = np.linspace(0, 1, 5)[1:, None]


def smooth(points: Stroke, closed: bool = False, steps: int = 6) -> Stroke:
    """Return a curve through points (Catmull and Rom, 1974)."""
    if len(points) < 3:
        return points
    if closed:
        knots = np.vstack([points[-1:], points, points[:2]])
    else:
        knots = np.vstack([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    share = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (knots[start : len(knots) - 3 + start, None] for start in range(4))
    curve = 0.5 * (
        2 * b + (c - a) * share + (2 * a - 5 * b + 4 * c - d) * share**2 + (3 * b - a - 3 * c + d) * share**3
    )
    return np.vstack([curve.reshape(-1, 2), knots[-2:-1]])


def slant(
    generator: Generator, degrees: float = 12, stretch: tuple[float, float] = (0.65, 1.35), shear: float = 0.25
) -> NDArray[np.float64]:
    """Return how a hand turns, stretches and slants what it writes: float64 (2, 2)."""
    angle = math.radians(generator.uniform(-degrees, degrees))
    width = math.exp(generator.uniform(math.log(stretch[0]), math.log(stretch[1])))
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[width, -generator.uniform(-shear, shear)], [0, 1]])


def unsteady(strokes: Iterable[Stroke], generator: Generator, amount: float = 0.03) -> list[Stroke]:
    """Return strokes as a hand draws them: bent as a whole, and straight lines bowed.

    Args:
        amount: by how much, in the units of the points.
    """
    # One smooth field moves all strokes, so that those which meet still do.
    waves, phases = generator.normal(0, 3, (4, 2)), generator.uniform(0, 2 * math.pi, 4)
    shifts = generator.normal(0, amount, (4, 2))
    drawn = []
    for stroke in strokes:
        points = _bowed(stroke, generator, amount) if len(stroke) < 8 else stroke
        ends = generator.normal(0, amount, 2)  # each stroke begins a little off
        drawn.append(points + np.sin(points @ waves.T + phases) @ shifts + ends)
    return drawn


def ink(strokes: Sequence[Stroke], width: float, *, filled: bool = False, level: int = 255) -> Floats:
    """Draw strokes as large as they fit.

    Args:
        width: of the pen, in pixels; what is drawn is 96 pixels high or wide.
        filled: whether closed strokes are filled.
        level: how much ink there is, of 255.

    Returns:
        float32 (144, 144), 0 paper to 1 ink.
    """
    everything = np.vstack(strokes)
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = REACH / max(float((high - low).max()), 0.05)
    image = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        trace(pen, (stroke - (low + high) / 2) * scale + SIDE / 2, width, filled=filled, level=level)
    return np.asarray(image, np.float32) / np.float32(255)


def trace(pen: ImageDraw.ImageDraw, points: Stroke, width: float, *, filled: bool = False, level: int = 255) -> None:
    """Draw one stroke, with round ends, in pixels."""
    line = [(float(x), float(y)) for x, y in points]
    radius = width / 2
    if filled and len(line) > 2:
        pen.polygon(line, fill=level)
    if len(line) > 1:
        pen.line(line, fill=level, width=max(1, round(width)), joint="curve")
    for x, y in (line[0], line[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=level)


def _bowed(stroke: Stroke, generator: Generator, amount: float) -> Stroke:
    """Return a polyline with its lines bowed a little, and points along them."""
    starts, ends = stroke[:-1], stroke[1:]
    if not len(starts):
        return stroke
    away = ends - starts
    across = np.stack([-away[:, 1], away[:, 0]], axis=1) * generator.normal(0, 1.3 * amount, (len(away), 1))
    between = starts[:, None] + away[:, None] * _BOW + 4 * across[:, None] * (_BOW * (1 - _BOW))
    return np.vstack([stroke[:1], between.reshape(-1, 2)])
