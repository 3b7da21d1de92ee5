"""Where a picture has ink and how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.pictures.light import SLENDER, find_polarity, without_light
from digits.pictures.tones import sampled, split_tones

type Floats = NDArray[np.float32]

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
# Less contrast than this is told in the steps.
FULL_CONTRAST = 200
# The median of the absolute deviations, times this, is a normal distribution's standard deviation.
NORMAL = 1.4826


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


def find_ink(grey: Floats, longest: float = SLENDER) -> InkMap:
    """Tell ink from paper.

    Args:
        grey: float32 (height, width), 0 to 255, of either polarity.
        longest: how many times as long as wide a picture with a frame around it may be.

    Raises:
        UnreadableDigitError: `blank` or `no_contrast`.
    """
    if np.ptp(grey) < MIN_RANGE:
        raise UnreadableDigitError("the picture is blank: it shows one even tone", "blank")
    levels = split_tones(sampled(grey))
    dark, even = find_polarity(grey, levels, longest)
    steps = ["inverted"] if dark else []
    bright = 255 - grey if dark else grey
    if even:
        raised = bright - (255 - levels.high if dark else levels.low)
    else:
        raised = without_light(bright, dark, longest)
        steps.append("evened the light")
    return _strengthened(raised, tuple(steps), not even)


def is_grain(ink: Floats) -> bool:
    """Return whether ink, of which something was left out, shows nothing but the grain of the paper."""
    sample = sampled(ink)
    if not np.ptp(sample):
        return True
    usual = split_tones(255 * np.clip(sample, 0, 1)).high / 255
    grain = NORMAL * float(np.median(np.abs(sample - np.median(sample))))
    return usual < max(FAINTEST, MIN_CONTRAST_IN_GRAINS * grain)


def _strengthened(raised: Floats, steps: tuple[str, ...], uneven: bool) -> InkMap:
    """Stretch what rises above the paper so that ink is 1."""
    sample = sampled(raised)
    levels = split_tones(np.maximum(sample, 0))
    paper = sample[sample <= levels.threshold]
    level = float(np.median(paper))
    contrast = levels.high - level
    grain = max(_grain(raised), NORMAL * float(np.median(np.abs(paper - level))) if contrast < SMUDGE else 0)
    if not contrast >= max(MIN_CONTRAST, MIN_CONTRAST_IN_GRAINS * grain):  # nor if nothing is left, and it is no number
        raise UnreadableDigitError("the picture has too little contrast to tell a digit from the paper", "no_contrast")
    if contrast < FULL_CONTRAST:
        steps = (*steps, f"contrast raised from {contrast:.0f} of 255")
    return InkMap((raised - level) / np.float32(contrast), steps, uneven)


def _grain(values: Floats) -> float:
    """Return the standard deviation of noise from pixel to pixel, of every fourth (Immerkaer, 1996, with a median)."""
    across = values[:, 2::2] - 2 * values[:, 1:-1:2] + values[:, :-2:2]
    both = across[2::2] - 2 * across[1:-1:2] + across[:-2:2]
    # In a small picture what changes from pixel to pixel is strokes, not noise.
    return float(np.median(np.abs(both))) * NORMAL / 6 if max(values.shape) >= MIN_GRAINY_SIDE and both.size else 0.0
