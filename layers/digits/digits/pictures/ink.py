"""Where a picture has ink and how much: polarity, uneven light, paper grain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import UnreadableDigitError

type Floats = NDArray[np.float32]

# A picture with a smaller range of greys than this, of 255, is blank.
MIN_RANGE = 4
# Contrast below this, of 255, or below this many times the paper's grain, is too faint to be ink.
MIN_CONTRAST = 10
MIN_CONTRAST_IN_GRAINS = 4.0
MIN_GRAINY_SIDE = 48
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


@dataclass(frozen=True)
class InkMap:
    """The ink of a picture.

    Attributes:
        ink: float32 (height, width), from 0 for paper to 1 for the digit's usual ink, or a little more.
        steps: what was done to the picture.
    """

    ink: Floats
    steps: tuple[str, ...]


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
    levels = split_tones(grey)
    dark, even = _polarity(grey, levels)
    steps = ["inverted"] if dark else []
    bright = 255 - grey if dark else grey
    if even:
        raised = bright - (255 - levels.high if dark else levels.low)
    else:
        raised = _without_light(bright, dark)
        steps.append("evened the light")
    return _strengthened(raised, tuple(steps))


def _strengthened(raised: Floats, steps: tuple[str, ...]) -> InkMap:
    """Stretch what rises above the paper so that ink is 1."""
    levels = split_tones(np.maximum(raised, 0))
    paper = raised[raised <= levels.threshold]
    level = float(np.median(paper))
    contrast = levels.high - level
    grain = max(_grain(raised), 1.4826 * float(np.median(np.abs(paper - level))) if contrast < SMUDGE else 0)
    if contrast < max(MIN_CONTRAST, MIN_CONTRAST_IN_GRAINS * grain):
        raise UnreadableDigitError("the picture has too little contrast to tell a digit from the paper", "no_contrast")
    if contrast < 200:
        steps = (*steps, f"contrast raised from {contrast:.0f} of 255")
    return InkMap((raised - level) / np.float32(contrast), steps)


def _grain(values: Floats) -> float:
    """Return the standard deviation of noise from pixel to pixel (after Immerkaer, 1996, with a median)."""
    across = values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]
    both = across[2:] - 2 * across[1:-1] + across[:-2]
    # In a small picture what changes from pixel to pixel is strokes, not noise.
    return float(np.median(np.abs(both))) * 1.4826 / 6 if max(values.shape) >= MIN_GRAINY_SIDE and both.size else 0.0


def _polarity(grey: Floats, levels: Tones) -> tuple[bool, bool]:
    """Return whether the ink is darker than the paper, and whether the light is even."""
    bright = grey > levels.threshold
    share = float(np.concatenate([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]]).mean())
    dark = share > 0.5
    spread = levels.high_spread if dark else levels.low_spread
    plain = max(share, 1 - share) >= PLAIN_BORDER and spread <= EVEN_LIGHT * levels.contrast
    two_tones = levels.separation >= TWO_TONES and levels.low <= DEEP_SHADOW * levels.high
    if plain or (two_tones and max(share, 1 - share) >= TIGHT_BORDER):
        return dark, True
    return _is_dark_minority(grey), False


def _is_dark_minority(grey: Floats) -> bool:
    """Return whether the picture's outliers against their surroundings are dark."""
    small = _resized(grey, LIGHT_SIDE)
    window = LIGHT_WINDOW
    mean = _along_both(np.pad(small, window // 2, "edge"), np.mean, window)
    return float(((small - mean) ** 3).sum()) < 0


def _without_light(bright: Floats, dark_ink: bool) -> Floats:
    """Subtract what the paper would show without ink; on paper, light multiplies rather than adds.

    Args:
        bright: float32 (height, width), ink brighter than the paper.
        dark_ink: whether the picture as sent has dark ink on light paper.
    """
    small = _resized(bright, LIGHT_SIDE)
    window, reach = LIGHT_WINDOW, LIGHT_WINDOW // 2
    lowest = _along_both(np.pad(small, reach, "edge"), np.min, window)
    opened = _along_both(np.pad(lowest, reach, "edge"), np.max, window)
    smooth = _along_both(np.pad(opened, 2, "edge"), np.mean, 5)
    height, width = bright.shape
    paper: Floats = np.asarray(Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC))
    light = np.maximum(255 - paper, 16) / 255 if dark_ink else 1
    return ((bright - paper) / light).astype(np.float32)


def _along_both(padded: Floats, summary: Callable[..., Floats], window: int) -> Floats:
    """Apply a separable filter: along the rows, then along the columns."""
    for axis in (0, 1):
        padded = summary(np.lib.stride_tricks.sliding_window_view(padded, window, axis), axis=-1)
    return padded.astype(np.float32)


def _resized(grey: Floats, side: int) -> Floats:
    height, width = grey.shape
    factor = min(1.0, side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


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
    separation = between[split] / (count[-1] * squares[-1] - total[-1] ** 2)
    figures = (split + 0.999, low[split], high[split], low_spread, high_spread, separation)
    return Tones(*(float(figure) for figure in figures))
