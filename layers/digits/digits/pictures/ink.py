"""Where a picture has ink and how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.pictures.light import SLENDER, find_polarity, without_light
from digits.pictures.strokes import usual_ink
from digits.pictures.tones import Counts, histogram, median_of, sampled, split_counts

type Floats = NDArray[np.float32]
type Pixels = NDArray[np.uint8]

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
_GREYS = np.arange(256, dtype=np.float32)


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


def find_ink(grey: Pixels, longest: float = SLENDER) -> InkMap:
    """Tell ink from paper.

    Args:
        grey: uint8 (height, width), of either polarity.
        longest: how many times as long as wide a picture with a frame around it may be.

    Raises:
        UnreadableDigitError: `blank` or `no_contrast`.
    """
    if np.ptp(grey) < MIN_RANGE:
        raise UnreadableDigitError("the picture is blank: it shows one even tone", "blank")
    counts = histogram(sampled(grey))
    levels = split_counts(counts)
    dark, even = find_polarity(grey, levels, longest)
    steps = ("inverted",) if dark else ()
    bright = 255 - grey if dark else grey
    if not even:
        raised = without_light(bright.astype(np.float32), dark, longest)
        sample = np.sort(sampled(raised), axis=None)
        found = _Raised(raised, sample, np.ones(len(sample), np.intp), _grain(raised))
        return _strengthened(found, (*steps, "evened the light"), uneven=True)
    paper = np.float32(255 - levels.high if dark else levels.low)
    found = _Raised(bright.astype(np.float32) - paper, _GREYS - paper, counts[::-1] if dark else counts, _grain(bright))
    return _strengthened(found, steps, uneven=False)


def is_grain(ink: Floats) -> bool:
    """Return whether ink, of which something was left out, shows nothing but the grain of the paper."""
    sample = sampled(ink)
    if not np.ptp(sample):
        return True
    usual = float(usual_ink(ink))
    grain = NORMAL * float(np.median(np.abs(sample - np.median(sample))))
    return usual < max(FAINTEST, MIN_CONTRAST_IN_GRAINS * grain)


@dataclass(frozen=True)
class _Raised:
    """How far each pixel rises above the paper.

    Attributes:
        values: float32 (height, width).
        tones: those of a sample of the pixels, ascending, of which each occurs so many times as `counts` says.
        grain: standard deviation of noise from pixel to pixel.
    """

    values: Floats
    tones: Floats
    counts: Counts
    grain: float


def _strengthened(raised: _Raised, steps: tuple[str, ...], *, uneven: bool) -> InkMap:
    """Stretch what rises above the paper so that ink is 1."""
    levels = split_counts(np.bincount(np.clip(raised.tones, 0, 255).astype(np.uint8), raised.counts, 256))
    among = int(np.searchsorted(raised.tones, np.float32(levels.threshold), "right"))
    paper, counts = raised.tones[:among], raised.counts[:among]
    level = median_of(paper, counts)
    contrast = levels.high - level
    grain = raised.grain
    if contrast < SMUDGE:
        deviations = np.abs(paper - np.float32(level))
        order = deviations.argsort()
        grain = max(grain, NORMAL * median_of(deviations[order], counts[order]))
    if not contrast >= max(MIN_CONTRAST, MIN_CONTRAST_IN_GRAINS * grain):  # nor if nothing is left, and it is no number
        raise UnreadableDigitError("the picture has too little contrast to tell a digit from the paper", "no_contrast")
    if contrast < FULL_CONTRAST:
        steps = (*steps, f"contrast raised from {contrast:.0f} of 255")
    return InkMap((raised.values - np.float32(level)) / np.float32(contrast), steps, uneven)


def _grain(values: Floats | Pixels) -> float:
    """Return the standard deviation of noise from pixel to pixel, of every fourth (Immerkaer, 1996, with a median)."""
    if max(values.shape) < MIN_GRAINY_SIDE or min(values.shape) < 3:
        return 0.0  # in a small picture what changes from pixel to pixel is strokes, not noise
    is_whole = values.dtype == np.uint8
    signed: NDArray[np.number] = values.astype(np.int16) if is_whole else values
    down = signed[2::2] - 2 * signed[1:-1:2] + signed[:-2:2]
    changes = np.abs(down[:, 2::2] - 2 * down[:, 1:-1:2] + down[:, :-2:2]).ravel()
    if not is_whole:
        return float(np.median(changes)) * NORMAL / 6
    counts = np.bincount(changes)
    return median_of(np.arange(len(counts)), counts) * NORMAL / 6
