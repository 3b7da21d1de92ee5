"""What people write beside a digit: a dot or a comma behind it, a line or two below."""

from __future__ import annotations

from collections.abc import Sequence

from digits.pictures.components import Component, Group

# A dot or comma has at most this share of the digit's longer side. It begins in the lowest part of the digit's height,
# and behind the digit but for a share of its height.
MARK = 0.25
LOWEST = 0.65
BEHIND = 0.04
# An underline, two of them if they touch, is no higher than this share of its length, begins in the lowest part of the
# digit's height, and goes on by a share of its length on both sides of the digit.
FLAT = 0.42
UNDER = 0.9
BEYOND = 0.1


def find_marks(components: Sequence[Component]) -> list[Component]:
    """Return the components that are no part of the digit: dots, commas and underlines.

    Args:
        components: those that are close together, without specks.
    """
    if len(components) == 1:
        return []
    standing = [each for each in components if each.height > FLAT * each.width]
    lines = [
        each for each in components if each not in standing and standing and _is_underline(each, Group(tuple(standing)))
    ]
    rest = [each for each in components if each not in lines]
    body = max(rest, key=lambda each: each.longest)
    return lines + [each for each in rest if _is_dot(each, body)]


def _is_underline(each: Component, digit: Group) -> bool:
    left, top, right, bottom = digit.box
    beyond = BEYOND * each.width
    below = each.top >= top + UNDER * (bottom - top)
    return below and each.left <= left - beyond and each.right >= right + beyond


def _is_dot(each: Component, digit: Component) -> bool:
    small = each.longest <= MARK * digit.longest
    behind = each.left >= digit.right - BEHIND * digit.height
    return small and behind and each.top >= digit.top + LOWEST * digit.height
