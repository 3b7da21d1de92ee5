"""Strokes redrawn as MNIST has them, whichever pen or camera they come from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.pictures.tones import histogram, sampled, split_counts
from digits.pictures.windows import windowed

type Floats = NDArray[np.float32]

# Ink, as a share of the digit's usual ink, that belongs to a stroke.
STROKE_INK = 0.4
FAINT_STROKE_INK = 0.3
# Strokes are measured and redrawn at this longest side of the digit: four pixels for each of MNIST's.
DRAWING_SIDE = 80
# MNIST's stroke widths at that size: the 1st and the 97th percentile.
STROKE_WIDTHS = (5.5, 16.5)
# Blurred ink below the first share becomes paper, above the second full ink; MNIST's own ink keeps its amount.
EDGE_INK = (0.4, 0.9)
# Of a digit with no more pixels than this on its longer side, grey says more of its shape than of blur.
FEW_PIXELS = 12
GREY_INK = (0.2, 1.1)
MARGIN = 8
# Where a digit is reduced by more than this factor, finer lines than so many pixels of the drawing are thickened first,
# or they fade.
FINE_FACTOR = 0.7
FINEST = 1.5


def stroke_mask(
    ink: Floats, factor: int = 1, least: float = STROKE_INK, usual: np.float32 | None = None
) -> NDArray[np.bool_]:
    """Return the mask of the strokes, reduced by a factor so that lines of a single pixel survive.

    Args:
        ink: float32 (height, width), 0 paper to 1 ink.
        factor: each pixel of the mask stands for a block of that many by that many. It is set if half of a block's
            side is ink: grain sets no block, a line through it does.
        least: ink that counts, as a share of the usual ink.
        usual: the usual ink, where it is known.
    """
    mask = ink > least * (usual_ink(ink) if usual is None else usual)
    if factor == 1:
        return mask
    shares = Image.fromarray(mask.view(np.uint8) * np.uint8(255)).reduce(factor)
    return np.asarray(shares) >= 255 * max(1, factor // 2) / factor**2 - 0.5


def redraw(ink: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Redraw a digit without blur, its strokes no thinner or thicker than MNIST's.

    Args:
        ink: float32 (height, width), 0 paper to 1 ink, the digit with hardly any margin.

    Returns:
        float32, 0 to 1, with the digit about 80 pixels high or wide; the steps taken.
    """
    sharp = _sharp(ink / usual_ink(ink))
    width = _stroke_width(sharp >= 0.5)
    wanted = float(np.clip(width, *STROKE_WIDTHS))
    # The pen also changes the digit's size, which is scaled back later.
    changes = round((wanted - width) / 2 * DRAWING_SIDE / (DRAWING_SIDE - wanted))
    if not changes:
        return sharp, ()
    verb = "thickened" if changes > 0 else "thinned"
    step = f"strokes {verb} from {width / 4:.1f} to {wanted / 4:.1f} pixels"
    return _with_pen(sharp, changes), (step,)


def redraw_line(ink: Floats, height: int) -> Floats:
    """Redraw a row of digits without blur, its strokes as wide as those of digits that are 80 pixels high.

    Args:
        ink: float32 (height, width), 0 paper to 1 ink, cropped.
        height: of the drawing, in pixels.

    Returns:
        float32 (height, width), 0 to 1.
    """
    size = max(4, round(ink.shape[1] * height / ink.shape[0])), height
    low, high = EDGE_INK
    large = np.asarray(Image.fromarray(ink / usual_ink(ink)).resize(size, Image.Resampling.BICUBIC))
    sharp = np.clip((large - low) / (high - low), 0, 1).astype(np.float32)
    width = _stroke_width(sharp >= 0.5)
    # What fills its box has no edges to be measured by.
    changes = max(round((float(np.clip(width, *STROKE_WIDTHS)) - width) / 2), -(height // 2))
    return _with_pen(sharp, changes) if changes else sharp


def _with_pen(sharp: Floats, changes: int) -> Floats:
    """Return strokes that are wider all round by so many pixels, or narrower."""
    pen = np.maximum if changes > 0 else np.minimum
    return windowed((sharp * 255).astype(np.uint8), 2 * abs(changes) + 1, pen).astype(np.float32) / np.float32(255)


def usual_ink(ink: Floats) -> np.float32:
    """Return the usual amount of ink in a stroke."""
    return np.float32(split_counts(histogram((255 * np.clip(sampled(ink), 0, 1)).astype(np.uint8))).high / 255)


def _sharp(ink: Floats) -> Floats:
    """Return the digit enlarged or reduced to the drawing's size, without blur."""
    strokes = ink > STROKE_INK
    rows, columns = (np.flatnonzero(strokes.any(axis=axis)) for axis in (1, 0))
    side = 1 + int(max(rows[-1] - rows[0], columns[-1] - columns[0]))
    (low, high), how = (
        (EDGE_INK, Image.Resampling.BICUBIC) if side > FEW_PIXELS else (GREY_INK, Image.Resampling.LANCZOS)
    )
    factor = DRAWING_SIDE / side
    size = max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor))
    if factor < FINE_FACTOR and (missing := FINEST / factor - _stroke_width(ink >= STROKE_INK)) > 0:
        ink = windowed(ink, 2 * math.ceil(missing / 2) + 1, np.maximum)
    large = np.asarray(Image.fromarray(ink).resize(size, how))
    drawing = np.zeros((large.shape[0] + 2 * MARGIN, large.shape[1] + 2 * MARGIN), np.float32)
    np.clip((large - low) / (high - low), 0, 1, out=drawing[MARGIN:-MARGIN, MARGIN:-MARGIN])
    return drawing


def _stroke_width(drawn: NDArray[np.bool_]) -> float:
    """Return twice the area over the perimeter; counted on a grid, the perimeter is 4/pi times too long."""
    perimeter = np.count_nonzero(drawn[1:] != drawn[:-1]) + np.count_nonzero(drawn[:, 1:] != drawn[:, :-1])
    return 2 * np.count_nonzero(drawn) / max(1.0, perimeter * np.pi / 4)
