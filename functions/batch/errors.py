"""What can go wrong with a batch as a whole; what is wrong with one picture is a line of its result."""

from __future__ import annotations

from digits.errors import ConflictError, InputError, OperationError, UnavailableError


class SourceError(InputError):
    """The input as a whole cannot be read: trying again will not help."""


class ClaimedError(ConflictError):
    """Somebody else is at this run."""


class WorkerError(UnavailableError):
    """A process that reads pictures beside this one has ended."""


class BatchFailedError(OperationError):
    """The run has failed for good; its summary tells why."""
