"""Every error that the shared package and the training raise on purpose; those of HTTP are in `predict_api`.

    DigitsError
    ├── InputError                    what was given cannot be read; the message tells what would be right
    │   └── ImageError                    not an image, damaged, empty or too many pixels
    │       └── UnreadableDigitError          an image without one readable digit; carries the verdict
    ├── UnavailableError              the service cannot answer now; trying again may help
    │   ├── StoreError                    the object store did not answer, or refused
    │   ├── NoModelError                  nothing has been published yet
    │   ├── NoTokensError                 no token has been issued yet
    │   └── CorruptModelError             what is published fails its own proofs
    └── OperationError                a command of an operator cannot be carried out
        ├── ConfigurationError
        ├── DataError                     no data, damaged data, or data that is not what it says
        │   └── NothingNewError               more data that adds nothing
        ├── UnknownRecipeError
        ├── UnknownVersionError
        ├── ParityError                   the exported model disagrees with the trained one
        └── ConflictError                 somebody else wrote first, or a rule forbids it

ObjectNotFoundError stands beside the tree: an absent key is an answer, not a failure, and each
caller turns it into the error that it means there.
"""


class DigitsError(Exception):
    """Base of the errors above; `str(error)` is one line for a person."""


class ObjectNotFoundError(Exception):
    """The store has no object under that key."""


class InputError(DigitsError):
    """What was given cannot be read; the message tells what would be right."""


class ImageError(InputError):
    """The bytes cannot be used as an image."""


class UnreadableDigitError(ImageError):
    """The image does not show one digit that could be read.

    Attributes:
        verdict: `blank`, `no_contrast` or `several_digits`.
        boxes: of several digits, left to right: left, top, width and height in pixels of the picture.
    """

    def __init__(self, message: str, verdict: str, boxes: tuple[tuple[int, ...], ...] = ()) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.boxes = boxes


class UnavailableError(DigitsError):
    """The service cannot answer now."""


class StoreError(UnavailableError):
    """The object store did not answer, or refused."""


class NoModelError(UnavailableError):
    """No model has been published."""


class NoTokensError(UnavailableError):
    """No token has been issued."""


class CorruptModelError(UnavailableError):
    """The published model fails its own proofs."""


class OperationError(DigitsError):
    """An operator's command cannot be carried out."""


class ConfigurationError(OperationError):
    """A setting is missing or makes no sense."""


class DataError(OperationError):
    """The data set is missing, damaged, or not what it says it is."""


class NothingNewError(DataError):
    """More data that adds nothing."""


class UnknownRecipeError(OperationError):
    """There is no recipe of that name."""


class UnknownVersionError(OperationError):
    """There is no model of that version."""


class ParityError(OperationError):
    """The exported model and the trained one disagree."""


class ConflictError(OperationError):
    """Somebody else wrote first, or a rule of the registry forbids the change."""
