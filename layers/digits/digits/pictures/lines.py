"""Straight lines in a mask of ink, whoever drew them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.pictures.components import Component, find_components, find_runs

type Mask = NDArray[np.bool_]
type Floats = NDArray[np.float32]
type Places = NDArray[np.intp]

# One run of a line is this share of the least span, or as is asked for, and there is hardly a gap.
LONG_RUN = 0.9
COVERED = 0.8
BRIDGED = 0.03
# Rise over run.
STEEPEST = 0.12
# Ink this many times as thick as the line, and a pixel more, belongs to a stroke that crosses it. More than this share
# of the line is bare.
CROSSING = 1.6
BARE = 0.35
# So does what has this many times as much ink, in the mean of so many pixels along the line.
INKED = 1.6
ALONG = 5


@dataclass(frozen=True)
class Ruling:
    """A straight line; x runs along it and y across.

    Attributes:
        upright: whether x runs down the picture.
        start, stop: where it begins and ends along x.
        rise, base: its middle is at y = base + rise x.
        thickness: median, in pixels.
        ink: median of the ink across it, with a pixel on either side.
        places: the x at which nothing crosses it; tops and bottoms are the y of its ink there, both included.
        crossed: the x at which something crosses it.
    """

    upright: bool
    start: int
    stop: int
    rise: float
    base: float
    thickness: float
    ink: float
    places: Places
    tops: Places
    bottoms: Places
    crossed: Places

    def at(self, x: float) -> float:
        """Return its y."""
        return self.base + self.rise * x

    @property
    def middle(self) -> float:
        """Return its y half-way."""
        return self.at((self.start + self.stop) / 2)

    @property
    def length(self) -> int:
        """Its extent along x."""
        return self.stop - self.start


class Candidates:
    """What may be straight lines along the rows of a mask: components of long runs that span a share of the width.

    Attributes:
        components: the largest first.
    """

    def __init__(self, mask: Mask, ink: Floats, span: float, run: float = LONG_RUN) -> None:
        self._mask, self._ink, self._span = mask, ink, span
        self._reach = 1 if max(mask.shape) < 200 else 2
        self.components: list[Component] = []
        spread = mask.copy()  # so that a line that drifts by a row stays one run
        for step in range(1, self._reach + 1):
            spread[step:] |= mask[:-step]
            spread[:-step] |= mask[step:]
        rows, starts, ends = find_runs(spread)
        long = ends - starts >= max(6, run * span * mask.shape[1])
        if long.any():
            changes = np.zeros((len(mask), mask.shape[1] + 1), np.int8)
            np.add.at(changes, (rows[long], starts[long]), 1)
            np.add.at(changes, (rows[long], ends[long]), -1)
            self._labels, components = find_components(np.cumsum(changes[:, :-1], axis=1) > 0)
            self.components = [each for each in components if each.width >= span * mask.shape[1]]

    def reach_the_border(self, near: float) -> bool:
        """Return whether one ends within some pixels of the border, close enough to be followed there."""
        width = self._mask.shape[1]
        return any(each.left <= near or each.right >= width - near for each in self.components)

    def lines(self, thickest: float, upright: bool) -> list[Ruling]:
        """Return those that are straight lines, no thicker than some pixels."""
        if not self.components:
            return []
        tracer = _Tracer(self._mask, self._ink, upright, reach=self._reach, thickest=thickest, span=self._span)
        found: list[Ruling] = []
        for component in self.components:
            line = tracer.trace(self._labels, component)
            if line and not any(is_same(line, other) for other in found):
                found.append(line)
        return found


class _Tracer:
    """Follows straight lines along the rows of a mask."""

    def __init__(self, mask: Mask, ink: Floats, upright: bool, *, reach: int, thickest: float, span: float) -> None:
        self._mask, self._upright = mask, upright
        self._thickest, self._span = thickest, span
        self._ink = ink
        self._steps = np.array(sorted(range(-reach - 1, reach + 2), key=abs))[:, None]
        # Further from a line than this nothing is looked at: what is as thick belongs to a stroke.
        self._far = math.ceil(CROSSING * thickest) + 2

    def trace(self, labels: Places, component: Component) -> Ruling | None:
        """Return the line that a component of long runs lies on, as far as it goes; None if it is no thin line."""
        fit = _fitted(labels, component)
        if fit is None or abs(fit[0]) > STEEPEST:
            return None
        height, width = self._mask.shape
        x = np.arange(width)
        # The nearest ink to the fit, from the middle outwards.
        rows = np.rint(fit[1] + fit[0] * x).astype(np.intp) + self._steps
        hits = self._mask[np.clip(rows, 0, height - 1), x] & (rows >= 0) & (rows < height)
        y, hit = rows[hits.argmax(axis=0), x], hits.any(axis=0)
        stretch = _longest_stretch(np.flatnonzero(hit), max(2, int(BRIDGED * width)), component)
        start, stop = int(stretch[0]), int(stretch[-1]) + 1
        if stop - start < self._span * width or len(stretch) < COVERED * (stop - start):
            return None
        tops, bottoms = self._ends(y[stretch], stretch)
        thick = bottoms - tops + 1
        thickness = _middle(thick)
        bare = thick <= CROSSING * thickness + 1
        if thickness > self._thickest:
            return None
        ink = self._amounts(tops[bare], bottoms[bare], stretch[bare])
        not_inked = ~_inked(ink)
        bare[bare], ink = not_inked, ink[not_inked]
        if np.count_nonzero(bare) < BARE * len(bare):
            return None
        return Ruling(
            upright=self._upright,
            start=start,
            stop=stop,
            rise=fit[0],
            base=fit[1],
            thickness=thickness,
            ink=_middle(ink),
            places=stretch[bare],
            tops=tops[bare],
            bottoms=bottoms[bare],
            crossed=stretch[~bare],
        )

    def _ends(self, y: Places, x: Places) -> tuple[Places, Places]:
        """Return where runs of ink up and down from pixels begin and end; they are followed `_far` each way."""
        rows = y + np.arange(-self._far, self._far + 1)[:, None]
        inside = self._mask[np.clip(rows, 0, len(self._mask) - 1), x] & (rows >= 0) & (rows < len(self._mask))
        up = np.logical_and.accumulate(inside[self._far :: -1], axis=0).sum(axis=0)
        down = np.logical_and.accumulate(inside[self._far :], axis=0).sum(axis=0)
        return y - up + 1, y + down - 1

    def _amounts(self, tops: Places, bottoms: Places, x: Places) -> Floats:
        """Return how much ink there is across a line, with a pixel on either side."""
        rows = tops - 1 + np.arange(int((bottoms - tops).max(initial=0)) + 3)[:, None]
        inside = (rows >= 0) & (rows <= np.minimum(bottoms + 1, len(self._ink) - 1))
        amounts: Floats = np.where(inside, self._ink[np.clip(rows, 0, len(self._ink) - 1), x], np.float32(0)).sum(
            axis=0
        )
        return amounts


def _fitted(labels: Places, component: Component) -> tuple[float, float] | None:
    """Return rise and base of the straight line through a component, where it is thin."""
    part = labels[component.top : component.bottom, component.left : component.right] == component.label
    rows = np.arange(component.top, component.bottom, dtype=np.float32)
    thick, total = np.stack([np.ones_like(rows), rows]) @ part.astype(np.float32)
    x = np.flatnonzero(thick)
    thick, y = thick[x], total[x] / thick[x].astype(np.float64)
    x = x + component.left
    good = thick <= np.sort(thick)[len(thick) // 3] + 1
    rise = base = 0.0
    for _ in range(3):
        if good.sum() < max(4, 0.3 * len(x)):
            return None
        mean_x, mean_y = x[good].mean(), y[good].mean()
        away = x[good] - mean_x
        rise = float(away @ (y[good] - mean_y) / (away @ away))
        base = float(mean_y - rise * mean_x)
        off = np.abs(y - base - rise * x)
        before, good = good, off <= max(1.5, 2 * _middle(off[good]) + 0.5)
        if np.array_equal(before, good):
            break
    return rise, base


def _inked(ink: Floats) -> Mask:
    """Return where a line has far more ink than usual: there a stroke lies on it."""
    if len(ink) < ALONG:
        return np.zeros(len(ink), np.bool_)
    padded = np.concatenate([ink[: ALONG // 2], ink, ink[-(ALONG // 2) :]])
    smooth = np.convolve(padded, np.full(ALONG, 1 / ALONG, np.float32), "valid")
    return smooth > INKED * _middle(smooth)


def _middle(values: NDArray[np.number]) -> float:
    """Return the median, the upper one of two; much faster than NumPy's for a few values."""
    return float(np.sort(values)[len(values) // 2])


def _longest_stretch(x: Places, gap: int, component: Component) -> Places:
    """Return the places without a larger gap that share most with a component."""
    gaps = np.flatnonzero(x[1:] - x[:-1] > gap + 1)
    if not len(gaps):
        return x
    stretches = np.split(x, gaps + 1)
    return max(stretches, key=lambda each: int(((each >= component.left) & (each < component.right)).sum()))


def is_same(one: Ruling, other: Ruling) -> bool:
    """Return whether two rulings are one line that was found twice."""
    if one.upright != other.upright:
        return False
    middle = (one.start + one.stop) / 2
    overlap = min(one.stop, other.stop) > max(one.start, other.start)
    return overlap and abs(one.at(middle) - other.at(middle)) < max(2, one.thickness)
