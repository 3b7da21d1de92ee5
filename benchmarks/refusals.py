"""What becomes of pictures that must be refused: blank sheets, several digits, and letters of other fonts."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.models import Measured, digits_of, model_of, parser
from digits.errors import DigitsError
from digits.model.manifest import OutlierRow
from training.answers import answers_to
from training.blanks import BLANKS
from training.dataset import Part
from training.forms import bring
from training.refusals import BLANK_SHEETS, SEVERAL_DIGITS, blank_sheet, several_digits
from training.robustness import outlier_row

CAPITALS = "ACDEFGHJKLMNPQRTUVWXY"  # without I, O, S, Z and B, which a hand writes as 1, 0, 5, 2 and 8
SIGNS = "+-=*%@?<>[]$!:;~#&{}"  # without / | ( ), which are a 1 with some slant
# DejaVu, STIX and Computer Modern, as matplotlib brings them; the others hold mathematical signs.
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmr10",
    "cmb10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
_SIZES = (24, 32, 48, 72, 112, 160)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what becomes of each kind, and write it as JSON where wished; the exit status tells errors alone."""
    options = parser("benchmarks.refusals", "Print what becomes of pictures that must be refused.", 1_000).parse_args(
        arguments
    )
    try:
        model, found = model_of(options), digits_of(options)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"model {model.manifest.version}, pictures out of holdout digits of {found.name}", flush=True)
    print(f"{'pictures':38} {'count':>6} {'refused':>8} {'answered':>8} {'accepted':>8}")
    rows = _blanks_and_several(model, found.holdout, options.count)
    fonts = [_row(model, f"capitals and signs of {font}", letters(font)) for font in FONTS]
    rows += [*fonts, _together("capitals and signs of all fonts", fonts)]
    if options.json:
        document = {"model": model.manifest.version, "rows": [row.model_dump(mode="json") for row in rows]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _blanks_and_several(model: Measured, part: Part, count: int) -> list[OutlierRow]:
    blanks = []
    for kind, name in enumerate(BLANKS):
        indices = range(kind, count, len(BLANKS))
        if indices:
            blanks.append(_row(model, f"blank: {name}", [blank_sheet(index) for index in indices]))
    several = _row(model, SEVERAL_DIGITS, [several_digits(part, index) for index in range(count)])
    return [*blanks, _together(BLANK_SHEETS, blanks), several]


def letters(font: str) -> list[NDArray[np.uint8]]:
    """Return pictures of capitals and signs of a font, at different sizes, dark on bright, with an even margin."""
    path = Path(matplotlib.get_data_path()) / "fonts/ttf" / f"{font}.ttf"
    generator = np.random.default_rng(zlib.crc32(font.encode()))
    return [_drawn(sign, ImageFont.truetype(str(path), int(size)), generator) for sign, size in _glyphs()]


def _glyphs() -> list[tuple[str, int]]:
    return [(sign, size) for sign in CAPITALS + SIGNS for size in _SIZES]


def _drawn(sign: str, font: ImageFont.FreeTypeFont, generator: np.random.Generator) -> NDArray[np.uint8]:
    left, top, right, bottom = font.getbbox(sign)
    margin = round(font.size * generator.uniform(0.2, 0.5))
    width, height = round(right - left) + 2 * margin, round(bottom - top) + 2 * margin
    paper, ink = int(generator.integers(200, 256)), int(generator.integers(0, 80))
    image = Image.new("L", (width, height), paper)
    ImageDraw.Draw(image).text((margin - left, margin - top), sign, fill=ink, font=font)
    return np.asarray(image)


def _row(model: Measured, name: str, pictures: Sequence[NDArray[np.uint8]]) -> OutlierRow:
    answers = answers_to(model.classifier, bring(pictures.__getitem__, len(pictures)))
    row = outlier_row(name, answers, *model.thresholds)
    _print(row)
    return row


def _together(name: str, rows: Sequence[OutlierRow]) -> OutlierRow:
    """Print and return what becomes of all these pictures."""
    count = sum(row.count for row in rows)
    verdicts = sorted({verdict for row in rows for verdict in row.refused})
    row = OutlierRow(
        name=name,
        trained=False,
        count=count,
        refused={each: sum(row.count * row.refused.get(each, 0) for row in rows) / count for each in verdicts},
        answered=sum(row.count * row.answered for row in rows) / count,
        accepted=sum(row.count * row.accepted for row in rows) / count,
    )
    _print(row)
    return row


def _print(row: OutlierRow) -> None:
    verdicts = ", ".join(f"{verdict} {share:.1%}" for verdict, share in row.refused.items())
    print(
        f"{row.name:38} {row.count:6,} {sum(row.refused.values()):8.2%} {row.answered:8.2%} {row.accepted:8.2%}"
        + (f"  ({verdicts})" if verdicts else ""),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
