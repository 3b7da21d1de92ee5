"""The input and output of every network in this project, whether trained, exported, described or served."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from digits.pictures.canonical import SIDE
from digits.pictures.rows import LINE_HEIGHT

CLASSES = tuple(str(digit) for digit in range(10))
BLANK = len(CLASSES)  # what the reader answers where no digit is


class Tensor(BaseModel):
    """An input or output of the network; a free dimension is -1."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    dtype: str
    shape: list[int]
    minimum: float
    maximum: float


# Ink bright on dark, in canonical form.
INPUT = Tensor(name="pixels", dtype="uint8", shape=[-1, SIDE, SIDE], minimum=0, maximum=255)
# One probability for each class; each row sums to 1.
OUTPUT = Tensor(name="probabilities", dtype="float32", shape=[-1, len(CLASSES)], minimum=0, maximum=1)

# A row of digits, ink bright on dark, as `digits.pictures.rows` draws it.
LINE = Tensor(name="lines", dtype="uint8", shape=[-1, LINE_HEIGHT, -1], minimum=0, maximum=255)
# For every second column a logit for each class and the blank (CTC: Graves et al., 2006).
LOGITS = Tensor(name="logits", dtype="float32", shape=[-1, -1, len(CLASSES) + 1], minimum=-1e4, maximum=1e4)
COLUMNS = 2
