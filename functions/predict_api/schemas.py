"""What the API answers, as pydantic models; the OpenAPI page is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from digits.model.contract import CLASSES


class Health(BaseModel):
    """The process is up.

    Attributes:
        model: version in memory; null before the first request that needed one.
        refresh_failures: how often in a row the store could not be asked for news; 0 is well.
    """

    status: str = "ok"
    model: str | None
    refresh_failures: int


class ModelReference(BaseModel):
    """Which model answered."""

    version: str
    accuracy: Annotated[float, Field(description="share of MNIST's 10,000 test digits that it reads right")]


class Explanation(BaseModel):
    """How the answer came about."""

    steps: Annotated[list[str], Field(description="what was done to the picture, in order; empty for MNIST's own form")]
    image: Annotated[str, Field(description="data URL of a PNG: the 28x28 pixels that the network saw")]
    verdicts: Annotated[
        list[str],
        Field(description="the same as `warnings`, for callers that look here; after the verdict of a problem"),
    ]


class Prediction(BaseModel):
    """The digit that was read."""

    pred: Annotated[int, Field(ge=0, le=len(CLASSES) - 1, examples=[7])]
    conf: Annotated[float, Field(ge=0, le=1, description="the probability of `pred`", examples=[0.94])]
    probabilities: Annotated[
        list[float],
        Field(min_length=len(CLASSES), max_length=len(CLASSES), description="of the digits 0 to 9"),
    ]
    accepted: Annotated[
        bool, Field(description="whether `conf` reaches the model's published threshold, without warnings")
    ]
    warnings: Annotated[
        list[str], Field(description="what makes the answer doubtful; `touches_edge`: the digit may be cut off")
    ]
    input_sha256: Annotated[str, Field(description="digest of the image file, or of the 784 pixels as bytes")]
    model: ModelReference
    request_id: str
    explain: Annotated[Explanation | None, Field(description="only with `?explain=1`")] = None


Box = Annotated[
    list[int],
    Field(min_length=4, max_length=4, description="left, top, width and height, in pixels of the upright picture"),
]


class NumberDigit(BaseModel):
    """A digit of a number."""

    pred: Annotated[int, Field(ge=0, le=len(CLASSES) - 1)]
    conf: Annotated[float, Field(ge=0, le=1, description="the probability of `pred`")]
    probabilities: Annotated[
        list[float],
        Field(
            min_length=len(CLASSES),
            max_length=len(CLASSES),
            description="of the digits 0 to 9 in this place, while the rest of the row stays",
        ),
    ]
    box: Box


class NumberRow(BaseModel):
    """A row of digits."""

    text: Annotated[str, Field(examples=["5612"])]
    conf: Annotated[float, Field(ge=0, le=1, description="the probability that the whole row is right")]
    accepted: Annotated[
        bool,
        Field(
            description="whether `conf` reaches the model's published threshold and the classifier does not contradict"
        ),
    ]
    box: Box
    digits: Annotated[list[NumberDigit], Field(description="from left to right")]


class FieldNumber(BaseModel):
    """What is written in a place."""

    text: Annotated[str, Field(description="the rows, a line each; empty where nothing is", examples=["5612\n47"])]
    conf: Annotated[float, Field(ge=0, le=1, description="the probability that this is right")]
    accepted: Annotated[bool, Field(description="whether all rows are accepted, without warnings")]
    rows: Annotated[list[NumberRow], Field(description="from top to bottom")]
    warnings: Annotated[
        list[str],
        Field(
            description="`other_length`: no row reads well with the `length` that was asked for, so it is read "
            "without; `other_rows`: there are more or fewer than `rows`; "
            "`left_out`: something was left out that may be a row; `touches_edge`: a row may go on beyond the picture"
        ),
    ]


class Number(FieldNumber):
    """What is written on a picture."""

    input_sha256: Annotated[str, Field(description="digest of the image file, or of the 784 pixels as bytes")]
    model: ModelReference
    request_id: str


class ReaderSummary(BaseModel):
    """The network of the same version that reads numbers."""

    recipe: str
    parameter_count: int
    size_bytes: int
    line_form: int
    acceptance_threshold: Annotated[
        float | None, Field(description="the least `conf` of a row that is accepted; null accepts none")
    ]
    agreement_threshold: Annotated[
        float,
        Field(description="the least probability that the classifier must give each digit of a row that is accepted"),
    ]
    exact: Annotated[
        dict[str, float],
        Field(description="share of the pictures of numbers, made of test digits, that are read without a mistake"),
    ]


class ModelSummary(BaseModel):
    """The live model's manifest, without digests and golden inputs."""

    version: str
    created_at: datetime
    accuracy: float
    accuracy_interval: Annotated[list[float], Field(min_length=2, max_length=2, description="95 % Wilson interval")]
    recipe: str
    parameter_count: int
    dataset: str
    training_count: int
    canonical_form: int
    acceptance_threshold: Annotated[
        float | None, Field(description="the least `conf` of an answer that is accepted; null accepts none")
    ]
    rejection_threshold: Annotated[
        float | None,
        Field(description="the least `conf` of an answer: below, it is `not_a_digit`; null answers always"),
    ]
    size_bytes: int
    classes: list[str]
    reader: Annotated[ReaderSummary | None, Field(description="null: numbers are not read")]


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: Annotated[str, Field(description="JSON pointer (RFC 6901) into the request document")]
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: Annotated[
        str, Field(examples=["about:blank", "urn:lambda-digits:several-digits", "urn:lambda-digits:no-reader"])
    ]
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] | None = None
    verdict: Annotated[str | None, Field(description="`blank`, `no_contrast`, `several_digits` or `not_a_digit`")] = (
        None
    )
    boxes: Annotated[list[Box] | None, Field(description="of each digit")] = None
    explain: Annotated[
        Explanation | None, Field(description="only with `?explain=1`, and where something was seen")
    ] = None
    error: Annotated[str | None, Field(description="`detail` again, under /v2 only")] = None


class Predictions(BaseModel):
    """The answers to several pictures, in the order in which they came."""

    predictions: Annotated[
        list[Prediction | Problem], Field(description="a picture that cannot be read has a problem in its place")
    ]


class Numbers(BaseModel):
    """The answers to several pictures, in the order in which they came."""

    readings: Annotated[
        list[Number | Problem], Field(description="a picture that cannot be read has a problem in its place")
    ]


class Form(BaseModel):
    """What is written in the fields of a form."""

    fields: Annotated[dict[str, FieldNumber], Field(description="by the names that were sent")]
    input_sha256: Annotated[str, Field(description="digest of the image file")]
    model: ModelReference
    request_id: str
