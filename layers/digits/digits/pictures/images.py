"""Bytes of an image file to grey pixels, within bounded memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

# Pillow registers a format when its module is imported, and imports only some by itself.
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from digits.errors import ImageError
from digits.pictures.colours import ground_of, is_faint, told_apart

type Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Format:
    """A kind of image file that is read.

    Attributes:
        plugin: Pillow's reader.
        name: as people write it.
        suffixes: of files, in lower case.
    """

    plugin: type[ImageFile.ImageFile]
    name: str
    media_type: str
    suffixes: tuple[str, ...]


FORMATS = (
    Format(PngImagePlugin.PngImageFile, "PNG", "image/png", (".png",)),
    Format(JpegImagePlugin.JpegImageFile, "JPEG", "image/jpeg", (".jpg", ".jpeg")),
    Format(GifImagePlugin.GifImageFile, "GIF", "image/gif", (".gif",)),
    Format(BmpImagePlugin.BmpImageFile, "BMP", "image/bmp", (".bmp",)),
    Format(WebPImagePlugin.WebPImageFile, "WebP", "image/webp", (".webp",)),
    Format(TiffImagePlugin.TiffImageFile, "TIFF", "image/tiff", (".tif", ".tiff")),
)
MEDIA_TYPES = tuple(each.media_type for each in FORMATS)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)
# For sentences: PNG, … or TIFF.
FORMAT_NAMES = " or ".join((", ".join(each.name for each in FORMATS[:-1]), FORMATS[-1].name))
MAX_PIXELS = 4000 * 4000
# Larger pictures are reduced to about this: far more than a digit of 20 pixels needs.
LONG_SIDE = 1000
# In a deep image a range smaller than this is noise, not contrast.
MIN_DEEP_RANGE = 256

# Pillow logs problems with a caller's file as errors, and raises them as well.
logging.getLogger("PIL").setLevel(logging.CRITICAL)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = tuple(_UPRIGHT[orientation] for orientation in range(5, 9))
# Where a PNG may tell.
_PNG_EXIF = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
_VP8X_HEADER_BYTES = 30
# Modes whose pixels can be averaged as they are.
_REDUCIBLE = ("L", "RGB", "RGBA")
_PILLOW_NAMES = tuple(str(each.plugin.format) for each in FORMATS)


@dataclass(frozen=True)
class DecodedImage:
    """The pixels of an image file, the right way up.

    Attributes:
        pixels: uint8 (height, width), 0 black to 255 white.
        steps: what was done to the picture, in order; empty for a small grey image.
        size: width and height of the upright picture as sent.
    """

    pixels: Pixels
    steps: tuple[str, ...]
    size: tuple[int, int]

    @property
    def scale(self) -> float:
        """How many pixels of the upright picture as sent one pixel here spans, 1 or more."""
        longest: int = max(self.pixels.shape)
        return max(self.size) / longest

    def as_sent(self, box: Sequence[float]) -> tuple[int, int, int, int]:
        """Return a box in pixels of the upright picture as sent: clipped to it, no side shorter than 1.

        Args:
            box: left, top, width and height in pixels of this one.
        """
        left, top, wide, high = (round(side * self.scale) for side in box)
        width, height = self.size
        start, above = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        stop, below = min(max(left + wide, start + 1), width), min(max(top + high, above + 1), height)
        return start, above, stop - start, below - above


def decode(data: bytes, max_pixels: int = MAX_PIXELS, long_side: int = LONG_SIDE, page: int = 0) -> DecodedImage:
    """Return the grey pixels of an image file: upright, nothing transparent, large ones reduced.

    Args:
        data: a file in one of the FORMATS.
        max_pixels: a larger image is refused by its header, before it is decoded.
        long_side: larger ones are reduced to about this.
        page: which page of a TIFF, or frame of an animation, is read.

    Raises:
        ImageError: empty, of another format, damaged, or too large.
    """
    with _judged(data, max_pixels):
        return _decode(data, max_pixels, long_side, page)


def page_count(data: bytes, most: int) -> int:
    """Return how many pages an image file has: those of a TIFF, and one of all others.

    Args:
        most: of a TIFF that has more, they are not counted, and the answer is one more.

    Raises:
        ImageError: empty, of another format, damaged, or too large.
    """
    with _judged(data, MAX_PIXELS):
        _check_size(_webp_canvas(data), MAX_PIXELS)
        with _opened(data) as image:
            return _page_count(image, most) if isinstance(image, TiffImagePlugin.TiffImageFile) else 1


def _page_count(image: TiffImagePlugin.TiffImageFile, most: int) -> int:
    for page in range(1, most + 1):
        try:
            image.seek(page)
        except EOFError:
            return page
    return most + 1


@contextmanager
def _judged(data: bytes, max_pixels: int) -> Iterator[None]:
    """Have what Pillow says of a file be an ImageError."""
    if not data:
        raise ImageError("the image is empty")
    # Pillow warns of oddities in callers' files. They are no reason to fail or to print.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except UnidentifiedImageError as error:
            raise ImageError(f"the bytes are not a {FORMAT_NAMES} image that can be read") from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"the image has more than the {max_pixels:,} pixels that are served") from error
        except ImageError:
            raise
        except Exception as error:
            # Pillow's readers let all kinds of errors through: OSError, struct.error, KeyError, …
            raise ImageError("the image is damaged or truncated") from error


def _opened(data: bytes, page: int = 0) -> ImageFile.ImageFile:
    image = Image.open(BytesIO(data), formats=_PILLOW_NAMES)
    if page:
        image.seek(page)
    return image


def _decode(data: bytes, max_pixels: int, long_side: int, page: int) -> DecodedImage:
    _check_size(_webp_canvas(data), max_pixels)
    with _opened(data, page) as image:
        size = image.size
        _check_size(size, max_pixels)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # A tile is decoded whole, however small the picture is.
            _check_size((image.tag_v2.get(322, 1), image.tag_v2.get(323, 1)), max_pixels)
        mode = image.mode
        _load(image, "L", long_side)
        orientation = _orientation(image)
        if image.mode != mode and is_faint(image):
            # Colours are decoded after all.
            with _opened(data, page) as coloured:
                _load(coloured, mode, long_side)
                pixels, steps = _grey(coloured, long_side)
        else:
            pixels, steps = _grey(image, long_side)
    if max(pixels.shape) != max(size):
        steps.insert(0, f"reduced to {pixels.shape[1]}x{pixels.shape[0]}")
    if orientation is not None:
        pixels = np.asarray(Image.fromarray(pixels).transpose(orientation))
        steps.append("turned upright")
    return DecodedImage(pixels, tuple(steps), size[::-1] if orientation in _QUARTER_TURNS else size)


def _load(image: ImageFile.ImageFile, mode: str, long_side: int) -> None:
    factor = -(-max(image.size) // long_side)
    if factor in (2, 4, 8):
        # Only JPEG can be reduced while it is decoded, by these alone; without its colours, in half of the time.
        image.draft(mode, (max(1, image.width // factor), max(1, image.height // factor)))
    elif factor > 1:  # less far than it will be, so that what is left to do leaves no fewer pixels
        image.draft(mode, (long_side, long_side))
    image.load()


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if not 0 < width * height <= max_pixels:
        raise ImageError(f"the image has {width}x{height} pixels, where 1 to {max_pixels:,} are served")


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Return the canvas size of an extended WebP, which Pillow allocates on opening; 1x1 for any other file."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8X" or len(data) < _VP8X_HEADER_BYTES:
        return 1, 1
    return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """Return how to turn a camera's picture upright; damaged EXIF data is ignored."""
    if isinstance(image, PngImagePlugin.PngImageFile) and not _PNG_EXIF & image.info.keys():
        return None  # which Pillow takes longer to find out than to decode a small picture
    try:
        return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # all kinds of errors, as above
        return None


def _grey(image: Image.Image, long_side: int) -> tuple[Pixels, list[str]]:
    factor = -(-max(image.size) // long_side)
    if image.mode.startswith(("I", "F")):
        return _from_deep(np.asarray(image), factor), [f"{image.mode} scaled to 8 bits"]
    if image.mode == "LAB":
        image = image.getchannel("L")
    transparent = image.has_transparency_data
    if transparent and image.mode not in _REDUCIBLE:
        image = image.convert("RGBA")
    if image.mode in _REDUCIBLE:
        image, factor = _reduced(image, factor), 1
    image, steps = _laid(image.convert("RGBA")) if transparent else (image, [])
    grey = _reduced(image if image.mode == "L" else image.convert("L"), factor)
    if image.mode in ("1", "L"):
        # As numpy.asarray does, in half of the time.
        return np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.height, grey.width), steps
    if is_faint(grey):
        apart = told_apart(_reduced(image.convert("RGB"), factor))
        if apart is not None:
            return np.asarray(apart), [*steps, "told colours of one brightness apart"]
    return np.asarray(grey), [*steps, "colour to grey"]


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    return image.reduce(factor) if factor > 1 else image


def _laid(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return a picture of mode RGBA with nothing transparent, and what was done to it."""
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB"), []
    ground = ground_of(image)
    below = Image.new("RGBA", image.size, ground.colour)
    return Image.alpha_composite(below, image).convert("RGB"), [f"laid onto {ground.name}"]


def _from_deep(values: NDArray[np.number], factor: int) -> Pixels:
    """Scale 16 or 32 bits, or floats, from the range that they use to bytes, so that 12-bit scans keep contrast."""
    height, width = (max(1, side // factor) for side in values.shape)
    blocks = values[: height * factor, : width * factor].reshape(height, min(factor, len(values)), width, -1)
    with np.errstate(all="ignore"):
        means = np.nan_to_num(blocks.mean(axis=(1, 3), dtype=np.float64), posinf=0, neginf=0)
        low, span = float(means.min()), float(np.ptp(means))
        if span == 0:
            return np.full(means.shape, 255, np.uint8)
        if values.dtype.kind != "f":
            span = max(span, MIN_DEEP_RANGE)
        return np.clip(255 * ((means - low) / span), 0, 255).astype(np.uint8)
