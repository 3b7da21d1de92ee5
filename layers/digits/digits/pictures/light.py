"""Which is the ink, the darker or the brighter, and what light falls on the paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.pictures.tones import Tones, histogram, quantile
from digits.pictures.windows import local_range, opened, windowed

type Floats = NDArray[np.float32]
type Pixels = NDArray[np.uint8]

# Paper that varies by less than this share of the contrast is evenly lit.
EVEN_LIGHT = 0.1
# If a larger share of the variance than this lies between two tones, and one of them is darker than any shadow,
# shadows do not matter.
TWO_TONES = 0.83
DEEP_SHADOW = 0.45
# At least this share of the border is paper, even if a digit is cropped without a margin.
TIGHT_BORDER = 0.6
# A border with this share of one class shows no shadow, only paper and perhaps an end of a stroke.
PLAIN_BORDER = 0.9
# What is most of the border, but no more than the first share of a rectangle inside of it by the second share of the
# sides, nor than the third of the whole picture, is a frame.
FRAMING = 0.1
FRAME = 0.1
FRAMED = 0.35
# A picture that is longer than this many times its width is of a 1, not of a cell.
SLENDER = 2
# No shadow is this much darker than the paper, nor most things that a sheet lies on.
STARK = 0.3
# Where tones are that far apart, and so much of the variance lies between them, ink that comes within this share of the
# sides of all four edges is a digit that is cropped tightly.
BLURRED_TONES = 0.65
TIGHT_MARGIN = 0.05
# Outliers and shadows are looked for at this longest side, in pixels, the former in a window wider than a stroke. No
# stroke is broader than the second window. What is, and covers this share of the picture, is a shadow, or what the
# sheet lies on.
LIGHT_SIDE = 64
LIGHT_WINDOW = 11
SOLID_WINDOW = 21
SOLID = 0.04
# Strokes in any light are narrower than this window there, in a logarithm of light: so many steps for each factor of e,
# from a floor on.
NARROW_WINDOW = 7
LOG_FLOOR = 16
LOG_UNIT = 80
# Light is estimated at this longest side, in the narrowest window in which this share of the strokes keeps half of its
# height; in the widest if what changes most changes less than so many times as much as the rest.
FINE_LIGHT_SIDE = 128
LIGHT_WINDOWS = (9, 15, 23)
WHOLE = 0.99
GRAINY = 5
# Light is smooth if a polynomial of this degree, fitted to every few pixels, explains this share of its variance.
SLOPE_DEGREE = 4
SLOPE_STEP = 4
SMOOTH = 0.95


def find_polarity(grey: Pixels, levels: Tones, longest: float = SLENDER) -> tuple[bool, bool]:
    """Return whether the ink is darker than the paper, and whether the light is even.

    Args:
        longest: how many times as long as wide a picture with a frame around it may be.
    """
    side = LIGHT_SIDE * times(grey, longest)
    bright = grey > int(levels.threshold)
    share, inside = _ring_share(bright, 0), _ring_share(bright, FRAME)
    all_over = np.count_nonzero(bright) / bright.size
    if share <= 0.5:
        inside, all_over = 1 - inside, 1 - all_over
    if inside <= FRAMING and all_over <= FRAMED and max(grey.shape) <= longest * min(grey.shape):  # a frame
        share = 1 - share
    dark = share > 0.5
    spread = levels.high_spread if dark else levels.low_spread
    clear = max(share, 1 - share)
    if clear >= PLAIN_BORDER and spread <= EVEN_LIGHT * levels.contrast:
        return dark, True
    stark = levels.low <= STARK * levels.high
    tight = stark and levels.separation >= BLURRED_TONES and _is_cropped_tightly(bright != dark)
    if not tight and (levels.separation < TWO_TONES or levels.low > DEEP_SHADOW * levels.high):
        return _is_dark_minority(grey, side), False
    if clear < TIGHT_BORDER:
        dark = _has_bright_corners(bright) if stark else _is_dark_minority(grey, side)
    if not tight and _has_shadow(bright != dark, side):
        return _has_dark_strokes(grey, side), False
    return dark, True


def without_light(bright: Floats, dark_ink: bool, longest: float = SLENDER) -> Floats:
    """Subtract what the paper would show without ink; on paper, light multiplies rather than adds.

    Args:
        bright: float32 (height, width), ink brighter than the paper.
        dark_ink: whether the picture as sent has dark ink on light paper.
        longest: how many times as long as wide a picture of one digit may be; a longer one is of a row.
    """
    small = np.rint(_resized(bright, FINE_LIGHT_SIDE * times(bright, longest)))
    opening = opened(small.astype(np.uint8), LIGHT_WINDOWS[-1])
    slope = _slope(opening)
    level = small if slope is None else small - slope
    lowest = level.min()
    raised = np.minimum(np.rint(level - lowest), 255).astype(np.uint8)
    dim = _paper(raised, opening - np.uint8(lowest) if slope is None else opened(raised, LIGHT_WINDOWS[-1]))
    # Spread, not smoothed: no false ink along the sharp edge of a shadow.
    spread = windowed(dim, 3, np.maximum) + (lowest if slope is None else slope + lowest)
    height, width = bright.shape
    paper: Floats = np.asarray(Image.fromarray(spread).resize((width, height), Image.Resampling.BILINEAR))
    light = np.maximum(255 - paper, 16) / 255 if dark_ink else 1
    return ((bright - paper) / light).astype(np.float32)


def times(values: NDArray[np.number], longest: float) -> float:
    """Return how many times as large a picture of a row is looked at, as its digits are so much smaller."""
    ratio = max(values.shape) / min(values.shape)
    return max(1.0, ratio / SLENDER) if ratio <= longest else 1.0


def _has_bright_corners(bright: NDArray[np.bool_]) -> bool:
    """Return whether the corners are mostly bright; a digit that fills a picture leaves them to the paper."""
    height, width = (max(1, side // 8) for side in bright.shape)
    corners = (bright[:height, :width], bright[:height, -width:], bright[-height:, :width], bright[-height:, -width:])
    return float(np.mean([corner.mean() for corner in corners])) > 0.5


def _is_cropped_tightly(ink: NDArray[np.bool_]) -> bool:
    """Return whether ink reaches all four sides, or nearly."""
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    return bool(len(rows)) and all(
        at[0] <= TIGHT_MARGIN * side and at[-1] + 1 >= (1 - TIGHT_MARGIN) * side
        for at, side in zip((rows, columns), ink.shape, strict=True)
    )


def _ring_share(bright: NDArray[np.bool_], depth: float) -> float:
    """Return the share of bright pixels along the border, or along a rectangle inside of it by a share of its sides."""
    down, across = (round(depth * side) for side in bright.shape)
    part = bright[down : len(bright) - down, across : bright.shape[1] - across]
    return float(np.concatenate([part[0], part[-1], part[1:-1, 0], part[1:-1, -1]]).mean())


def _has_shadow(ink: NDArray[np.bool_], side: float) -> bool:
    """Return whether some of what looks like ink is broader than any stroke, and reaches some of the sides."""
    small = np.asarray(Image.fromarray(ink).convert("L").resize(_size(ink, side), Image.Resampling.NEAREST))
    solid = opened(small, SOLID_WINDOW) > 0
    touched = (solid[0].any(), solid[-1].any(), solid[:, 0].any(), solid[:, -1].any())
    # A digit that is cropped tightly and stretched reaches all sides.
    return any(touched) and not all(touched) and bool(solid.mean() >= SOLID)


def _is_dark_minority(grey: Pixels, side: float) -> bool:
    """Return whether the picture's outliers against their surroundings are dark."""
    small = _resized(grey.astype(np.float32), side)
    window = LIGHT_WINDOW
    mean = _along_both(np.pad(small, window // 2, "edge"), np.mean, window)
    return float(((small - mean) ** 3).sum()) < 0


def _has_dark_strokes(grey: Pixels, side: float) -> bool:
    """Return whether what is narrow is dark, whatever the light: by the top-hats of the logarithm of light."""
    small = np.rint(LOG_UNIT * np.log1p(_resized(grey.astype(np.float32), side) / LOG_FLOOR)).astype(np.uint8)
    dark, bright = (opened(each, NARROW_WINDOW) for each in (255 - small, small))
    return float(((255.0 - small - dark) ** 3).sum()) > float(((small - 1.0 * bright) ** 3).sum())


def _slope(opening: Pixels) -> Floats | None:
    """Return the smooth light that a picture lies in, as from a window or through a lens: float32; None if in none.

    A window at the border would not tell a slope that rises to it from a stroke.
    """
    height, width = opening.shape
    margin = LIGHT_WINDOWS[-1] // 2
    if min(height, width) < 3 * LIGHT_WINDOWS[-1]:  # the polynomial would be too far from what it was fitted to
        return None
    inner = slice(margin, -margin, SLOPE_STEP)
    paper = opening[inner, inner].astype(np.float32)
    down, across = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    powers = [(i, j) for i in range(SLOPE_DEGREE + 1) for j in range(SLOPE_DEGREE + 1 - i)]

    def terms(y: Floats, x: Floats) -> Floats:
        return np.stack([np.multiply.outer(y**i, x**j) for i, j in powers], axis=-1)

    found = np.linalg.lstsq(terms(down[inner], across[inner]).reshape(-1, len(powers)), paper.ravel())[0]
    slope: Floats = terms(down, across) @ found
    return slope if (paper - slope[inner, inner]).var() <= (1 - SMOOTH) * paper.var() else None


def _paper(bright: Pixels, widest: Pixels) -> Pixels:
    """Return what is left in a window hardly wider than the strokes: a narrow soft shadow is paper, too.

    Args:
        widest: what is left in the widest window.
    """
    edges = local_range(bright, 3)
    counts = histogram(edges)
    sharpest = max(1, int(quantile(counts, 0.98)))
    sharp = edges >= sharpest
    if sharpest < GRAINY * quantile(counts, 0.5):
        return widest
    heights = np.where(windowed(sharp.view(np.uint8), 5, np.maximum) > 0, bright - widest, np.uint8(0))
    strokes = heights > int(quantile(histogram(heights[sharp]), 0.95) / 2)
    if not strokes.any():
        return widest
    for window in LIGHT_WINDOWS[:-1]:
        narrow = opened(bright, window)
        if ((bright - narrow)[strokes] >= heights[strokes] / 2).mean() >= WHOLE:
            return narrow
    return widest


def _along_both(padded: Floats, summary: Callable[..., Floats], window: int) -> Floats:
    """Apply a separable filter: along the rows, then along the columns."""
    for axis in (0, 1):
        padded = summary(np.lib.stride_tricks.sliding_window_view(padded, window, axis), axis=-1)
    return padded.astype(np.float32)


def _resized(grey: Floats, side: float) -> Floats:
    return np.asarray(Image.fromarray(grey).resize(_size(grey, side), Image.Resampling.BOX))


def _size(values: NDArray[Any], side: float) -> tuple[int, int]:
    """Return width and height at which the longer side is no longer than `side`."""
    height, width = values.shape
    factor = min(1.0, side / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))
