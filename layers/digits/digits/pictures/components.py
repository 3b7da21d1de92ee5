"""Connected components of a mask, and groups of those that are close together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

type Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Component:
    """Pixels that touch each other, corners included.

    Attributes:
        label: its number in the labels, 1 or more.
        area: number of pixels.
        left, top, right, bottom: the box around it; right and bottom lie outside.
    """

    label: int
    area: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def longest(self) -> int:
        """Number of rows or columns, whichever are more."""
        return max(self.width, self.height)


@dataclass(frozen=True)
class Group:
    """Components that are close together, such as the body and the bar of a 5."""

    components: tuple[Component, ...]

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return sum(part.area for part in self.components)

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the box around all; right and bottom lie outside."""
        return (
            min(part.left for part in self.components),
            min(part.top for part in self.components),
            max(part.right for part in self.components),
            max(part.bottom for part in self.components),
        )

    @property
    def left(self) -> int:
        """First column."""
        return self.box[0]

    @property
    def top(self) -> int:
        """First row."""
        return self.box[1]

    @property
    def right(self) -> int:
        """Column after the last."""
        return self.box[2]

    @property
    def bottom(self) -> int:
        """Row after the last."""
        return self.box[3]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def middle(self) -> tuple[float, float]:
        """The column and the row half-way."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    def columns(self, overlap: float) -> list[Group]:
        """Return its parts that stand beside each other: they share fewer columns than a share of the narrower one."""
        columns: list[tuple[Component, ...]] = []
        for part in self.components:
            over = [column for column in columns if any(_overlap(part, other) >= overlap for other in column)]
            columns = [column for column in columns if column not in over] + [(part, *chain(*over))]
        return [Group(column) for column in columns]


def find_components(mask: Mask) -> tuple[NDArray[np.intp], list[Component]]:
    """Label the components of a mask by union-find over the runs of its rows (Rosenfeld and Pfaltz, 1966).

    Args:
        mask: bool (height, width). The time grows with its number of runs, so reduce large pictures first.

    Returns:
        intp (height, width), 0 where the mask is not set and the component's label elsewhere; the
        components, largest area first.
    """
    rows, starts, ends = find_runs(mask)
    if not len(rows):
        return np.zeros(mask.shape, np.intp), []
    roots = np.array(_roots(rows, starts, ends))
    numbers = np.cumsum(roots == np.arange(len(roots))) - 1  # a component's first run is its root
    labels, count = numbers[roots], int(numbers[-1]) + 1
    lengths = ends - starts
    areas = np.bincount(labels, lengths).astype(int)
    lows = np.full((2, count), max(mask.shape))
    highs = np.zeros((2, count), int)
    np.minimum.at(lows[0], labels, starts)
    np.minimum.at(lows[1], labels, rows)
    np.maximum.at(highs[0], labels, ends)
    np.maximum.at(highs[1], labels, rows + 1)
    boxes = np.concatenate([lows, highs]).T.tolist()
    components = [Component(index + 1, int(areas[index]), *boxes[index]) for index in range(count)]
    painted = np.zeros(mask.shape, np.intp)
    painted[mask] = np.repeat(labels + 1, lengths)
    return painted, sorted(components, key=lambda component: -component.area)


def grouped(components: list[Component], apart: float, speck: float) -> list[Group]:
    """Group components that are close together; the group with the most pixels comes first.

    Args:
        components: largest first, as found.
        apart: the gap from which components are separate, as a share of the largest box's longer side.
        speck: components smaller than this share of the largest one's area are left out.
    """
    reach = apart * max(max(part.right - part.left, part.bottom - part.top) for part in components)
    groups: list[tuple[Component, ...]] = []
    for component in components:
        if component.area < speck * components[0].area:
            break
        near = [group for group in groups if any(_gap(component, other) < reach for other in group)]
        groups = [group for group in groups if group not in near] + [(component, *chain(*near))]
    return sorted(map(Group, groups), key=lambda group: -group.area)


def _gap(one: Component, other: Component) -> int:
    across = max(one.left, other.left) - min(one.right, other.right)
    down = max(one.top, other.top) - min(one.bottom, other.bottom)
    return max(across, down)


def _overlap(one: Component, other: Component) -> float:
    """Return how many columns two components share, as a share of the narrower one's."""
    shared = min(one.right, other.right) - max(one.left, other.left)
    return shared / min(one.width, other.width)


def find_runs(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the row, first column and column after the last of every run, in reading order."""
    height, width = mask.shape
    apart = np.zeros((height, width + 1), np.bool_)  # so that no run goes on in the next row
    apart[:, :width] = mask
    flat = apart.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[:1].any():
        changes = np.concatenate([[0], changes])
    rows, starts = np.divmod(changes[::2], width + 1)
    return rows, starts, changes[1::2] - rows * (width + 1)


def _roots(rows: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> list[int]:
    """Return for each run the first run of its component."""
    parents = list(range(len(rows)))
    # `above` follows `run` one row higher; neither ever goes back.
    above, all_rows, all_starts, all_ends = 0, rows.tolist(), starts.tolist(), ends.tolist()
    for run, (row, start, end) in enumerate(zip(all_rows, all_starts, all_ends, strict=True)):
        while all_rows[above] < row - 1 or (all_rows[above] == row - 1 and all_ends[above] < start):
            above += 1
        touching = above
        while touching < run and all_rows[touching] == row - 1 and all_starts[touching] <= end:
            one, other = touching, run
            while parents[one] != one:
                parents[one] = one = parents[parents[one]]
            while parents[other] != other:
                parents[other] = other = parents[parents[other]]
            if one < other:
                parents[other] = one
            else:
                parents[one] = other
            touching += 1
    for run, parent in enumerate(parents):  # none is later than its run
        parents[run] = parents[parent]
    return parents
