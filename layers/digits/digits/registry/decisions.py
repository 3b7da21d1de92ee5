"""Decisions on a version: why it was promoted, refused or taken back. The manifest stays as it was written."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from digits.errors import CorruptModelError, ObjectNotFoundError
from digits.model.manifest import Version, first_problem
from digits.registry.layout import decisions_key

if TYPE_CHECKING:
    from digits.registry.bucket import Bucket

Outcome = Literal["promote", "force", "refuse", "take back"]


class Check(BaseModel):
    """One condition that a challenger has to meet.

    Attributes:
        figure: what was measured; compared with `limit` in the direction that `rule` names.
        passed: whether the condition is met.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    figure: float
    rule: Literal["at least", "at most"]
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the condition is met; NaN meets none."""
        return self.figure >= self.limit if self.rule == "at least" else self.figure <= self.limit


class Scores(BaseModel):
    """How good a model was in the run that decided.

    Attributes:
        distorted_accuracy: mean over the rows of the robustness table; earlier releases wrote `field_…`.
        test_accuracy: as its manifest reports it; plays no part in the decision.
    """

    model_config = ConfigDict(frozen=True)

    version: Version
    holdout_accuracy: float
    distorted_accuracy: Annotated[float, Field(validation_alias=AliasChoices("distorted_accuracy", "field_accuracy"))]
    holdout_calibration_error: float
    distorted_calibration_error: Annotated[
        float, Field(validation_alias=AliasChoices("distorted_calibration_error", "field_calibration_error"))
    ]
    test_accuracy: float


class Decision(BaseModel):
    """What was decided on a version, when, against which live version and on which figures.

    Attributes:
        live: the version that was live then, null if none was; after a rollback, the version that is live instead.
            Earlier releases wrote `champion`.
        reason: given by an operator who overruled the checks or took the version back.
        holdout_count: number of digits that both models were scored on.
    """

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    decided_at: datetime
    live: Annotated[Version | None, Field(validation_alias=AliasChoices("live", "champion"))]
    reason: str | None = None
    holdout_count: int | None = None
    scores: list[Scores] = []
    checks: list[Check] = []

    @property
    def failed(self) -> list[Check]:
        """The failed checks."""
        return [check for check in self.checks if not check.passed]


class Decisions(BaseModel):
    """`decisions/<version>.json`: all decisions on a version, oldest first."""

    version: Version
    decisions: list[Decision]

    def to_json(self) -> bytes:
        """Return the bytes of the object."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Decisions:
        """Read the object.

        Raises:
            CorruptModelError: it holds no decisions.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise CorruptModelError(f"the decisions cannot be read: {first_problem(error)}") from error


def recorded(bucket: Bucket, version: str) -> list[Decision]:
    """Return the decisions on a version, oldest first."""
    return _read(bucket, version)[0]


def record(bucket: Bucket, version: str, decision: Decision) -> None:
    """Add a decision on a version.

    Raises:
        ConflictError: somebody else added one at the same time.
    """
    before, etag = _read(bucket, version)
    document = Decisions(version=version, decisions=[*before, decision]).to_json()
    if etag is None:
        bucket.create(decisions_key(version), document)
    else:
        bucket.replace(decisions_key(version), document, etag)


def _read(bucket: Bucket, version: str) -> tuple[list[Decision], str | None]:
    try:
        stored = bucket.get(decisions_key(version))
    except ObjectNotFoundError:
        return [], None
    return Decisions.from_json(stored.data).decisions, stored.etag
