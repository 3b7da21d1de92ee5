"""Bytes of an image file to grey pixels, within bounded memory."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.errors import ImageError

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 4000 * 4000


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the grey pixels of an image file, the right way up, transparency laid onto white.

    Args:
        data: a PNG or JPEG file.
        max_pixels: an image of more pixels is refused from its header, before it is decoded.

    Returns:
        uint8 (height, width), 0 black to 255 white.

    Raises:
        ImageError: empty, not a PNG or JPEG, damaged, or too large.
    """
    if not data:
        raise ImageError("the image is empty")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if not 0 < width * height <= max_pixels:
                raise ImageError(f"the image has {width}x{height} pixels, where 1 to {max_pixels:,} are served")
            return _grey(image)
    except UnidentifiedImageError as error:
        raise ImageError("the bytes are not a PNG or JPEG image") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"the image has more than the {max_pixels:,} pixels that are served") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError("the image is damaged or truncated") from error


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return (np.asarray(upright) >> 8).astype(np.uint8)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.asarray(upright.convert("L"))
