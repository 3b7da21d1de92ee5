"""The ink of a picture, while what is no part of its digit is left out: lines, shadows, what lies at the border."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import UnreadableDigitError
from digits.pictures.border import at_border, shadows
from digits.pictures.components import Component, Group, find_components, grouped
from digits.pictures.ink import is_grain
from digits.pictures.lines import Ruling
from digits.pictures.marks import find_marks
from digits.pictures.rulings import erased, find_rulings, is_piece
from digits.pictures.strokes import FAINT_STROKE_INK, stroke_mask, usual_ink
from digits.pictures.surroundings import find_surroundings
from digits.pictures.windows import windowed

type Floats = NDArray[np.float32]
type Mask = NDArray[np.bool_]
type Box = tuple[int, int, int, int]
type LineFinder = Callable[[Mask, Floats, Sequence[Ruling]], list[Ruling]]

# The longest side at which lines and connected components are found.
COMPONENT_SIDE = 160
# A smaller share of the largest component's area is a speck. Parts with a larger gap than this share of the largest
# one's longer side are separate.
SPECK_SHARE = 0.03
APART = 0.25
# Among printed lines, something smaller than this share of the shorter side is no digit.
LEAST = 0.16
# What is left out at the border may uncover more.
BORDER_ROUNDS = 2
_ONLY_LINES = "the picture is blank: it shows nothing but printed lines"


class Sheet:
    """The ink of a picture, and what it consists of.

    Attributes:
        ink: float32 (height, width), 0 paper to 1 ink.
        factor: by how much labels and boxes are smaller than the ink.
        labels: intp, the component of each pixel.
        components: largest first, specks included.
    """

    def __init__(
        self, ink: Floats, factor: int | None = None, find_lines: LineFinder = find_rulings, least: float = LEAST
    ) -> None:
        """Find the components.

        Args:
            factor: by how much smaller components and lines are looked for; None is as suits a single digit.
            least: among printed lines, something smaller than this share of the shorter side is no digit.
            find_lines: returns the printed lines of a mask, given how much ink there is, and those known before.

        Raises:
            UnreadableDigitError: `no_contrast`, there is nothing but dots and lines too fine.
        """
        self._given, self._find_lines, self._least = factor, find_lines, least
        self.factor = factor or _factor(ink)
        self._rulings: list[Ruling] = []
        self._groups: list[Group] | None = None
        self._left_out = {"line": 0, "shadow": 0, "thing at the border": 0, "mark": 0}
        self._take(ink)

    @property
    def groups(self) -> list[Group]:
        """Components that are close together, without specks, the largest first."""
        if self._groups is None:
            self._groups = grouped(self.components, APART, SPECK_SHARE)
        return self._groups

    @property
    def steps(self) -> list[str]:
        """What was left out, in words."""
        return [f"left out {counted(count, what)}" for what, count in self._left_out.items() if count]

    def leave_out_lines(self, box: Box | None = None) -> bool:
        """Erase printed lines, and return whether there were any.

        Args:
            box: left, top, right and bottom, as of a group; only lines that lie around a digit in there.

        Raises:
            UnreadableDigitError: `blank`, there is nothing else.
        """
        left, top, right, bottom = (self.factor * side for side in box) if box else (0, 0, *self.ink.shape[::-1])
        part = self.ink[top:bottom, left:right]
        factor = self._given or _factor(part)
        mask = stroke_mask(part, factor, FAINT_STROKE_INK, None if box else self._usual)
        small = _reduced(part, factor) if box else self._small
        rulings = find_surroundings(mask, small) if box else self._find_lines(mask, small, self._rulings)
        if not rulings:
            return False
        ink = self.ink.copy()
        ink[top:bottom, left:right] = _without(part, erased(rulings, mask.shape), factor)
        self._left_out["line"] += len(rulings)
        if not box:
            self._rulings += rulings
            if is_grain(ink):
                raise UnreadableDigitError(_ONLY_LINES, "blank")
        self._take(ink)
        if not box and self._shows_pieces_alone():
            raise UnreadableDigitError(_ONLY_LINES, "blank")
        return True

    def leave_out_shadows(self) -> None:
        """Erase what has no edges.

        Raises:
            UnreadableDigitError: `blank`, there is nothing else.
        """
        soft = shadows(self.labels, self.components, self._small)
        if len(soft) == len(self.components):
            raise UnreadableDigitError("the picture is blank: it shows only light and shadow", "blank")
        self._leave_out("shadow", soft)

    def leave_out_border(self) -> None:
        """Erase what lies at the border and is no part of the digit."""
        for _ in range(BORDER_ROUNDS):
            self._leave_out("thing at the border", at_border(self.labels, self.components))

    def leave_out_marks(self) -> None:
        """Erase dots, commas and underlines that are close to the digit but apart from it."""
        self._leave_out("mark", find_marks(self.groups[0].components))

    def leave_out(self, components: Sequence[Component]) -> None:
        """Erase what lies at the border."""
        self._leave_out("thing at the border", components)

    def cut_out(self, group: Group) -> Floats:
        """Return the ink of a group alone, cropped to it with a margin."""
        return self.cut_out_at(group)[0]

    def cut_out_at(self, group: Group) -> tuple[Floats, int, int]:
        """Return the ink of a group alone, cropped to it with a margin, and its left and top in pixels of the ink."""
        left, top, right, bottom = group.box
        margin = max(2, (bottom - top) // 10)
        rows, columns = slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)
        kept = _grown(self._is_among(group.components)[self.labels[rows, columns]])
        large = (
            slice(rows.start * self.factor, rows.stop * self.factor),
            slice(columns.start * self.factor, columns.stop * self.factor),
        )
        return _without(self.ink[large], ~kept, self.factor), large[1].start, large[0].start

    def _shows_pieces_alone(self) -> bool:
        """Return whether only pieces of lines and what is too small for a digit are left."""
        large = [each for each in self.components if each.longest >= self._least * min(self.labels.shape)]
        return all(is_piece(each, self._small, self._rulings) for each in large)

    def _leave_out(self, what: str, components: Sequence[Component]) -> None:
        if not components:
            return
        gone = _grown(self._is_among(components)[self.labels])
        self._left_out[what] += len(components)
        self._take(_without(self.ink, gone, self.factor))

    def _is_among(self, components: Sequence[Component]) -> Mask:
        """Return for each label whether it is one of those."""
        labels = np.zeros(len(self.components) + 1, np.bool_)
        labels[[each.label for each in components]] = True
        return labels

    @cached_property
    def _small(self) -> Floats:
        """The ink, as small as labels are."""
        return _reduced(self.ink, self.factor)

    def _take(self, ink: Floats) -> None:
        """Go on with other ink."""
        self.ink, self._usual = ink, usual_ink(ink)
        self.__dict__.pop("_small", None)
        self.labels, self.components = find_components(stroke_mask(ink, self.factor, usual=self._usual))
        if not self.components:
            raise UnreadableDigitError("the picture shows only dots or lines too fine to be a digit", "no_contrast")
        self._groups = None


def counted(count: int, what: str) -> str:
    """Return a number of things in words, such as 2 lines."""
    noun, _, rest = what.partition(" ")
    return f"{count} {noun}{'s' * (count > 1)}{' ' * bool(rest)}{rest}"


def _factor(ink: Floats) -> int:
    longest: int = max(ink.shape)
    return -(-longest // COMPONENT_SIDE)


def _reduced(ink: Floats, factor: int) -> Floats:
    return np.asarray(Image.fromarray(ink).reduce(factor)) if factor > 1 else ink


def _without(ink: Floats, gone: Mask, factor: int) -> Floats:
    """Return ink without that under a mask that is smaller by a factor."""
    height, width = ink.shape
    large = gone.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width] if factor > 1 else gone
    return np.where(large, np.float32(0), ink)


def _grown(mask: Mask) -> Mask:
    """Return the mask and the pixels next to it, two deep."""
    return windowed(mask.view(np.uint8), 5, np.maximum) > 0
