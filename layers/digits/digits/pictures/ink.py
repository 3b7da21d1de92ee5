"""Where a picture has ink and how much: polarity, uneven light, paper grain."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import UnreadableDigitError

type Floats = NDArray[np.float32]

# Tones are taken from a part of the pixels of a picture with more than this.
MANY = 20_000
# A picture with a smaller range of greys than this, of 255, is blank.
MIN_RANGE = 4
# Contrast below this, of 255, or below this many times the paper's grain, is too faint to be ink.
MIN_CONTRAST = 10
MIN_CONTRAST_IN_GRAINS = 4.0
MIN_GRAINY_SIDE = 48
# What is left beside printed lines has at least this share of their contrast.
FAINTEST = 0.15
# Smudges and shadows on paper have at most this contrast; more is ink.
SMUDGE = 60
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
# Light is estimated at this longest side, in pixels, in windows that are wider than a stroke.
LIGHT_SIDE = 64
LIGHT_WINDOW = 11
FINE_LIGHT_SIDE = 128
LIGHT_WINDOWS = (9, 15, 23)
WHOLE = 0.99
GRAINY = 5
NARROW_WINDOW = 7
LOG_FLOOR = 16
LOG_UNIT = 80
# What is most of the border, but no more than this share of a rectangle inside by that share of the sides, nor of the
# whole picture, is a frame.
FRAMING = 0.25
FRAME = 0.1
FRAMED = 0.35
# No shadow is this much darker than the paper, nor most things that a sheet lies on.
STARK = 0.3
BLURRED_TONES = 0.65
TIGHT_MARGIN = 0.05
# At LIGHT_SIDE, no stroke is broader than this. What is, and covers this share of the picture, is a shadow, or what the
# sheet lies on.
SOLID_WINDOW = 21
SOLID = 0.04


@dataclass(frozen=True)
class InkMap:
    """The ink of a picture.

    Attributes:
        ink: float32 (height, width), from 0 for paper to 1 for the digit's usual ink, or a little more.
        steps: what was done to the picture.
        uneven: whether its light was evened.
    """

    ink: Floats
    steps: tuple[str, ...]
    uneven: bool


@dataclass(frozen=True)
class Tones:
    """Two classes of grey.

    Attributes:
        threshold: the greatest value of the lower class.
        low, high: the means of the classes.
        low_spread, high_spread: their standard deviations.
        separation: the share of the variance that lies between the classes, 0 to 1.
    """

    threshold: float
    low: float
    high: float
    low_spread: float
    high_spread: float
    separation: float

    @property
    def contrast(self) -> float:
        """How far the classes are apart."""
        return self.high - self.low


def find_ink(grey: Floats) -> InkMap:
    """Tell ink from paper.

    Args:
        grey: float32 (height, width), 0 to 255, of either polarity.

    Raises:
        UnreadableDigitError: `blank` or `no_contrast`.
    """
    if np.ptp(grey) < MIN_RANGE:
        raise UnreadableDigitError("the picture is blank: it shows one even tone", "blank")
    levels = split_tones(sampled(grey))
    dark, even = _polarity(grey, levels)
    steps = ["inverted"] if dark else []
    bright = 255 - grey if dark else grey
    if even:
        raised = bright - (255 - levels.high if dark else levels.low)
    else:
        raised = _without_light(bright, dark)
        steps.append("evened the light")
    return _strengthened(raised, tuple(steps), not even)


def _strengthened(raised: Floats, steps: tuple[str, ...], uneven: bool) -> InkMap:
    """Stretch what rises above the paper so that ink is 1."""
    sample = sampled(raised)
    levels = split_tones(np.maximum(sample, 0))
    paper = sample[sample <= levels.threshold]
    level = float(np.median(paper))
    contrast = levels.high - level
    grain = max(_grain(raised), 1.4826 * float(np.median(np.abs(paper - level))) if contrast < SMUDGE else 0)
    if not contrast >= max(MIN_CONTRAST, MIN_CONTRAST_IN_GRAINS * grain):  # nor if nothing is left, and it is no number
        raise UnreadableDigitError("the picture has too little contrast to tell a digit from the paper", "no_contrast")
    if contrast < 200:
        steps = (*steps, f"contrast raised from {contrast:.0f} of 255")
    return InkMap((raised - level) / np.float32(contrast), steps, uneven)


def is_grain(ink: Floats) -> bool:
    """Return whether ink, of which something was left out, shows nothing but the grain of the paper."""
    sample = sampled(ink)
    if not np.ptp(sample):
        return True
    usual = split_tones(255 * np.clip(sample, 0, 1)).high / 255
    grain = 1.4826 * float(np.median(np.abs(sample - np.median(sample))))
    return usual < max(FAINTEST, MIN_CONTRAST_IN_GRAINS * grain)


def _grain(values: Floats) -> float:
    """Return the standard deviation of noise from pixel to pixel (after Immerkaer, 1996, with a median)."""
    across = values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]
    both = across[2:] - 2 * across[1:-1] + across[:-2]
    # In a small picture what changes from pixel to pixel is strokes, not noise.
    return float(np.median(np.abs(both))) * 1.4826 / 6 if max(values.shape) >= MIN_GRAINY_SIDE and both.size else 0.0


def _polarity(grey: Floats, levels: Tones) -> tuple[bool, bool]:
    """Return whether the ink is darker than the paper, and whether the light is even."""
    bright = grey > levels.threshold
    share, inside, all_over = _ring_share(bright, 0), _ring_share(bright, FRAME), float(bright.mean())
    if share <= 0.5:
        inside, all_over = 1 - inside, 1 - all_over
    if inside <= FRAMING and all_over <= FRAMED:  # a frame along the border
        share = 1 - share
    dark = share > 0.5
    spread = levels.high_spread if dark else levels.low_spread
    clear = max(share, 1 - share)
    if clear >= PLAIN_BORDER and spread <= EVEN_LIGHT * levels.contrast:
        return dark, True
    stark = levels.low <= STARK * levels.high
    tight = stark and levels.separation >= BLURRED_TONES and _is_cropped_tightly(bright != dark)
    if not tight and (levels.separation < TWO_TONES or levels.low > DEEP_SHADOW * levels.high):
        return _is_dark_minority(grey), False
    if clear < TIGHT_BORDER:
        dark = _has_bright_corners(bright) if stark else _is_dark_minority(grey)
    if not tight and _has_shadow(bright != dark):
        return _has_dark_strokes(grey), False
    return dark, True


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


def _has_shadow(ink: NDArray[np.bool_]) -> bool:
    """Return whether some of what looks like ink is broader than any stroke, and reaches some of the sides."""
    small = np.asarray(Image.fromarray(ink).convert("L").resize(_size(ink, LIGHT_SIDE), Image.Resampling.NEAREST))
    solid = _opened(small, SOLID_WINDOW) > 0
    touched = (solid[0].any(), solid[-1].any(), solid[:, 0].any(), solid[:, -1].any())
    # A digit that is cropped tightly and stretched reaches all sides.
    return any(touched) and not all(touched) and bool(solid.mean() >= SOLID)


def _is_dark_minority(grey: Floats) -> bool:
    """Return whether the picture's outliers against their surroundings are dark."""
    small = _resized(grey, LIGHT_SIDE)
    window = LIGHT_WINDOW
    mean = _along_both(np.pad(small, window // 2, "edge"), np.mean, window)
    return float(((small - mean) ** 3).sum()) < 0


def _has_dark_strokes(grey: Floats) -> bool:
    """Return whether what is narrow is dark, whatever the light: by the top-hats of the logarithm of light."""
    small = np.rint(LOG_UNIT * np.log1p(_resized(grey, LIGHT_SIDE) / LOG_FLOOR)).astype(np.uint8)
    dark, bright = (_opened(each, NARROW_WINDOW) for each in (255 - small, small))
    return float(((255.0 - small - dark) ** 3).sum()) > float(((small - 1.0 * bright) ** 3).sum())


def _without_light(bright: Floats, dark_ink: bool) -> Floats:
    """Subtract what the paper would show without ink; on paper, light multiplies rather than adds.

    Args:
        bright: float32 (height, width), ink brighter than the paper.
        dark_ink: whether the picture as sent has dark ink on light paper.
    """
    small = np.rint(_resized(bright, FINE_LIGHT_SIDE)).astype(np.uint8)
    opened = _paper(small)
    # Spread, not smoothed: no false ink along the sharp edge of a shadow.
    spread = windowed(opened, 3, np.maximum).astype(np.float32)
    height, width = bright.shape
    paper: Floats = np.asarray(Image.fromarray(spread).resize((width, height), Image.Resampling.BILINEAR))
    light = np.maximum(255 - paper, 16) / 255 if dark_ink else 1
    return ((bright - paper) / light).astype(np.float32)


def _paper(bright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what is left in a window hardly wider than the strokes: a narrow soft shadow is paper, too."""
    edges = local_range(bright, 3)
    sharpest = max(1, int(np.percentile(edges, 98)))
    sharp = edges >= sharpest
    widest = _opened(bright, LIGHT_WINDOWS[-1])
    if sharpest < GRAINY * np.median(edges):
        return widest
    heights = np.where(windowed(sharp.astype(np.uint8), 5, np.maximum) > 0, bright - widest, 0)
    strokes = heights > np.percentile(heights[sharp], 95) / 2
    if not strokes.any():
        return widest
    for window in LIGHT_WINDOWS[:-1]:
        opened = _opened(bright, window)
        if ((bright - opened)[strokes] >= heights[strokes] / 2).mean() >= WHOLE:
            return opened
    return widest


def local_range(values: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Return the difference between the greatest and the least value in the square window around each pixel."""
    return windowed(values, window, np.maximum) - windowed(values, window, np.minimum)


def _opened(values: NDArray[np.uint8], window: int) -> NDArray[np.uint8]:
    """Return the values without what is brighter and narrower than a window (a morphological opening)."""
    return windowed(windowed(values, window, np.minimum), window, np.maximum)


def windowed(values: NDArray[np.uint8], window: int, extreme: np.ufunc) -> NDArray[np.uint8]:
    """Return the extreme in the square window around each pixel; the border's pixels go on outside."""
    result = np.pad(values, window // 2, "edge")
    for axis in (0, 1):
        result, covered = np.moveaxis(result, axis, 0), 1
        while covered < window:
            step = min(covered, window - covered)
            result, covered = extreme(result[:-step], result[step:]), covered + step
        result = np.moveaxis(result, 0, axis)
    return result


def _along_both(padded: Floats, summary: Callable[..., Floats], window: int) -> Floats:
    """Apply a separable filter: along the rows, then along the columns."""
    for axis in (0, 1):
        padded = summary(np.lib.stride_tricks.sliding_window_view(padded, window, axis), axis=-1)
    return padded.astype(np.float32)


def _resized(grey: Floats, side: int) -> Floats:
    return np.asarray(Image.fromarray(grey).resize(_size(grey, side), Image.Resampling.BOX))


def _size(values: NDArray[Any], side: int) -> tuple[int, int]:
    """Return width and height at which the longer side is no longer than `side`."""
    height, width = values.shape
    factor = min(1.0, side / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


def sampled(values: Floats) -> Floats:
    """Return every third, fourth or fifth pixel of a large array, which has the same tones.

    From row to row they are other columns, so that an upright line of a single pixel is among them.
    """
    if values.size <= MANY:
        return values
    step = next((step for step in (4, 5, 3) if math.gcd(step, values.shape[1]) == 1), 7)
    return values.ravel()[::step]


def split_tones(values: Floats) -> Tones:
    """Split values into the two classes that differ most (Otsu, 1979).

    Args:
        values: float32 of any shape, 0 to 255, not all equal.
    """
    bins = np.bincount(np.clip(values, 0, 255).astype(np.uint8).ravel(), minlength=256).astype(np.float64)
    greys = np.arange(256.0)
    count, total, squares = (np.cumsum(bins * greys**power) for power in (0, 1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = total / count, (total[-1] - total) / (count[-1] - count)
        between = np.nan_to_num(count * (count[-1] - count) * (high - low) ** 2)
        split = int(between.argmax())
        low_spread = np.sqrt(np.maximum(squares / count - low**2, 0))[split]
        high_spread = np.sqrt(np.maximum((squares[-1] - squares) / (count[-1] - count) - high**2, 0))[split]
    separation = between[split] / max(1e-9, count[-1] * squares[-1] - total[-1] ** 2)
    figures = (split + 0.999, low[split], high[split], low_spread, high_spread, separation)
    return Tones(*(float(figure) for figure in figures))
