"""The errors of a request that is not as it should be; HTTP alone knows them.

InputError                            of the shared package
└── RequestError                      the request cannot be answered as it is
    ├── MalformedRequestError             not JSON, or nothing in it
    ├── FieldError                        one field is wrong; carries a JSON pointer
    ├── QueryError                        a query parameter is wrong
    ├── BodyTooLargeError
    ├── MediaTypeError                    a content type that is not served
    ├── NotFoundError                     a model or version that is not here
    └── AuthenticationError               no token, or one that is not valid
"""

from __future__ import annotations

from digits.errors import InputError


class RequestError(InputError):
    """The request cannot be answered as it is."""


class MalformedRequestError(RequestError):
    """The body is not a request document."""


class FieldError(RequestError):
    """One field of the request document is wrong.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the field.
    """

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(message)
        self.pointer = pointer


class QueryError(RequestError):
    """A query parameter is wrong."""


class BodyTooLargeError(RequestError):
    """The body is over the limit."""


class MediaTypeError(RequestError):
    """The body's content type is not one that the service reads."""


class NotFoundError(RequestError):
    """The request names a model or version that is not here."""


class AuthenticationError(RequestError):
    """The request carries no valid token."""
