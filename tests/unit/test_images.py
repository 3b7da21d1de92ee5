"""Decoding image files."""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.errors import ImageError
from digits.pictures.images import FORMAT_NAMES, FORMATS, MEDIA_TYPES, SUFFIXES, DecodedImage, Format, decode
from tests import events

ROOT = Path(__file__).parents[2]
PILLOW_NAMES = tuple(str(each.plugin.format) for each in FORMATS)
FUZZ_COUNT = 150
EXTRA_MEGABYTES = 50
TIFF_COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")


def encoded(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, **{"format": "PNG", **options})  # type: ignore[arg-type]
    return file.getvalue()


def seven(mode: str = "RGB") -> Image.Image:
    return Image.open(BytesIO(events.digit_file(7))).resize((60, 50)).convert(mode)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def gif_header(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 200, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(146)


def webp_header(width: int, height: int) -> bytes:
    lossless = encoded(Image.new("RGBA", (8, 8)), format="WEBP", lossless=True)[12:]
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    frame = bytes(6) + bytes([7, 0, 0, 7, 0, 0, 100, 0, 0, 0]) + lossless
    chunks = (
        b"VP8X\x0a\0\0\0\x12"
        + canvas[1:]
        + b"ANIM\x06\0\0\0"
        + bytes(6)
        + b"ANMF"
        + struct.pack("<I", len(frame))
        + frame
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def tiff_header(width: int, height: int, tile: int | None = None) -> bytes:
    """A TIFF of one strip or one tile, compressed with deflate."""
    data = zlib.compress(bytes(1000))
    strip, tiles = {273: 8, 278: height, 279: len(data)}, {322: tile, 323: tile, 324: 8, 325: len(data)}
    tags = sorted(
        {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, **(strip if tile is None else tiles)}.items()
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


HUGE = {
    "png": png_header(20_000, 20_000),
    "gif": gif_header(20_000, 20_000),
    "bmp": bmp_header(20_000, 20_000),
    "webp": webp_header(16_383, 16_383),
    "tiff": tiff_header(20_000, 20_000),
    "tiff_tile": tiff_header(28, 28, tile=60_000 // 16 * 16),
    "jpeg": encoded(Image.new("L", (8, 8)), format="JPEG").replace(b"\0\x08\0\x08\x01", b"\x4e\x20\x4e\x20\x01"),
}


def test_png_pixels_come_out_as_they_are() -> None:
    pixels = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    decoded = decode(encoded(Image.fromarray(pixels)))
    assert np.array_equal(decoded.pixels, pixels)
    assert (decoded.steps, decoded.scale) == ((), 1)


@pytest.mark.parametrize("name", PILLOW_NAMES)
def test_every_format_is_read(name: str) -> None:
    decoded = decode(encoded(Image.new("RGB", (30, 40), (200, 200, 200)), format=name))
    assert decoded.pixels.shape == (40, 30)
    assert abs(int(decoded.pixels.mean()) - 200) <= 1


@pytest.mark.parametrize("each", FORMATS, ids=PILLOW_NAMES)
def test_the_table_of_formats_agrees_with_pillow(each: Format) -> None:
    name = str(each.plugin.format)
    assert each.name.upper() == name
    assert each.media_type == Image.MIME[name]
    assert each.suffixes
    assert {Image.registered_extensions()[suffix] for suffix in each.suffixes} == {name}


def test_every_place_that_names_the_formats_names_the_same() -> None:
    """What is written by hand, as it cannot be derived."""
    kinds = [media_type.removeprefix("image/") for media_type in MEDIA_TYPES]
    readme, api = (ROOT / "README.md").read_text(), (ROOT / "docs/api.md").read_text()
    assert f"| `{MEDIA_TYPES[0]}`, {', '.join(f'`{kind}`' for kind in kinds[1:])} |" in readme
    assert FORMAT_NAMES in " ".join(api.split())
    page = "".join(path.read_text() for path in sorted((ROOT / "functions/predict_api/page").rglob("*.js")))
    assert re.findall(r"image\\/\(([a-z|]+)\)", page) == ["|".join(kinds)]


def test_no_module_names_the_formats_again() -> None:
    for folder in ("functions", "layers", "local", "training"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text().lower()
            assert path.name == "images.py" or not ("webp" in text and "tiff" in text), path


def test_the_names_and_suffixes_are_those_of_the_table() -> None:
    assert FORMAT_NAMES == "PNG, JPEG, GIF, BMP, WebP or TIFF"
    assert SUFFIXES == (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


@pytest.mark.parametrize("compression", TIFF_COMPRESSIONS)
def test_every_usual_compression_of_tiff_is_read(compression: str | None) -> None:
    grey = decode(encoded(seven("L"), format="TIFF", compression=compression)).pixels.astype(int)
    assert np.abs(grey - np.asarray(seven("L"))).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_every_mode_of_png_becomes_grey(mode: str) -> None:
    grey = decode(encoded(Image.new("L", (8, 8), 200).convert(mode))).pixels
    assert grey.dtype == np.uint8
    assert grey.shape == (8, 8)
    assert grey.mean() > 100


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "F", "I"])
def test_odd_modes_of_tiff_become_grey(mode: str) -> None:
    image = Image.new("LAB", (8, 8), (200, 128, 128)) if mode == "LAB" else seven().convert("L").convert(mode)
    assert decode(encoded(image, format="TIFF")).pixels.mean() > 10


@pytest.mark.parametrize(("name", "top"), [("PNG", 65535), ("PNG", 4095), ("TIFF", 4095), ("TIFF", 65535)])
def test_deep_images_keep_their_contrast(name: str, top: int) -> None:
    pixels = np.asarray(seven("L"))
    deep = (pixels.astype(np.uint32) * top // 255).astype(np.uint16)
    grey = decode(encoded(Image.fromarray(deep), format=name)).pixels
    assert np.abs(grey.astype(int) - (pixels.astype(int) - pixels.min()) * 255 // np.ptp(pixels)).max() <= 2


def test_floats_that_are_no_numbers_do_no_harm() -> None:
    values = np.asarray(seven("F")).copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    assert decode(encoded(Image.fromarray(values), format="TIFF")).pixels.max() == 255


def test_what_is_transparent_all_over_is_white() -> None:
    decoded = decode(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))))
    assert decoded.pixels.min() == 255
    assert "laid onto white" in decoded.steps


def test_what_is_opaque_all_over_is_laid_onto_nothing() -> None:
    decoded = decode(encoded(seven("RGBA")))
    assert decoded.steps == ("colour to grey",)
    assert np.array_equal(decoded.pixels, np.asarray(seven("L")))


def test_a_transparent_palette_colour_is_white() -> None:
    palette = Image.new("P", (8, 8), 3)
    assert decode(encoded(palette, format="GIF", transparency=3)).pixels.min() == 255


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_camera_orientation_is_undone(name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees
    image = Image.new("L", (32, 16))
    image.paste(255, (0, 0, 16, 16))
    decoded = decode(encoded(image, format=name, exif=exif))
    grey = decoded.pixels
    assert (grey.shape, decoded.size) == ((32, 16), (16, 32))
    assert grey[:12].mean() > 230
    assert grey[20:].mean() < 20


@pytest.mark.parametrize("name", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_large_images_are_reduced(name: str, mode: str) -> None:
    image = Image.new(mode, (4000, 3000), "white")
    image.paste("black", (0, 0, 2000, 3000))
    decoded = decode(encoded(image, format=name, **({"compress_level": 1} if name == "PNG" else {})))
    height, width = decoded.pixels.shape
    assert 500 <= width <= 1000
    assert decoded.scale == pytest.approx(4000 / width)
    assert decoded.steps[0] == f"reduced to {width}x{height}"
    assert decoded.pixels[:, : width // 2 - 2].max() <= 2
    assert decoded.pixels[:, width // 2 + 2 :].min() >= 253


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 20, 30, 5), (20, 40, 60, 10)),
        ((-3, -2, 20, 10), (0, 0, 34, 16)),
        ((90, 40, 20, 20), (179, 80, 20, 19)),
        ((-9, -9, 4, 4), (0, 0, 1, 1)),
        ((150, 80, 4, 4), (198, 98, 1, 1)),
        ((50, 0.2, 0, 0.2), (100, 0, 1, 1)),
    ],
)
def test_boxes_lie_in_the_picture_as_sent(box: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert DecodedImage(np.zeros((50, 100), np.uint8), (), (199, 99)).as_sent(box) == expected


def test_4000_by_4000_is_served_and_one_row_more_is_not() -> None:
    assert decode(encoded(Image.new("1", (4000, 4000), 1))).pixels.min() == 255
    with pytest.raises(ImageError, match="4000x4001"):
        decode(encoded(Image.new("1", (4000, 4001))))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"GIF89a", "not a PNG, JPEG"),
        (b"hello", "not a PNG, JPEG"),
        (events.digit_file(7)[:100], "damaged or truncated"),
        (events.digit_file(7)[:20], "damaged|not a PNG"),
        (png_header(0, 28), "0x28|damaged|not a PNG"),
        (png_header(10_000, 10_000), "10000x10000"),
        (png_header(4_000, 4_000), "damaged or truncated"),
        *((data, "16,000,000") for data in HUGE.values()),
    ],
)
def test_bad_files_are_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PILLOW_NAMES)
def test_a_file_cut_off_anywhere_is_an_image_error_or_still_whole(name: str) -> None:
    data = encoded(seven(), format=name)
    for length in range(0, len(data) // 2, 7):
        with pytest.raises(ImageError):
            decode(data[:length])


@pytest.mark.parametrize("name", PILLOW_NAMES)
def test_damaged_bytes_raise_nothing_but_image_errors(name: str) -> None:
    """Warnings are errors in this run, so that none escapes either."""
    data, dice = encoded(seven(), format=name), random.Random(name)  # noqa: S311
    for _ in range(FUZZ_COUNT):
        damaged = bytearray(data[: dice.choice((len(data), dice.randrange(1, len(data))))])
        reach = min(len(damaged), dice.choice((200, len(data))))  # headers are hit as often as all the rest
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(reach)] = dice.choice((0, 1, 127, 128, 255))
        try:
            decoded = decode(bytes(damaged))
        except ImageError:
            continue
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.size


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory as Linux reports it")
def test_what_claims_a_huge_size_takes_little_memory(tmp_path: Path) -> None:
    for name, data in HUGE.items():
        (tmp_path / name).write_bytes(data)
    code = """
import resource, sys
from pathlib import Path
from digits.errors import ImageError
from digits.pictures.images import decode
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
for path in Path(sys.argv[1]).iterdir():
    try:
        decode(path.read_bytes())
    except ImageError:
        print(path.name, peak() - before)
"""
    finished = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    extra = {name: int(megabytes) for name, megabytes in map(str.split, finished.stdout.splitlines())}
    assert set(extra) == set(HUGE)
    assert max(extra.values()) < EXTRA_MEGABYTES


@pytest.mark.parametrize(
    ("sent", "decoded"),
    [((1600, 1200), (800, 600)), ((4000, 3000), (1000, 750)), ((4032, 3024), (672, 504)), ((2500, 1875), (834, 625))],
)
def test_a_jpeg_is_reduced_while_it_is_decoded_only_as_far_as_it_will_be(
    sent: tuple[int, int], decoded: tuple[int, int]
) -> None:
    file = BytesIO()
    Image.new("L", sent, 200).save(file, "JPEG")
    height, width = decode(file.getvalue()).pixels.shape
    assert (width, height) == decoded


def test_a_jpeg_of_a_single_row_is_decoded() -> None:
    file = BytesIO()
    Image.new("L", (1500, 1), 200).save(file, "JPEG")
    assert decode(file.getvalue()).pixels.shape == (1, 750)
