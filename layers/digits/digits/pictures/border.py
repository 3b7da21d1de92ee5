"""What is no part of a digit: a shadow; at the border a neighbour's end, a desk, a piece of a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.pictures.components import Component
from digits.pictures.windows import local_range

# Something inside the picture of at least this share of its shorter side is what the picture is about.
INSIDE = 0.18
# At the border, what covers this share of it is no digit, nor what lies in this outer share of the picture.
COVERING = 0.1
OUTER = 0.3
# A line has this share of the shorter side, and no larger area than this share of its length squared.
LINE = 0.3
LINE_AREA = 0.12
# Or it is nearly as long as the shorter side, and no thicker than two pixels and this share of its length.
LONG_LINE = 0.8
LONG_LINE_THICK = 0.04
# More than this many times the area of what is inside is left out only if it is a line.
LARGER = 1.5
# Along its rim, the ink of a stroke changes by at least this share of its mean within a few pixels. That of a shadow at
# the border by less than the second, as strokes that are cut off there are broad and soft in enlarged pictures.
SHARP = 0.65
SHARP_AT_BORDER = 0.85
WITHIN = 5
# What has a smaller share of the largest component's area is a speck, whatever its edges.
SPECK = 0.03


def shadows(labels: NDArray[np.intp], components: list[Component], ink: NDArray[np.float32]) -> list[Component]:
    """Return the components without sharp edges, such as dark corners.

    Args:
        ink: float32 (height, width), the ink of which the components are.
    """
    amounts = np.clip(127 * ink, 0, 255).astype(np.uint8)
    changes = local_range(amounts, WITHIN)

    def is_soft(each: Component) -> bool:
        touched = sides(each, labels.shape)
        own = labels[each.top : each.bottom, each.left : each.right] == each.label
        rim = own.copy()
        rim[1:-1, 1:-1] &= ~(own[:-2, 1:-1] & own[2:, 1:-1] & own[1:-1, :-2] & own[1:-1, 2:])
        box = slice(each.top, each.bottom), slice(each.left, each.right)
        if touched:  # where the picture ends, a shadow seems to as well
            whole = np.zeros(labels.shape, bool)
            whole[box] = rim
            whole[[0, -1]] = whole[:, [0, -1]] = False
            rim = whole[box]
        least = SHARP_AT_BORDER if touched else SHARP
        return bool(rim.any() and np.median(changes[box][rim]) < least * amounts[box][own].mean())

    return [each for each in components if each.area >= SPECK * components[0].area and is_soft(each)]


def at_border(labels: NDArray[np.intp], components: list[Component]) -> list[Component]:
    """Return the components that touch the border and are no part of a digit; none if nothing lies inside.

    Args:
        labels: intp (height, width), as `find_components` returns them.
    """
    height, width = labels.shape
    inside = [
        each for each in components if not sides(each, labels.shape) and each.longest >= INSIDE * min(labels.shape)
    ]
    if not inside:
        return []
    largest = max(each.area for each in inside)
    rim = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    covered = np.bincount(rim, minlength=len(components) + 1) / len(rim)

    def foreign(each: Component) -> bool:
        touched = sides(each, labels.shape)
        if not touched:
            return False
        if covered[each.label] >= COVERING or _is_line(each, min(labels.shape)):
            return True
        outer = (
            each.right <= OUTER * width
            or each.left >= (1 - OUTER) * width
            or each.bottom <= OUTER * height
            or each.top >= (1 - OUTER) * height
        )
        return (outer or touched >= 2) and each.area <= LARGER * largest

    return [each for each in components if foreign(each)]


def sides(each: Component, shape: tuple[int, ...]) -> int:
    """Return how many sides of the picture a component touches."""
    return (each.left == 0) + (each.top == 0) + (each.bottom == shape[0]) + (each.right == shape[1])


def _is_line(each: Component, side: int) -> bool:
    length = each.longest
    if each.area <= LINE_AREA * length**2 and length >= LINE * side:
        return True
    return each.area <= LONG_LINE_THICK * length**2 + 2 * length and length >= LONG_LINE * side
