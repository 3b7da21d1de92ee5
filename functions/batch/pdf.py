"""The pages of a PDF as pictures."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2

from digits.errors import ImageError
from functions.batch.contents import Content, Grey, Unusable
from functions.predict_api.fields import LONG_SIDE

DOTS_PER_INCH = 150
_POINTS_PER_INCH = 72


def pages_of_pdf(data: bytes, start: int = 0) -> tuple[int, Iterator[Content]]:
    """Return how many pages a PDF has, and those from `start` on; each is drawn when it is asked for.

    Raises:
        ImageError: it is damaged or encrypted.
    """
    try:
        document = pypdfium2.PdfDocument(data)
        count = len(document)
    except pypdfium2.PdfiumError as error:
        raise ImageError("the PDF is damaged, or needs a password") from error
    if not count:
        raise ImageError("the PDF has no pages")
    return count, (_drawn(document, number) for number in range(start, count))


def _drawn(document: pypdfium2.PdfDocument, number: int) -> Content:
    """Return a page as grey pixels, at 150 dots an inch, or fewer where it is longer than a form may be."""
    try:
        page = document[number]
        scale = min(DOTS_PER_INCH / _POINTS_PER_INCH, LONG_SIDE / max(page.get_size()))
        return Grey(page.render(scale=scale, grayscale=True).to_numpy().copy())
    except (pypdfium2.PdfiumError, ZeroDivisionError, ValueError):
        return Unusable(ImageError(f"page {number + 1} of the PDF cannot be drawn"))
