"""Rulings: straight lines that are printed on paper, as cells, tables and squared paper have them.

They are found in a mask of the ink, told from the strokes of a digit, and given as the pixels to erase. Where a stroke
crosses a line, its pixels stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.pictures.components import Component, find_components, find_runs

type Mask = NDArray[np.bool_]
type Places = NDArray[np.intp]

# A line spans this share of the picture, one run a share of that, with hardly a gap.
SPAN = 0.3
LONG_RUN = 0.9
COVERED = 0.8
BRIDGED = 0.03
# Rise over run.
STEEPEST = 0.12
# No thicker than this share of the picture's longer side; of a wide picture, of two and a half times its shorter one.
THICKEST = 0.055
# It ends within this share of the border, or of a line across it.
ANCHORED = 0.035
# Ink this many times as thick as the line, and a pixel more, belongs to a stroke that crosses it.
CROSSING = 1.6
# A comb's teeth touch other lines along no more than this share of their length.
TOUCHED = 0.15
# Something of this share of the shorter side is left when all lines are gone, or they were strokes.
REMAINDER = 0.16
# Lines that are no thicker than this share of the longer side are none of a digit that fills the picture, but for a 1.
FINE = 0.04
# A line on its own that touches a stroke is one itself, unless it goes on by this share of its length on both sides.
OVERHANG = 0.08
# Thinner lines, in pixels, are hairlines.
HAIRLINE = 2
# A stroke that goes on does so within this many pixels of its straight part.
FURTHER = 3
# In the box around a digit, a line on either side is this close to it, as a share of the box. An underline lies in the
# lower part, has hardly any ink below, and goes on by this share of its length on both sides of what touches it.
ASIDE = 0.12
UPRIGHT = 0.6
ALL_ACROSS = 0.75
THICKEST_AROUND = 0.1
LOWER = 0.6
BELOW = 0.2
FREE = 0.18


@dataclass(frozen=True)
class Ruling:
    """A straight line; x runs along it and y across.

    Attributes:
        upright: whether x runs down the picture.
        start, stop: where it begins and ends along x.
        rise, base: its middle is at y = base + rise x.
        thickness: median, in pixels.
        places: the x at which nothing crosses it; tops and bottoms are the y of its ink there, both included.
        crossed: the x at which something crosses it.
    """

    upright: bool
    start: int
    stop: int
    rise: float
    base: float
    thickness: float
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


def find_rulings(mask: Mask, known: Sequence[Ruling] = ()) -> list[Ruling]:
    """Return the printed lines of a picture; none if they may be strokes, as too little else is left for a digit.

    Args:
        mask: bool (height, width) of ink, its longer side a few hundred pixels at most.
        known: lines that were erased from it before; what is like them is no stroke.
    """
    candidates = _Candidates(mask, SPAN), _Candidates(mask.T, SPAN)
    framed = all(len(each.components) > 1 for each in candidates)
    if not framed and not any(each.reach_the_border() for each in candidates):
        return []
    thickest = _pixels(THICKEST, mask.shape)
    level, upright = (each.lines(thickest, bool(turned)) for turned, each in enumerate(candidates))
    level, upright = _anchored(level, upright, mask.shape)
    labels, left = _left(mask, [*level, *upright])
    if any(_goes_on(line, labels, left) for line in (*level, *upright)):
        level, upright = ([each for each in lines if not _goes_on(each, labels, left)] for lines in (level, upright))
        labels, left = _left(mask, [*level, *upright])
    if not level and not upright:
        return []
    if not left:
        fine = max(2, FINE * max(mask.shape), 1 + max((line.thickness for line in known), default=0))
        enough = level or len(upright) > 1 or len(known) > 1
        return [*level, *upright] if enough and all(line.thickness <= fine for line in (*level, *upright)) else []
    return [line for lines in (level, upright) for line in lines if not _is_stroke(line, lines, labels, left)]


def find_surroundings(mask: Mask) -> list[Ruling]:
    """Return the printed lines in the box around a digit, which need not go on: a frame, a comb's tooth, an underline.

    Args:
        mask: as for `find_rulings`, cropped to the digit with what touches it or lies close to it.
    """
    thickest = _pixels(THICKEST_AROUND, mask.shape)
    across = _Candidates(mask, ALL_ACROSS).lines(thickest, upright=False)
    upright = _Candidates(mask.T, UPRIGHT).lines(thickest, upright=True) if across else []
    framing = _framing(across, upright, mask.shape)
    lines = framing or [line for line in across if line.middle >= LOWER * len(mask)]
    if not lines:
        return []
    labels, components = find_components(mask & ~erased(lines, mask.shape))
    left = [each for each in components if each.height >= 2 * REMAINDER * len(mask)]
    if framing or not left:
        return lines if left else []
    top = round(min(line.middle - line.thickness for line in lines))
    digit = np.isin(labels, [each.label for each in left])
    if digit[top:].sum() > BELOW * digit.sum() or any(_is_base(line, mask) for line in lines):
        return []
    return lines


def erased(rulings: Sequence[Ruling], shape: tuple[int, ...]) -> Mask:
    """Return the mask of the lines' ink and a pixel on either side, without what crosses them."""
    mask = np.zeros(shape, bool)
    for line in rulings:
        target = mask.T if line.upright else mask
        first, last = np.maximum(line.tops - 1, 0), np.minimum(line.bottoms + 1, len(target) - 1)
        for step in range(int((last - first).max(initial=-1)) + 1):
            inside = first + step <= last
            target[first[inside] + step, line.places[inside]] = True
    return mask


def _pixels(thickest: float, shape: tuple[int, ...]) -> float:
    """Return how thick a line may be."""
    return max(2.5, thickest * min(max(shape), 2.5 * min(shape)))


class _Candidates:
    """What may be straight lines along the rows of a mask: components of long runs that span a share of the width.

    Attributes:
        components: the largest first.
    """

    def __init__(self, mask: Mask, span: float) -> None:
        self._mask, self._span = mask, span
        self._reach = 1 if max(mask.shape) < 200 else 2
        self.components: list[Component] = []
        spread = mask.copy()  # so that a line that drifts by a row stays one run
        for step in range(1, self._reach + 1):
            spread[step:] |= mask[:-step]
            spread[:-step] |= mask[step:]
        rows, starts, ends = find_runs(spread)
        long = ends - starts >= max(6, LONG_RUN * span * mask.shape[1])
        if long.any():
            changes = np.zeros((len(mask), mask.shape[1] + 1), np.int8)
            np.add.at(changes, (rows[long], starts[long]), 1)
            np.add.at(changes, (rows[long], ends[long]), -1)
            self._labels, components = find_components(np.cumsum(changes[:, :-1], axis=1) > 0)
            self.components = [each for each in components if each.width >= span * mask.shape[1]]

    def reach_the_border(self) -> bool:
        """Return whether one ends close enough to the border to be followed there."""
        width = self._mask.shape[1]
        near = 2 * ANCHORED * max(self._mask.shape) + 3
        return any(each.left <= near or each.right >= width - near for each in self.components)

    def lines(self, thickest: float, upright: bool) -> list[Ruling]:
        """Return those that are straight lines, no thicker than some pixels."""
        if not self.components:
            return []
        tracer = _Tracer(self._mask, upright, self._reach, thickest, self._span)
        found: list[Ruling] = []
        for component in self.components:
            line = tracer.trace(self._labels, component)
            if line and not any(_same(line, other) for other in found):
                found.append(line)
        return found


class _Tracer:
    """Follows straight lines along the rows of a mask."""

    def __init__(self, mask: Mask, upright: bool, reach: int, thickest: float, span: float) -> None:
        self._mask, self._upright, self._reach = mask, upright, reach
        self._thickest, self._span = thickest, span
        height, _ = mask.shape
        rows = np.arange(height)[:, None]
        # For every pixel of ink: where the run of ink up and down from it begins and ends.
        self._tops = np.maximum.accumulate(np.where(mask, 0, rows + 1), axis=0)
        self._bottoms = np.minimum.accumulate(np.where(mask, height - 1, rows - 1)[::-1], axis=0)[::-1]

    def trace(self, labels: Places, component: Component) -> Ruling | None:
        """Return the line that a component of long runs lies on, as far as it goes; None if it is no thin line."""
        fit = _fitted(labels, component)
        if fit is None or abs(fit[0]) > STEEPEST:
            return None
        height, width = self._mask.shape
        x = np.arange(width)
        middle = np.rint(fit[1] + fit[0] * x).astype(np.intp)
        y = middle.copy()
        hit = np.zeros(width, bool)
        for step in sorted(range(-self._reach - 1, self._reach + 2), key=abs):
            row = middle + step
            here = ~hit & (row >= 0) & (row < height)
            here[here] = self._mask[row[here], x[here]]
            y[here], hit = row[here], hit | here
        stretch = _longest_stretch(np.flatnonzero(hit), max(2, int(BRIDGED * width)), component)
        start, stop = int(stretch[0]), int(stretch[-1]) + 1
        if stop - start < self._span * width or len(stretch) < COVERED * (stop - start):
            return None
        tops, bottoms = self._tops[y[stretch], stretch], self._bottoms[y[stretch], stretch]
        thick = bottoms - tops + 1
        thickness = _middle(thick)
        bare = thick <= CROSSING * thickness + 1
        if thickness > self._thickest or bare.mean() < 0.35:
            return None
        return Ruling(
            upright=self._upright,
            start=start,
            stop=stop,
            rise=fit[0],
            base=fit[1],
            thickness=thickness,
            places=stretch[bare],
            tops=tops[bare],
            bottoms=bottoms[bare],
            crossed=stretch[~bare],
        )


def _fitted(labels: Places, component: Component) -> tuple[float, float] | None:
    """Return rise and base of the straight line through a component, where it is thin."""
    part = labels[component.top : component.bottom, component.left : component.right] == component.label
    thick = part.sum(axis=0)
    x = np.flatnonzero(thick)
    thick = thick[x]
    y = (part * np.arange(component.top, component.bottom)[:, None]).sum(axis=0)[x] / thick
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
        good = off <= max(1.5, 2 * _middle(off[good]) + 0.5)
    return rise, base


def _middle(values: NDArray[np.number]) -> float:
    """Return the median, the upper one of two; much faster than NumPy's for a few values."""
    return float(np.sort(values)[len(values) // 2])


def _longest_stretch(x: Places, gap: int, component: Component) -> Places:
    """Return the places without a larger gap that share most with a component."""
    stretches = np.split(x, np.flatnonzero(np.diff(x) > gap + 1) + 1)
    return max(stretches, key=lambda each: int(((each >= component.left) & (each < component.right)).sum()))


def _same(one: Ruling, other: Ruling) -> bool:
    middle = (one.start + one.stop) / 2
    overlap = min(one.stop, other.stop) > max(one.start, other.start)
    return overlap and abs(one.at(middle) - other.at(middle)) < max(2, one.thickness)


def _anchored(level: list[Ruling], upright: list[Ruling], shape: tuple[int, ...]) -> tuple[list[Ruling], list[Ruling]]:
    """Return the lines that go on to the border, or to a line across, at both ends; a comb's teeth at the lower one."""
    height, width = shape
    near = max(2.5, ANCHORED * min(max(shape), 2.5 * min(shape)))
    bare = [line for line in upright if len(line.crossed) <= TOUCHED * line.length]

    def held(line: Ruling, x: int, across: list[Ruling]) -> bool:
        along, across_it = (height, width) if line.upright else (width, height)
        y = line.at(x)
        if not (near < x < along - near and near < y < across_it - near):
            return True
        if x == line.start and any(_is_alike(line, other, 2 * near) for other in bare):
            return True
        return any(abs(other.at(y) - x) <= near and other.start - near <= y <= other.stop + near for other in across)

    while True:
        before = len(level) + len(upright)
        level = [line for line in level if held(line, line.start, upright) and held(line, line.stop, upright)]
        upright = [line for line in upright if held(line, line.start, level) and held(line, line.stop, level)]
        if len(level) + len(upright) == before:
            return level, upright


def _is_alike(one: Ruling, other: Ruling, near: float) -> bool:
    """Return whether two upright lines begin and end at one height, as the teeth of a comb do."""
    aside = one.upright and other.upright and abs(one.middle - other.middle) > near
    return aside and abs(one.start - other.start) <= near and abs(one.stop - other.stop) <= near


def _left(mask: Mask, lines: list[Ruling]) -> tuple[Places, list[Component]]:
    """Return the labels of what is left without lines, and what of it is large enough to be a digit or most of one."""
    labels, components = find_components(mask & ~erased(lines, mask.shape))
    return labels, [each for each in components if each.longest >= REMAINDER * min(mask.shape)]


def _goes_on(line: Ruling, labels: Places, left: list[Component]) -> bool:
    """Return whether one end of a line, inside of the picture, goes on in a stroke, as the side of a 0 does."""
    turned = labels.T if line.upright else labels
    reach = int(line.thickness) + 2
    for first, last in ((line.start - FURTHER, line.start), (line.stop, line.stop + FURTHER)):
        if first < 0 or last > turned.shape[1]:
            continue
        y = round(line.at((first + last) / 2))
        around = turned[max(0, y - reach) : y + reach + 1, first:last]
        if any((around == each.label).any() for each in left):
            return True
    return False


def _is_stroke(line: Ruling, parallel: list[Ruling], labels: Places, left: list[Component]) -> bool:
    """Return whether a line is a bar or a stem: alone, with a stroke on it that it does not outrun."""
    if len(parallel) > 1 or not len(line.crossed):
        return False
    touching = set(_around(line, labels).tolist())
    parts = [part for part in left if part.label in touching]
    if not parts:
        return False
    first, last = (
        (min(part.top for part in parts), max(part.bottom for part in parts))
        if line.upright
        else (min(part.left for part in parts), max(part.right for part in parts))
    )
    return min(first - line.start, line.stop - last) <= OVERHANG * line.length


def _framing(level: list[Ruling], upright: list[Ruling], shape: tuple[int, ...]) -> list[Ruling]:
    """Return the lines on both sides, below and above, if there are both sides and a line between them."""
    height, width = shape
    near = ASIDE * max(shape)
    left = [line for line in upright if line.middle <= near]
    right = [line for line in upright if line.middle >= width - near]
    between = [
        line
        for line in level
        if min(line.middle, height - line.middle) <= near and line.start <= near and line.stop >= width - near
    ]
    return [*left, *right, *between] if left and right and between else []


def _is_base(line: Ruling, mask: Mask) -> bool:
    """Return whether what stands on a line does so at one of its ends, as the stroke of a 2 on its base."""
    x = np.arange(line.start, line.stop)
    top = np.rint(line.base + line.rise * x - line.thickness / 2).astype(np.intp)
    contact = np.ones(len(x), bool)
    for step in (1, 2, 3):
        # A hairline that slants drifts by up to a pixel from row to row.
        drift = step if line.thickness < HAIRLINE else 0
        places = np.clip(x + np.arange(-drift, drift + 1)[:, None], 0, mask.shape[1] - 1)
        contact &= mask[np.maximum(top - step, 0), places].any(axis=0)
    x = x[contact]
    return len(x) > 0 and min(x[0] - line.start, line.stop - x[-1] - 1) < FREE * line.length


def _around(line: Ruling, labels: Places) -> Places:
    """Return the labels on both sides of a line where something crosses it."""
    turned = labels.T if line.upright else labels
    reach = int(CROSSING * line.thickness + 2)
    middle = np.rint(line.base + line.rise * line.crossed).astype(np.intp)
    rows = np.clip(middle + np.arange(-reach, reach + 1)[:, None], 0, len(turned) - 1)
    return np.unique(turned[rows, line.crossed])
