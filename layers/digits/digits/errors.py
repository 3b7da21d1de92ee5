"""Every error that the shared package and the training raise on purpose; those of HTTP are in `predict_api`.

    DigitsError
    ├── InputError                    what was given cannot be read; the message says what would be right
    │   └── ImageError                    not an image, damaged, empty or too many pixels
    │       ├── TooMuchError                  the image holds more rows or digits than are read
    │       └── UnreadableDigitError          the image does not show exactly one readable digit; carries the verdict
    ├── UnavailableError              the service cannot answer now; trying again may help
    │   ├── StoreError                    the object store did not answer, or refused
    │   ├── NoModelError                  nothing has been published yet
    │   ├── NoReaderError                 what is published reads single digits only
    │   ├── NoTokensError                 no token has been issued yet
    │   └── CorruptModelError             what is published fails its own proofs
    └── OperationError                an operator's command cannot be carried out
        ├── ConfigurationError
        ├── DataError                     data that is missing, damaged, or not what it claims to be
        │   └── NothingNewError               extra data that adds nothing new
        ├── UnknownRecipeError
        ├── UnknownVersionError
        ├── ParityError                   the exported model disagrees with the trained one
        └── ConflictError                 somebody else wrote first, or a rule forbids it

ObjectNotFoundError is outside the tree: a missing key is an answer, not a failure, and each caller
turns it into the error that fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digits.pictures.canonical import CanonicalImage


class DigitsError(Exception):
    """Base of the errors above; `str(error)` is one line for a person."""


class ObjectNotFoundError(Exception):
    """The store has no object under that key."""


class InputError(DigitsError):
    """What was given cannot be read; the message says what would be right."""


class ImageError(InputError):
    """The bytes cannot be used as an image."""


class TooMuchError(ImageError):
    """The image holds more rows, or a row more digits, than are read."""


class FormFieldError(TooMuchError):
    """A field of a form holds more than is read.

    Attributes:
        name: the field's.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class UnreadableDigitError(ImageError):
    """The image does not show exactly one readable digit.

    Attributes:
        verdict: `blank`, `no_contrast`, `several_digits` or `not_a_digit`.
        boxes: for `several_digits`, from left to right: left, top, width and height in pixels of the picture.
        seen: what was looked at, where the picture could be brought into canonical form all the same.
    """

    def __init__(
        self,
        message: str,
        verdict: str,
        boxes: tuple[tuple[int, ...], ...] = (),
        seen: CanonicalImage | None = None,
    ) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.boxes = boxes
        self.seen = seen


class UnavailableError(DigitsError):
    """The service cannot answer now."""


class StoreError(UnavailableError):
    """The object store did not answer, or refused."""


class NoModelError(UnavailableError):
    """No model has been published."""


class NoReaderError(UnavailableError):
    """The published model reads single digits only."""


class NoTokensError(UnavailableError):
    """No token has been issued."""


class CorruptModelError(UnavailableError):
    """The published model fails its own proofs."""


class OperationError(DigitsError):
    """An operator's command cannot be carried out."""


class ConfigurationError(OperationError):
    """A setting is missing or makes no sense."""


class DataError(OperationError):
    """The data set is missing, damaged, or not what it claims to be."""


class NothingNewError(DataError):
    """Extra data that adds nothing new."""


class UnknownRecipeError(OperationError):
    """There is no recipe of that name."""


class UnknownVersionError(OperationError):
    """There is no model of that version."""


class ParityError(OperationError):
    """The exported model and the trained one disagree."""


class ConflictError(OperationError):
    """Somebody else wrote first, or a rule of the registry forbids the change."""


def bare[E: DigitsError](error: E) -> E:
    """Return an error that may be kept: without causes and trace, which would keep a refused model in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
