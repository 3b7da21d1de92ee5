"""Content encodings, undone within limits."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from functions.predict_api.encoding import decompress
from functions.predict_api.errors import BodyTooLargeError, MalformedRequestError, MediaTypeError

LIMIT = 10_000


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", b"plain"),
        ("identity", b"plain"),
        ("gzip", gzip.compress(b"plain", mtime=0)),
        ("GZip ", gzip.compress(b"plain", mtime=0)),
        ("deflate", zlib.compress(b"plain")),
    ],
)
def test_an_encoding_is_undone(encoding: str, data: bytes) -> None:
    assert decompress(data, encoding, LIMIT) == b"plain"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "*"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(MediaTypeError, match="gzip or deflate"):
        decompress(b"", encoding, LIMIT)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_the_limit_is_on_what_comes_out(encoding: str, compress: Any) -> None:
    assert decompress(compress(bytes(LIMIT)), encoding, LIMIT) == bytes(LIMIT)
    for size in (LIMIT + 1, 1_000 * LIMIT):
        with pytest.raises(BodyTooLargeError, match="10,000 bytes"):
            decompress(compress(bytes(size)), encoding, LIMIT)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b""),
        ("gzip", b"plain"),
        ("gzip", zlib.compress(b"plain")),
        ("deflate", gzip.compress(b"plain", mtime=0)),
        ("deflate", b"plain"),
        ("gzip", gzip.compress(b"plain", mtime=0)[:-1]),
        ("gzip", gzip.compress(b"plain", mtime=0) + b"more"),
        ("gzip", gzip.compress(b"plain", mtime=0)[:-8] + bytes(8)),
        ("deflate", zlib.compress(b"plain")[:-1]),
    ],
)
def test_damaged_data_is_malformed(encoding: str, data: bytes) -> None:
    with pytest.raises(MalformedRequestError, match=encoding):
        decompress(data, encoding, LIMIT)
