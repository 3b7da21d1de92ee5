"""Files in forms, as clients send them."""

from __future__ import annotations

import numpy as np
import pytest

from digits.pictures.images import decode
from functions.predict_api.errors import MalformedRequestError
from functions.predict_api.forms import files_of, parts_of
from tests import events
from tests.conftest import Handler
from tests.events import image_file

TYPE = "multipart/form-data; boundary=x"
DIGIT = events.digit_file(7)
PIXELS = decode(DIGIT).pixels
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def part(headers: str, data: bytes) -> bytes:
    return f"--x\r\nContent-Disposition: form-data; {headers}\r\n\r\n".encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def files(*parts: bytes) -> list[bytes]:
    return files_of(parts_of(form(*parts), TYPE), 3)


@pytest.mark.parametrize(
    "headers",
    [
        'name="file"; filename="7.png"',
        "name=file; filename=7.png",
        'filename="7.png"',
        """name="file"; filename*=UTF-8''%E2%82%AC.png""",
        """name="file"; FileName*=utf-8'en'7.png""",
        """name="file"; filename="7.png"; filename*=UTF-8''7.png""",
        'name="file"; filename*0="7"; filename*1=".png"',
        """name="file"; filename*=idna''x.png""",
        """name="file"; filename*=undefined''x.png""",
        'name="file"; filename=""',
        'name="file"',
        'name="file"\r\nContent-Type: image/png',
        'name="file"\r\nContent-Type: application/octet-stream',
        'name="file"\r\nContent-Type: text/plain; charset=utf-8',
        'name="a; filename=b"\r\nContent-Type: image/png',
    ],
)
def test_a_file_is_read_however_it_is_named(handler: Handler, headers: str) -> None:
    assert files(part(headers, DIGIT)) == [DIGIT]
    body = form(part(headers, DIGIT), part(headers, events.digit_file(1)))
    assert events.digits_of(handler(events.post(body, content_type=TYPE))) == [7, 1]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("side", [1, 28, 300])
def test_a_nameless_file_of_every_format_is_told_from_text(kind: str, side: int) -> None:
    data = image_file(np.resize(PIXELS, (side, side)), kind)
    assert files(part('name="file"', data)) == [data]


def test_fields_of_text_are_no_files() -> None:
    texts = [part('name="note"', text.encode()) for text in ("", "7", "ä note\r\n--y", "☃" * 1_000)]
    typed = part('name="more"\r\nContent-Type: application/json', b"{}")
    unchosen = part('name="other"; filename=""\r\nContent-Type: application/octet-stream', b"")
    assert files(*texts, part('name="file"; filename="x"', DIGIT), typed, unchosen) == [DIGIT]


def test_a_named_file_is_one_whatever_is_in_it() -> None:
    assert files(part('filename="x"', b""), part("filename*=UTF-8''x", b"text")) == [b"", b"text"]


@pytest.mark.parametrize(
    ("body", "content_type", "detail"),
    [
        (b"", TYPE, "the form is empty"),
        (b"\r\n", TYPE, "the form is empty"),
        (b"--x--\r\n", TYPE, "the form is empty"),
        (b"--x--", TYPE, "the form is empty"),
        (form(part('name="note"', b"7")), TYPE, "no file in it"),
        (form(part('name="file"; filename=""', b"")), TYPE, "no file in it"),
        (form(part('name="file"; filename="x"', DIGIT)), "multipart/form-data", "names no boundary"),
        (form(part('name="file"; filename="x"', DIGIT)), TYPE + "y", "ends early"),
        (form(part('name="file"; filename="x"', DIGIT))[:-6], TYPE, "ends early"),
        (form(*[part('name="file"', DIGIT)] * 4), TYPE, "more than 3 files"),
        (form(*[part('name="note"', b"7")] * 1_001), TYPE, "more than 1,000 parts"),
        (b"hello\r\n--x--\r\n", TYPE, "cannot be read"),
        (b"--x\r\nnot a header\r\n\r\n--x--\r\n", TYPE, "cannot be read"),
        (b"--x--", f"multipart/form-data; boundary={'x' * 1_000}", "ends early"),
        (b"--" + b"x" * 1_000 + b"--", f"multipart/form-data; boundary={'x' * 1_000}", "cannot be read"),
    ],
)
def test_a_form_without_files_says_what_is_wrong(body: bytes, content_type: str, detail: str) -> None:
    with pytest.raises(MalformedRequestError, match=detail):
        files_of(parts_of(body, content_type), 3)
