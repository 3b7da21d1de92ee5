"""The files in a form (`multipart/form-data`), however its sender names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from functions.predict_api.errors import MalformedRequestError

# Headers of a part cost far more than their bytes.
_MAX_PARTS = 1_000


@dataclass
class Part:
    """A part of a form, as it is being read."""

    headers: Message = field(default_factory=Message)
    data: bytearray = field(default_factory=bytearray)

    @property
    def name(self) -> str | None:
        """The name of the form's field."""
        name = self.headers.get_param("name", header="content-disposition")
        return name if isinstance(name, str) else None

    @property
    def is_file(self) -> bool:
        """Whether the part is a file, which need not have a name.

        A nameless one is told from a text field by its type or, as many clients give none, by its bytes: files of
        images are no text. A browser's field in which no file was chosen has an empty name and no bytes.
        """
        try:
            name = self.headers.get_filename()  # also of `filename*` (RFC 5987)
        except ValueError:  # of a `filename*` in an encoding that is none for this
            name = "unreadable"
        if name is not None:
            return bool(name or self.data)
        kind = self.headers.get_content_type()
        return kind.startswith("image/") or kind == "application/octet-stream" or not _is_text(self.data)


class _Parts(list[Part]):
    """The parts of a form, in order; hears the parser."""

    def __init__(self) -> None:
        super().__init__()
        self._name, self._value = bytearray(), bytearray()

    def on_part_begin(self) -> None:
        if len(self) == _MAX_PARTS:
            raise MalformedRequestError(f"the form has more than {_MAX_PARTS:,} parts")
        self.append(Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self[-1].headers[self._name.decode("latin-1")] = self._value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self[-1].data += data[start:end]


def parts_of(data: bytes, content_type: str) -> list[Part]:
    """Return the parts of a form, in order.

    Args:
        content_type: with the form's boundary.

    Raises:
        MalformedRequestError: the form cannot be read, ends early, or is empty.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise MalformedRequestError("the content type names no boundary of the form; HTTP clients add one themselves")
    if not data.strip():
        raise MalformedRequestError("the form is empty")
    if b"--" + boundary + b"--" not in data:
        raise MalformedRequestError("the form ends early, or its boundary is not the one of the content type")
    parts = _parts(data, boundary)
    if not parts:
        raise MalformedRequestError("the form is empty")
    return parts


def files_of(parts: list[Part], most: int) -> list[bytes]:
    """Return the files in a form, in order.

    Args:
        most: how many files there may be.

    Raises:
        MalformedRequestError: it has none, or too many.
    """
    files = [bytes(part.data) for part in parts if part.is_file]
    if not files:
        raise MalformedRequestError("the form has no file in it")
    if len(files) > most:
        raise MalformedRequestError(f"the form has more than {most} files")
    return files


def _parts(data: bytes, boundary: bytes) -> list[Part]:
    parts = _Parts()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.on_part_begin,
                "on_header_field": parts.on_header_field,
                "on_header_value": parts.on_header_value,
                "on_header_end": parts.on_header_end,
                "on_part_data": parts.on_part_data,
            },
        )
        parser.write(data)
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequestError("the form cannot be read") from error
    return parts


def _is_text(data: bytearray) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
