"""The manifest: what a published model is, where it came from and what it must answer."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digits.errors import CorruptModelError
from digits.model.contract import CLASSES, Tensor
from digits.model.identity import VERSION_PATTERN
from digits.pictures.canonical import SIDE
from digits.pictures.rows import LINE_HEIGHT

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Version = Annotated[str, Field(pattern=f"^{VERSION_PATTERN}$")]


class _Record(BaseModel):
    """Immutable; keys that this release does not know are ignored.

    Serving validates records as parts of a manifest alone, so that validators of their own are made where first used.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class FileRecord(_Record):
    """One file of a version."""

    sha256: Sha256
    size_bytes: int


class RecipeRecord(_Record):
    """How the network was trained."""

    name: str
    hyperparameters: dict[str, Any]
    parameter_count: int
    seed: int


class ExtraRecord(_Record):
    """Labelled pictures beyond the data set that were trained on.

    Attributes:
        source: the name of the folder or file.
        sha256: digest of the digits that were added: canonical pixels, then labels.
        count: how many were added.
        duplicates: how many were left out because they are in the data set already or came twice.
        refused: how many could not be read, or do not show exactly one digit.
    """

    source: str
    sha256: Sha256
    count: int
    duplicates: int
    refused: int


class DatasetRecord(_Record):
    """What the network was trained, chosen and tested on."""

    name: str
    source: str
    sha256: Sha256
    training_count: int
    holdout_count: int
    holdout_sha256: Sha256
    test_count: int
    extra: ExtraRecord | None = None

    @property
    def own_count(self) -> int:
        """The training digits of the data set itself, without extra ones."""
        return self.training_count - (self.extra.count if self.extra else 0)


class Metrics(_Record):
    """How good the exported model is on one part of the data.

    Attributes:
        accuracy_interval: 95 % Wilson score interval (Wilson, 1927).
        class_accuracy: share of each digit's images that were read correctly, digits 0 to 9.
        negative_log_likelihood: mean, in nats.
        expected_calibration_error: over 15 equal bins of confidence (Guo et al., 2017).
    """

    count: int
    accuracy: Share
    accuracy_interval: tuple[Share, Share]
    class_accuracy: list[Share]
    negative_log_likelihood: float
    expected_calibration_error: Share


class RobustnessRow(_Record):
    """How well digits are read that were distorted in one way.

    Attributes:
        accuracy: share of all digits that were read correctly; refused ones count as wrong.
        refused: share of the digits that were refused, by verdict.
        negative_log_likelihood: mean over the digits that were not refused, in nats; null if all were.
        expected_calibration_error: of the same digits, as in `Metrics`.
        accepted: share of all digits whose answer was accepted; null where it was not counted yet.
        wrong_accepted: share of all digits that were read wrongly, and the answer accepted.
    """

    name: str
    accuracy: Share
    refused: dict[str, Share]
    negative_log_likelihood: float | None
    expected_calibration_error: Share | None
    accepted: Share | None = None
    wrong_accepted: Share | None = None


class Robustness(_Record):
    """The robustness table, and confidence over all of its rows together.

    Attributes:
        count: digits in each row.
        accepted_share: share of all digits in all rows that was accepted.
        accepted_accuracy: share of the accepted digits that was read correctly; null if none was accepted.
    """

    count: int
    rows: list[RobustnessRow]
    negative_log_likelihood: float
    expected_calibration_error: Share
    accepted_share: Share
    accepted_accuracy: Share | None


class OutlierRow(_Record):
    """What becomes of pictures of one family that show no digit; the three shares add up to 1.

    Attributes:
        trained: whether the network has seen pictures of this family in training; the others judge it.
        count: how many pictures.
        refused: share that was refused, by verdict.
        answered: share that was answered with a digit, and the answer not accepted.
        accepted: share that was answered, and the answer accepted.
    """

    name: str
    trained: bool
    count: int
    refused: dict[str, Share]
    answered: Share
    accepted: Share


class MixturePart(_Record):
    """One kind of pictures among what people are taken to send.

    Attributes:
        weight: its share of the mixture.
        accepted: share of its pictures whose answer is accepted.
        right: share of its pictures whose answer is accepted and right.
    """

    name: str
    weight: Share
    accepted: Share
    right: Share


class Mixture(_Record):
    """What people are taken to send, over which confidence and `accepted` keep their promise.

    Attributes:
        accepted_accuracy: share of the accepted answers that are right; null if none was accepted.
        accepted_share: share of the pictures whose answer is accepted.
        expected_calibration_error: over all answers, accepted or not, as in `Metrics`; the answer to what is no digit
            is wrong. Null if nothing was answered.
    """

    parts: list[MixturePart]
    accepted_accuracy: Share | None
    accepted_share: Share
    expected_calibration_error: Share | None


class TrainingRecord(_Record):
    """How training went.

    Attributes:
        epochs: the number of epochs; the last one may have been cut short.
        chosen_epoch: the epoch whose weights were kept, from 1.
        stopped_by: what stopped training early; null if nothing did.
    """

    epochs: int
    chosen_epoch: int
    stopped_by: str | None


class Golden(_Record):
    """A real digit, with the answer that the model gave when it was made."""

    label: int
    pixels_base64: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{1046}==$", description="784 bytes")]
    probabilities: Annotated[list[float], Field(min_length=len(CLASSES), max_length=len(CLASSES))]

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 (28, 28)."""
        return np.frombuffer(base64.b64decode(self.pixels_base64), np.uint8).reshape(SIDE, SIDE)


class LineRow(_Record):
    """How well one kind of pictures of numbers is read.

    Attributes:
        count: how many pictures.
        exact: share whose whole text is right; what was refused is not.
        exact_interval: 95 % Wilson score interval of it.
        accepted: share whose answer is accepted.
        wrong_accepted: share whose answer is accepted and wrong.
    """

    name: str
    count: int
    exact: Share
    exact_interval: tuple[Share, Share]
    accepted: Share
    wrong_accepted: Share


class LineTable(_Record):
    """How well numbers are read that were made of one part of the data.

    Attributes:
        sha256: digest of all lines and their texts.
        expected_calibration_error: of the confidence in a picture's whole text, over 15 equal bins; pictures without a
            number, and those that are not answered, do not count. 1 if none is answered.
    """

    sha256: Sha256
    rows: list[LineRow]
    expected_calibration_error: Share


class LineGolden(_Record):
    """A line of digits, with the text that the reader gave when it was made, and its probability."""

    pixels_base64: str
    text: Annotated[str, Field(pattern=r"^\d+$")]
    probability: Share

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 (32, width)."""
        return np.frombuffer(base64.b64decode(self.pixels_base64), np.uint8).reshape(LINE_HEIGHT, -1)


class ReaderRecord(_Record):
    """The second network of a version, which reads lines of digits.

    Attributes:
        line_form: version of the form of lines that it was trained for.
        temperature: what its logits were divided by, fitted on the holdout's lines.
        acceptance_threshold: of the rows with at least this confidence that the classifier does not contradict, 99.5 %
            are wholly right on the holdout's pictures, all kinds together; null if no threshold reaches that.
        agreement_threshold: what the classifier's probability of a digit must be, or it contradicts.
        agreement: share of the clean test digits that reader and classifier read alike.
    """

    input: Tensor
    output: Tensor
    line_form: int
    recipe: RecipeRecord
    training: TrainingRecord
    line_count: int
    temperature: float
    acceptance_threshold: Share | None
    agreement_threshold: Share
    agreement: Share
    holdout: LineTable
    test: LineTable
    goldens: Annotated[list[LineGolden], Field(min_length=1)]


class Manifest(_Record):
    """The self-description of one immutable version.

    Attributes:
        canonical_form: version of the canonical form that the network was trained for.
        code_sha256: digest of the code that determines what a training run makes of its data.
        acceptance_threshold: of the answers with at least this confidence 99.9 % are right on the
            holdout, and 99.5 % over the mixture; null if no threshold reaches that.
        acceptance_coverage: the share of the holdout that the threshold accepts.
        rejection_threshold: below this confidence a picture is told to be no digit; null tells none.
        mixture: how well confidence and acceptance do over what people are taken to send, on the holdout.
        temperature: what the logits were divided by, fitted on the holdout (Guo et al., 2017).
        wall_seconds: from the arrays in memory to the exported model.
        holdout_robustness: the table on digits of the holdout; test_robustness, of the test digits.
        holdout_outliers: what becomes of pictures without a digit, by family, made from digits of the holdout;
            test_outliers, of the test digits.
        reader: the network that reads numbers; null where the version reads single digits only.

    Fields with a default were added after the first release, whose manifests can still be read.
    """

    model_config = ConfigDict(defer_build=False)

    schema_version: Literal[1, 2] = 2
    version: Version
    created_at: datetime
    files: dict[str, FileRecord]
    input: Tensor
    output: Tensor
    classes: list[str]
    canonical_form: int
    recipe: RecipeRecord
    dataset: DatasetRecord
    code_revision: str | None
    libraries: dict[str, str]
    code_sha256: Sha256 | None = None
    wall_seconds: float
    acceptance_threshold: Share | None
    acceptance_coverage: Share | None = None
    rejection_threshold: Share | None = None
    mixture: Mixture | None = None
    temperature: float | None = None
    training: TrainingRecord | None = None
    holdout: Metrics
    test: Metrics
    holdout_robustness: Robustness | None = None
    test_robustness: Robustness | None = None
    holdout_outliers: list[OutlierRow] | None = None
    test_outliers: list[OutlierRow] | None = None
    goldens: Annotated[list[Golden], Field(min_length=1)]
    reader: ReaderRecord | None = None

    def to_json(self) -> bytes:
        """Return the bytes that are published; the pointer carries their SHA-256."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a published manifest.

        Raises:
            CorruptModelError: not a manifest of a schema version that this release knows.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise CorruptModelError(f"the manifest cannot be read: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """Return the first of pydantic's findings as one line."""
    finding = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in finding["loc"])
    return f"{place}: {finding['msg']}" if place else str(finding["msg"])
