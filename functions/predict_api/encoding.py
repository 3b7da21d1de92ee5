"""What a request's `Content-Encoding` did to its body, undone."""

from __future__ import annotations

import zlib

from functions.predict_api.errors import BodyTooLargeError, MalformedRequestError, MediaTypeError

# HTTP's deflate is zlib's format, and zlib's name for the header that it should expect is a number.
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_ALIASES = {"x-gzip": "gzip"}  # RFC 9110


def decompress(data: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Undo a `Content-Encoding`; what would come out longer than the limit is never made.

    Raises:
        MediaTypeError: another encoding than gzip, deflate or none.
        MalformedRequestError: the data is not what its encoding says.
        BodyTooLargeError: more than the limit would come out.
    """
    encoding = encoding.strip().lower()
    encoding = _ALIASES.get(encoding, encoding)
    if encoding in ("", "identity"):
        return data
    if encoding not in _WINDOW_BITS:
        raise MediaTypeError(f"the content encoding must be {' or '.join(_WINDOW_BITS)}")
    stream = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = stream.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise MalformedRequestError(f"the body is not {encoding} data") from error
    if len(plain) > limit_bytes:
        raise BodyTooLargeError(f"the decompressed body has more than the {limit_bytes:,} bytes that are served")
    if not stream.eof or stream.unused_data:
        raise MalformedRequestError(f"the body is not one complete piece of {encoding} data")
    return plain
