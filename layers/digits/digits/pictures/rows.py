"""Rows of digits: from a picture, with one row or several, to lines as the reader takes them.

Lines, frames and what lies at the border are found as for a single digit (`sheet`). What is left falls into blobs, each
a digit or a few that touch; blobs beside each other are a row, which is levelled and drawn at the reader's height.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import TooMuchError, UnreadableDigitError
from digits.pictures.components import Component, Group
from digits.pictures.ink import find_ink
from digits.pictures.row_lines import find_row_lines
from digits.pictures.sheet import Sheet, counted
from digits.pictures.strokes import redraw_line, usual_ink

type Pixels = NDArray[np.uint8]
type Floats = NDArray[np.floating]
type Box = tuple[int, int, int, int]
type Together = Callable[[Floats, Floats, float], NDArray[np.bool_]]

# To be raised by any change to the pixels of lines.
VERSION = 1
LINE_HEIGHT = 32
INK_HEIGHT = 24  # of the highest digit in a line
MARGIN = 10  # of paper at both ends of a line, in its columns
MOST_ROWS = 50
LONGEST_LINE = 2_000  # in columns
MOST_PARTS = 2 * MOST_ROWS
MOST_THINGS = 2_500  # that might be digits or pieces of some: what has more is grain

# The longest side, in pixels, at which a picture is searched for rows, and the area at which components are found.
SEARCH_SIDE = 800
COMPONENT_AREA = 130_000
# Among printed lines, something smaller than this share of the shorter side is no digit.
LEAST = 0.02
LINE_ROUNDS = 6  # what is left out may uncover further lines
# Pictures that are lower are enlarged.
SMALL_SIDE = 48
# All that follows is in heights of a digit: the median of the components, those with much ink counting more.
# A component that is not flat is digit-like if it is this high; a speck has less than this share of the usual area.
DIGIT = 0.42
FLAT = 0.4
SPECK = 0.03
# What the border may cut: a frame's side, a neighbour's end, the row above or below.
FRAME_SHARE = 0.85
FRAME_HEIGHT = 1.3
NARROW = 0.3
TALL = 2.2
LOW = 0.45
# Pieces of one digit lie above each other, no further apart than this, and are together no higher than that.
PIECES_APART = 0.18
PIECES_HEIGHT = 1.25
# A small piece belongs to the digit that it is this close to, across and down: the bar of a 5.
NEAR = (0.3, 0.22)
# Neighbours in a row share this part of the lower one's height, and are no further apart than so many heights.
ALONG = 0.45
FARTHEST = 5.0
# Rows are level within this many heights; a row has this share of the largest one's ink, and a digit this high.
LEVEL = 0.4
ROW_AREA = 0.04
ROW_HEIGHT = 0.5
# What else stands level, of this share of a digit's height and about as high as its neighbour, may be a row of smaller
# digits.
SMALL = 0.2
ALIKE = 0.6
# A row is levelled if it slopes by more than the first and less than the second, and its upper and lower sides agree.
SLOPES = (0.02, 0.35)
SAME_SLOPE = 0.12
# How much fainter than the rest, and how much darker, a part of a row may be drawn.
GAINS = (0.35, 1.5)


@dataclass(frozen=True)
class Row:
    """A row of digits.

    Attributes:
        pixels: uint8 (32, width), ink bright on dark, as the reader takes it.
        left, top: where the ink's upper left corner is, in pixels of the picture.
        scale: how many of those a column of the line spans.
        rise: by how much the row falls from column to column, in lines.
        box: left, top, width and height in pixels of the picture.
        cut: whether it may go on beyond the picture: its ends touch the border, or most of its digits do.
    """

    pixels: Pixels
    left: float
    top: float
    scale: float
    rise: float
    box: Box
    cut: bool = False

    def box_of(self, start: int, stop: int) -> Box:
        """Return the box around the ink in some columns, in pixels of the picture."""
        ink = self.pixels[:, start:stop] >= 100
        lines = np.flatnonzero(ink.any(axis=1))
        first, last = (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, LINE_HEIGHT)
        fall = self.rise * ((start + stop) / 2 - MARGIN)
        edge = (LINE_HEIGHT - INK_HEIGHT) // 2
        left, top = self.left + (start - MARGIN) * self.scale, self.top + (first - edge + fall) * self.scale
        return round(left), round(top), round((stop - start) * self.scale), round((last - first) * self.scale)


@dataclass(frozen=True)
class Rows:
    """The rows of a picture.

    Attributes:
        rows: from top to bottom.
        steps: what was done to the picture, in order.
        left_out: whether there is something else that may be a row, much smaller or fainter.
    """

    rows: tuple[Row, ...]
    steps: tuple[str, ...]
    left_out: bool = False


def find_rows(grey: Pixels) -> Rows:
    """Find rows of digits.

    Args:
        grey: uint8 (height, width), either polarity.

    Raises:
        UnreadableDigitError: `blank` or `no_contrast`, there is nothing.
        TooMuchError: there are more rows than are read, one is too long, or there are too many things to tell apart.
    """
    searched = _searched(grey)
    found = find_ink(searched, longest=math.inf)
    factor = max(1, math.ceil(math.sqrt(found.ink.size / COMPONENT_AREA)))
    sheet = Sheet(found.ink, factor, find_row_lines, LEAST)
    for _ in range(LINE_ROUNDS):
        if not sheet.leave_out_lines():
            break
    if found.uneven:
        sheet.leave_out_shadows()
    height = _digit_height(sheet.components)
    for _ in range(2):
        cut_off = [each for each in sheet.components if _is_cut_off(each, sheet.labels.shape, height)]
        if len(cut_off) in (0, len(sheet.components)):
            break
        sheet.leave_out(cut_off)
        height = _digit_height(sheet.components)
    blobs = _blobs(sheet.components, height)
    rows = _rows(blobs, height)
    if not rows:
        raise UnreadableDigitError("the picture shows no row of digits", "no_contrast")
    if len(rows) > MOST_ROWS:
        raise TooMuchError(f"the picture has {len(rows)} rows, where up to {MOST_ROWS} are read")
    scale = max(grey.shape) / max(searched.shape)
    drawn = tuple(line for row in rows if (line := _drawn(sheet, row, height, scale)))
    if not drawn:
        raise UnreadableDigitError("the picture shows only specks, and no row of digits", "no_contrast")
    in_rows = {part.label for row in rows for blob in row for part in blob.components}
    others = [each for each in sheet.components if each.label not in in_rows]
    steps = (*found.steps, *sheet.steps, f"found {counted(len(drawn), 'row')}")
    return Rows(drawn, steps, left_out=_may_be_row(others, height))


def _searched(grey: Pixels) -> Pixels:
    image, longest, shortest = Image.fromarray(grey), max(grey.shape), min(grey.shape)
    if longest > SEARCH_SIDE:
        image = image.reduce(-(-longest // SEARCH_SIDE))
    elif shortest < SMALL_SIDE and 2 * longest <= SEARCH_SIDE:
        factor = min(SEARCH_SIDE // longest, -(-SMALL_SIDE // shortest))
        image = image.resize((factor * image.width, factor * image.height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _digit_height(components: Sequence[Component]) -> float:
    """Return how high digits are: the median, weighted by the root of the area, of what is not flat."""
    standing = [each for each in components if each.height >= FLAT * each.width] or list(components)
    largest = max(each.area for each in standing)
    standing = sorted((each for each in standing if each.area >= 0.08 * largest), key=lambda each: each.height)
    weights = np.cumsum([math.sqrt(each.area) for each in standing])
    return float(standing[int(np.searchsorted(weights, weights[-1] / 2))].height)


def _is_cut_off(each: Component, shape: tuple[int, ...], height: float) -> bool:
    """Return whether something touches the border and is no digit: a frame, a neighbour's end, another row's."""
    rows, columns = shape
    beside = each.left == 0 or each.right == columns
    across = each.top == 0 or each.bottom == rows
    if beside and (
        (each.height >= FRAME_SHARE * rows and each.height > FRAME_HEIGHT * height)
        or each.width < NARROW * height
        or each.height > TALL * height
    ):
        return True
    if across and (
        (each.width >= 0.5 * columns and each.width > 2 * each.height)
        or each.height < LOW * height
        or (each.width > 3 * height and each.height < height)
    ):
        return True
    return beside and across and min(each.height, each.width) < 0.6 * height


def _blobs(components: Sequence[Component], height: float) -> list[Group]:
    """Return what may be digits, or some that touch, each with its small pieces."""
    areas = sorted((each.area for each in components if each.height >= ROW_HEIGHT * height), reverse=True)
    least = SPECK * float(np.median(areas[:12])) if areas else 0
    kept = [each for each in components if each.area >= least]
    if len(kept) > MOST_THINGS:
        raise TooMuchError(f"the picture shows {len(kept):,} things, where up to {MOST_THINGS:,} are told apart")
    large = [Group((each,)) for each in kept if each.height >= DIGIT * height]
    small = [each for each in kept if each.height < DIGIT * height]
    usual = float(np.median([blob.area for blob in large])) if large else 0.0
    broken = [
        group
        for group in _joined([Group((each,)) for each in small], height, _are_crumbs)
        if len(group.components) > 1 and group.height >= DIGIT * height and group.area >= 0.25 * usual
    ]
    gone = {part.label for group in broken for part in group.components}
    blobs = _joined([*large, *broken], height, _are_pieces)
    boxes = np.array([blob.box for blob in blobs])
    for piece in small:
        if piece.label in gone or not blobs:
            continue
        across, down = _apart(boxes, (piece.left, piece.top, piece.right, piece.bottom))
        nearest = int((across + down).argmin())
        blob = blobs[nearest]
        near = across[nearest] <= NEAR[0] * height and down[nearest] <= NEAR[1] * height
        level = piece.bottom > blob.top and piece.top < blob.bottom
        if piece.area >= 0.02 * blob.area and near and level:
            blobs[nearest] = Group((*blob.components, piece))
            boxes[nearest] = blobs[nearest].box
    return blobs


def _joined(groups: Sequence[Group], height: float, together: Together) -> list[Group]:
    """Return groups, joined as long as two of them belong together."""
    waiting, joined, boxes = list(groups)[::-1], list[Group](), np.zeros((0, 4))
    while waiting:
        group = waiting.pop()
        mates = np.flatnonzero(together(np.array(group.box), boxes, height))
        if len(mates):
            boxes = np.delete(boxes, mates[0], axis=0)
            waiting.append(Group((*joined.pop(int(mates[0])).components, *group.components)))
        else:
            joined.append(group)
            boxes = np.concatenate([boxes, [group.box]])
    return joined


def _are_pieces(one: Floats, others: Floats, height: float) -> NDArray[np.bool_]:
    """Return which blobs are one digit with another one, a piece of it above the other; boxes, (4,) and (n, 4)."""
    wholes, shared = _together(one, others)
    sides, other_sides = one[2:] - one[:2], others[:, 2:] - others[:, :2]
    pieces: NDArray[np.bool_] = (
        (shared[:, 0] >= 0.5 * np.minimum(sides[0], other_sides[:, 0]))
        & (-shared[:, 1] < PIECES_APART * height)
        & (wholes[:, 1] <= PIECES_HEIGHT * height)
        & (np.minimum(sides[1], other_sides[:, 1]) < 0.75 * height)
    )
    return pieces


def _are_crumbs(one: Floats, others: Floats, height: float) -> NDArray[np.bool_]:
    """Return which small pieces may be, with another one, what a line left of a digit that it crossed."""
    wholes, shared = _together(one, others)
    return (-shared[:, 0] <= 0.12 * height) & (-shared[:, 1] <= 0.2 * height) & (wholes <= 1.2 * height).all(axis=1)


def _together(one: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Return width and height of the boxes around both, and of what they share: less than 0 where they are apart."""
    wholes = np.maximum(one[2:], others[:, 2:]) - np.minimum(one[:2], others[:, :2])
    return wholes, np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])


def _apart(boxes: NDArray[np.intp], box: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how far boxes, (n, 4), are from one, across and down; 0 where they overlap."""
    left, top, right, bottom = box
    across = np.maximum(boxes[:, 0], left) - np.minimum(boxes[:, 2], right)
    down = np.maximum(boxes[:, 1], top) - np.minimum(boxes[:, 3], bottom)
    return np.maximum(across, 0), np.maximum(down, 0)


def _rows(blobs: list[Group], height: float) -> list[list[Group]]:
    """Return blobs in rows, from top to bottom, each from left to right."""
    blobs = sorted(blobs, key=lambda blob: blob.left)
    row_of = {id(blob): [blob] for blob in blobs}
    lefts, tops, _, bottoms = np.array([blob.box for blob in blobs]).reshape(-1, 4).T
    for index, blob in enumerate(blobs):
        following = slice(index + 1, int(np.searchsorted(lefts, blob.right + FARTHEST * height, side="right")))
        top, bottom = tops[following], bottoms[following]
        shared = np.minimum(blob.bottom, bottom) - np.maximum(blob.top, top)
        level = shared >= ALONG * np.maximum(1, np.minimum(blob.height, bottom - top))
        if level.any():
            away = np.maximum(0, lefts[following] - blob.right) + 2 * np.abs((top + bottom) / 2 - blob.middle[1])
            best = blobs[index + 1 + int(np.where(level, away, np.inf).argmin())]
            merged = row_of[id(blob)]
            if row_of[id(best)] is not merged:
                merged += row_of[id(best)]
                for each in merged:
                    row_of[id(each)] = merged
    rows = list({id(row): row for row in row_of.values()}.values())
    if len(rows) > MOST_PARTS:
        raise TooMuchError(
            f"the picture has {len(rows)} rows and parts of rows, where up to {MOST_PARTS} are put together"
        )
    rows = _continued(rows, height)
    if not rows:
        return []
    most = max(sum(blob.area for blob in row) for row in rows)
    rows = [
        sorted(row, key=lambda blob: blob.left)
        for row in rows
        if sum(blob.area for blob in row) >= ROW_AREA * most and max(b.height for b in row) >= ROW_HEIGHT * height
    ]
    return sorted(rows, key=lambda row: float(np.median([blob.middle[1] for blob in row])))


def _may_be_row(components: Sequence[Component], height: float) -> bool:
    """Return whether two things stand beside each other as small digits do."""
    small = [each for each in components if each.height >= max(SMALL * height, FLAT * each.width)]
    small.sort(key=lambda each: each.left)
    for index, one in enumerate(small):
        for other in small[index + 1 :]:
            lower, higher = sorted((one.height, other.height))
            if other.left - one.right > 2 * higher:
                break
            level = min(one.bottom, other.bottom) - max(one.top, other.top) >= ALONG * lower
            if level and other.left >= one.right and lower >= ALIKE * higher:
                return True
    return False


def _continued(rows: Sequence[list[Group]], height: float) -> list[list[Group]]:
    """Return rows, those joined that continue each other."""
    waiting, joined = list(rows)[::-1], list[list[Group]]()
    while waiting:
        row = waiting.pop()
        mate = next((other for other in joined if _continues(row, other, height)), None)
        if mate is None:
            joined.append(row)
        else:
            joined = [other for other in joined if other is not mate]
            waiting.append(mate + row)
    return joined


def _continues(row: list[Group], another: list[Group], height: float) -> bool:
    """Return whether two rows lie on one line, or one begins at the height at which the other ends."""
    shorter, longer = sorted((another, row), key=len)
    one = np.array([blob.box for blob in longer], np.float64)[:, None]
    other = np.array([blob.box for blob in shorter], np.float64)[None]
    shared = np.minimum(one[..., 2], other[..., 2]) - np.maximum(one[..., 0], other[..., 0])
    if (shared > 0.3 * np.minimum(one[..., 2] - one[..., 0], other[..., 2] - other[..., 0])).any():
        return False
    middles, others = one[..., 1::2].mean(axis=2), other[..., 1::2].mean(axis=2)
    across = np.maximum(-shared, 0)
    near = np.abs(middles - others)[across == across.min()].min()
    flat = abs(np.median(middles) - np.median(others))
    rise, base = _middle_line(longer, height)
    off = abs(np.median(others - rise * other[..., ::2].mean(axis=2) - base))
    return bool(min(off, near, flat) < LEVEL * height)


def _middle_line(row: list[Group], height: float) -> tuple[float, float]:
    x, y = np.array([blob.middle[0] for blob in row]), np.array([blob.middle[1] for blob in row])
    rise = 0.0
    if len(row) >= 3 and np.ptp(x) > 2.5 * height:
        rise = float(np.clip(np.polyfit(x, y, 1)[0], -0.3, 0.3))
    return rise, float(np.median(y - rise * x))


def _slope(row: list[Group], height: float) -> float:
    """Return how steeply a row falls to the right: the median slope between the feet, and between the heads."""
    if len(row) < 3:
        return 0.0
    x = np.array([blob.middle[0] for blob in row])
    one, other = np.triu_indices(len(x), 1)
    away = x[other] - x[one]
    far = np.abs(away) > 0.8 * height
    if np.ptp(x) < 2.5 * height or not far.any():
        return 0.0
    sides = (np.array([blob.bottom for blob in row]), np.array([blob.top for blob in row]))
    slopes = [float(np.median((y[other] - y[one])[far] / away[far])) for y in sides]
    slope = sum(slopes) / 2
    return slope if SLOPES[0] < abs(slope) < SLOPES[1] and abs(slopes[0] - slopes[1]) < SAME_SLOPE else 0.0


def _drawn(sheet: Sheet, row: list[Group], height: float, scale: float) -> Row | None:
    """Return a row as the reader takes it; None if nothing of it is left."""
    whole = Group(tuple(part for blob in row for part in blob.components))
    ink, before, above = sheet.cut_out_at(whole)
    spans = [(max(0, blob.left * sheet.factor - before), blob.right * sheet.factor - before) for blob in row]
    ink = _even(ink, spans)
    slope = _slope(row, height)
    ink, lowered = _levelled(ink, slope)
    mask = ink > 0.4 * usual_ink(ink)
    lines, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(lines) < 3:
        return None
    top, left = int(lines[0]), int(columns[0])
    ink = ink[top : lines[-1] + 1, left : columns[-1] + 1]
    if ink.shape[1] / ink.shape[0] * INK_HEIGHT > LONGEST_LINE:
        most = LONGEST_LINE // INK_HEIGHT
        raise TooMuchError(
            f"a row is over {most} times as long as it is high, too long to be read as one; its parts can be read as "
            "the fields of a form"
        )
    across = scale * ink.shape[0] / INK_HEIGHT
    return Row(
        pixels=line_of(ink),
        left=(before + left) * scale,
        top=(above + top - lowered + slope * left) * scale,
        scale=across,
        rise=slope,
        box=(
            round((before + left) * scale),
            round(whole.top * sheet.factor * scale),
            round(ink.shape[1] * scale),
            round((whole.bottom - whole.top) * sheet.factor * scale),
        ),
        cut=_is_cut(row, whole, sheet.labels.shape),
    )


def _is_cut(row: Sequence[Group], whole: Group, shape: tuple[int, ...]) -> bool:
    height, width = shape
    beside = whole.left == 0 or whole.right == width
    across = max(sum(blob.top == 0 for blob in row), sum(blob.bottom == height for blob in row))
    return beside or 2 * across > len(row)


def _even(ink: Floats, spans: list[tuple[int, int]]) -> Floats:
    """Return ink of one strength along the row, as far as a pen faded or a shadow lay over it.

    Args:
        spans: of the blobs: first column, and the one after the last.
    """
    if len(spans) < 2:
        return ink
    whole = max(float(usual_ink(ink)), 0.05)
    strengths = []
    for start, stop in spans:
        part = ink[:, start:stop]
        strengths.append(float(usual_ink(part)) if part.size and part.max() > 0.1 else whole)
    along = np.interp(np.arange(ink.shape[1]), [(start + stop) / 2 for start, stop in spans], strengths)
    return (ink / np.clip(along, GAINS[0] * whole, GAINS[1] * whole) * whole).astype(np.float32)


def _levelled(ink: Floats, slope: float) -> tuple[Floats, int]:
    """Return ink whose columns are moved so that a slope becomes level, and how much the first one was lowered."""
    falls = np.rint(slope * np.arange(ink.shape[1])).astype(np.intp)
    moved = falls.max() - falls
    most = int(moved.max())
    if not most:
        return ink, 0
    level = np.zeros((ink.shape[0] + most, ink.shape[1]), ink.dtype)
    level[np.arange(ink.shape[0])[:, None] + moved, np.arange(ink.shape[1])] = ink
    return level, int(moved[0])


def line_of(ink: Floats) -> Pixels:
    """Return a row redrawn at the reader's height: uint8 (32, width).

    Args:
        ink: float32 (height, width), 0 paper to 1 ink, cropped to the row.
    """
    drawn = redraw_line(ink, 4 * INK_HEIGHT)
    wide = -(-drawn.shape[1] // 4)
    padded = np.pad(drawn, ((16, 16), (0, 4 * wide - drawn.shape[1])))
    small = np.asarray(Image.fromarray(padded).resize((wide, LINE_HEIGHT), Image.Resampling.BOX))
    return np.pad(np.clip(np.rint(small * 255), 0, 255).astype(np.uint8), ((0, 0), (MARGIN, MARGIN)))
