"""Decoding image files."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from digits.errors import ImageError
from digits.images import decode
from tests import events


def encoded(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, **{"format": "PNG", **options})  # type: ignore[arg-type]
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_png_pixels_come_out_as_they_are() -> None:
    pixels = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels))), pixels)


def test_jpeg_is_read() -> None:
    grey = decode(encoded(Image.new("L", (30, 40), 200), format="JPEG"))
    assert grey.shape == (40, 30)
    assert abs(int(grey.mean()) - 200) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_mode_of_png_becomes_grey(mode: str) -> None:
    source = Image.fromarray(np.full((8, 8), 51400, np.uint16)) if mode == "I;16" else Image.new("L", (8, 8), 200)
    grey = decode(encoded(source if mode == "I;16" else source.convert(mode)))
    assert grey.dtype == np.uint8
    assert grey.shape == (8, 8)
    assert grey.mean() > 100


def test_transparent_pixels_are_white() -> None:
    assert decode(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))).min() == 255


def test_the_camera_orientation_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    assert decode(encoded(Image.new("L", (30, 10)), format="JPEG", exif=exif)).shape == (30, 10)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"GIF89a", "not a PNG or JPEG"),
        (b"hello", "not a PNG or JPEG"),
        (events.digit_file(7)[:100], "damaged or truncated"),
        (events.digit_file(7)[:20], "damaged|not a PNG"),
        (png_header(0, 28), "0x28|damaged|not a PNG"),
        (png_header(10_000, 10_000), "10000x10000"),
        (png_header(20_000, 20_000), "16,000,000"),
        (png_header(4_000, 4_000), "damaged or truncated"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
