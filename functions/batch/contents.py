"""What a picture of a batch came in: a file, pixels, a request of the API, or nothing that can be read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from digits.errors import ImageError, InputError
from digits.model.identity import sha256
from digits.pictures.canonical import SIDE
from digits.pictures.images import page_count
from digits.reading import Picture
from functions.predict_api.fields import FormPayload, read_form_payload
from functions.predict_api.payloads import Body, read_payload
from functions.predict_api.prediction import base64_png

type Pixels = NDArray[np.uint8]

MOST_FILE_BYTES = 32 * 2**20
MOST_PAGES = 2_000  # of one file
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_ARCHIVE_STARTS = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")
_PDF_START = b"%PDF-"


class Content(Protocol):
    """A picture, however it came."""

    @property
    def sha256(self) -> str | None:
        """Digest of the file, or of the pixels as bytes."""

    def picture(self) -> Picture:
        """Return it decoded, or raise InputError."""

    def request(self) -> dict[str, Any]:
        """Return it as the API takes it, or raise InputError."""


@dataclass(frozen=True)
class File:
    """An image file, or a page of it."""

    data: bytes = field(repr=False)
    sha256: str
    page: int = 0

    def picture(self) -> Picture:
        """See `Content`."""
        return Picture.of_file(self.data, page=self.page, digest=self.sha256)

    def request(self) -> dict[str, Any]:
        """See `Content`; other pages than the first are sent as files of their own."""
        return {"image": base64.b64encode(self.data).decode()} if not self.page else _png(self.picture().image.pixels)


@dataclass(frozen=True)
class Grey:
    """Grey pixels, uint8 (height, width), of either polarity."""

    pixels: Pixels = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """See `Content`."""
        return sha256(self.pixels.tobytes())

    def picture(self) -> Picture:
        """See `Content`."""
        return Picture.of_pixels(self.pixels)

    def request(self) -> dict[str, Any]:
        """See `Content`."""
        return {"pixels": self.pixels.tolist()} if self.pixels.shape == (SIDE, SIDE) else _png(self.pixels)


@dataclass(frozen=True)
class Request:
    """One picture of a request of the API, or a form."""

    document: dict[str, Any] = field(repr=False)
    reader: Callable[[], Picture]
    form: FormPayload | None = None

    @cached_property
    def sha256(self) -> str:
        """See `Content`; of what cannot be decoded, that of the request."""
        try:
            return self.picture().sha256
        except InputError:
            return sha256(json.dumps(self.document, sort_keys=True).encode())

    def picture(self) -> Picture:
        """See `Content`."""
        return self.reader()

    def request(self) -> dict[str, Any]:
        """See `Content`."""
        return self.document


@dataclass(frozen=True)
class Unusable:
    """What cannot be read, and why."""

    error: InputError
    sha256: str | None = None

    def picture(self) -> Picture:
        """See `Content`."""
        raise self.error

    def request(self) -> dict[str, Any]:
        """See `Content`."""
        raise self.error


@dataclass(frozen=True)
class Answered:
    """What has been read, and need not be held any longer."""

    sha256: str | None

    def picture(self) -> Picture:
        """See `Content`; nobody asks for it again."""
        raise AssertionError

    def request(self) -> dict[str, Any]:
        """See `Content`; nobody asks for it again."""
        raise AssertionError


@dataclass(frozen=True)
class Item:
    """One picture of an input.

    Attributes:
        name: what it is called there.
        after: where its source goes on after it; None where that must not stop there, as more of the same file follows.
        page: its number in a file that has several, from 1 on.
        label: what it shows, as somebody has told.
    """

    name: str
    content: Content
    after: int | None
    page: int | None = None
    label: str | None = None

    def let_go(self) -> Item:
        """Return it without its picture, as pictures may be large."""
        return replace(self, content=Answered(self.content.sha256))


def items_of_file(name: str, data: bytes, after: int | None, label: str | None = None) -> Iterator[Item]:
    """Return the pictures of a file: one, or the pages of a TIFF or PDF."""
    if data[:8].startswith(_ARCHIVE_STARTS) or name.lower().endswith(ARCHIVE_SUFFIXES):
        yield unusable(name, "an archive in an archive is not opened", after, sha256(data))
        return
    count, contents = pages_of(data)
    for page, content in enumerate(contents, 1):
        yield Item(name, content, after if page == count else None, page if count > 1 else None, label)


def pages_of(data: bytes, start: int = 0) -> tuple[int, Iterator[Content]]:
    """Return how many pages a file has, one if it is no TIFF or PDF, and those pages from `start` on."""
    digest = sha256(data)
    try:
        if is_pdf(data):
            from functions.batch.pdf import pages_of_pdf  # whose library is loaded where there is a PDF

            count, pages = pages_of_pdf(data, start)
        else:
            count = page_count(data, MOST_PAGES) if data[:2] in (b"II", b"MM") else 1
            pages = (File(data, digest, page) for page in range(start, count))
        if count > MOST_PAGES:
            raise ImageError(f"the file has more than the {MOST_PAGES:,} pages that are read")
    except InputError as error:
        return 1, iter([Unusable(error, digest)][start:])
    return count, pages


def is_pdf(data: bytes) -> bool:
    """Tell whether a file begins as a PDF does."""
    return data.startswith(_PDF_START)


def unusable(name: str, reason: str, after: int | None, digest: str | None = None, *, label: str | None = None) -> Item:
    """Return what stands for a picture that cannot be read."""
    return Item(name, Unusable(ImageError(reason), digest), after, label=label)


def items_of_request(name: str, line: bytes, after: int) -> Iterator[Item]:
    """Return the pictures of a request document; each of its `instances` counts as a page."""
    try:
        body = Body(line, "application/json")
        form = read_form_payload(body)
        if form:
            yield Item(name, Request(body.document, form.reader, form), after)
            return
        readers = read_payload(body).readers
        document = body.document.get("params", body.document)
        documents = document.get("instances", [document])
    except InputError as error:
        yield Item(name, Unusable(error, sha256(line)), after)
        return
    for page, (each, reader) in enumerate(zip(documents, readers, strict=True), 1):
        last = page == len(readers)
        yield Item(name, Request(each, reader), after if last else None, page if len(readers) > 1 else None)


def _png(pixels: Pixels) -> dict[str, Any]:
    return {"image": base64_png(pixels)}
