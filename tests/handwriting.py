"""Digits as a hand writes them, as strokes of a pen."""

from __future__ import annotations

from collections.abc import Sequence

type Stroke = list[tuple[float, float]]

# Points that the pen passes, as shares of the digit's width and height.
_PASSED: dict[str, Sequence[tuple[float, float]]] = {
    "0": [
        (0.62, 0.02),
        (0.28, 0.08),
        (0.06, 0.36),
        (0.04, 0.68),
        (0.25, 0.96),
        (0.6, 0.98),
        (0.9, 0.74),
        (0.96, 0.38),
        (0.78, 0.1),
        (0.5, 0.03),
    ],
    "2": [
        (0.06, 0.24),
        (0.24, 0.05),
        (0.55, 0.0),
        (0.86, 0.12),
        (0.9, 0.34),
        (0.68, 0.58),
        (0.36, 0.8),
        (0.04, 0.97),
        (0.34, 0.93),
        (0.66, 0.98),
        (1.0, 0.95),
    ],
    "6": [
        (0.78, 0.0),
        (0.46, 0.16),
        (0.18, 0.45),
        (0.06, 0.72),
        (0.22, 0.95),
        (0.54, 1.0),
        (0.86, 0.86),
        (0.9, 0.66),
        (0.64, 0.54),
        (0.32, 0.62),
        (0.12, 0.8),
    ],
}
# Where the first digit begins, where it stands, how wide and high it is, and how far the next one is from it.
_LEFT, _FOOT, _WIDTH, _HEIGHT, _GAP = 0.07, 0.65, 0.165, 0.3, 0.06
# A hand does not repeat itself: width, height and height of the foot of one digit after the other.
_WANDER = [(1.0, 1.0, 0.0), (0.88, 0.92, -0.04), (1.06, 0.95, 0.03), (0.94, 1.06, -0.02)]
_STEPS = 2  # between two points that are passed


def strokes_of(text: str) -> list[Stroke]:
    """Return the strokes of up to four of the digits 0, 2 and 6 across a sheet, as shares of its sides."""
    strokes, left = [], _LEFT
    for digit, (wider, higher, lift) in zip(text, _WANDER, strict=False):
        width, height = wider * _WIDTH, higher * _HEIGHT
        top = _FOOT + lift * _HEIGHT - height
        strokes.append([(left + x * width, top + y * height) for x, y in _curve(_PASSED[digit])])
        left += width + _GAP
    return strokes


def _curve(points: Sequence[tuple[float, float]]) -> Stroke:
    """Return a smooth line through points: a Catmull-Rom spline."""
    padded = [points[0], *points, points[-1]]
    line = [points[0]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, _STEPS + 1):
            t = step / _STEPS
            x, y = (
                0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                for p, q, r, s in zip(a, b, c, d, strict=True)
            )
            line.append((x, y))
    return line
