"""From a picture to an answer: the one path for the API, its client, and the training's `test` command.

    Picture.of_file, Picture.of_pixels    decoded: raises ImageError
    prepare                               in canonical form: raises UnreadableDigitError, which carries the verdict
    answer                                what the model answers, for many pictures at once
    read                                  all three for one picture

The steps are separate so that a caller can prepare many pictures, run the model once, and time each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.model.identity import sha256
from digits.model.proof import LoadedModel
from digits.pictures.canonical import canonicalize
from digits.pictures.images import DecodedImage, decode

type Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        sha256: digest of the file, or of the pixels as bytes.
    """

    image: DecodedImage
    sha256: str

    @classmethod
    def of_file(cls, data: bytes) -> Picture:
        """Decode an image file.

        Raises:
            ImageError: see `digits.pictures.images.decode`.
        """
        return cls(decode(data), sha256(data))

    @classmethod
    def of_pixels(cls, grey: Pixels) -> Picture:
        """Take grey pixels, uint8 (height, width), of either polarity."""
        return cls(DecodedImage(grey, steps=(), scale=1.0), sha256(grey.tobytes()))


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready for the model.

    Attributes:
        pixels: uint8 (28, 28), the canonical form.
        steps: what was done to the picture, in order.
        warnings: what may spoil the answer.
        sha256: of the picture.
    """

    pixels: Pixels
    steps: tuple[str, ...]
    warnings: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Reading:
    """The model's answer for a picture.

    Attributes:
        probabilities: float32 (10,), of the digits 0 to 9.
        accepted: whether the confidence reaches the threshold of the model's manifest.
    """

    prepared: Prepared
    probabilities: NDArray[np.float32]
    accepted: bool

    @property
    def pred(self) -> int:
        """The digit."""
        return int(self.probabilities.argmax())

    @property
    def conf(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())


def prepare(picture: Picture) -> Prepared:
    """Bring a picture into canonical form.

    Raises:
        UnreadableDigitError: it does not show exactly one digit; boxes are in pixels of the upright picture as sent.
    """
    image = picture.image
    try:
        canonical = canonicalize(image.pixels)
    except UnreadableDigitError as error:
        boxes = tuple(tuple(round(side * image.scale) for side in box) for box in error.boxes)
        raise UnreadableDigitError(str(error), error.verdict, boxes) from error
    return Prepared(canonical.pixels, (*image.steps, *canonical.steps), canonical.warnings, picture.sha256)


def answer(prepared: Sequence[Prepared], model: LoadedModel) -> list[Reading]:
    """Run the model on all pictures at once, and return the readings in the same order."""
    if not prepared:
        return []
    threshold = model.manifest.acceptance_threshold
    return [
        Reading(each, probabilities, threshold is not None and float(probabilities.max()) >= threshold)
        for each, probabilities in zip(
            prepared, model.classifier.predict(np.stack([each.pixels for each in prepared])), strict=True
        )
    ]


def read(picture: Picture, model: LoadedModel) -> Reading:
    """Read one picture; raises as `prepare` does."""
    return answer([prepare(picture)], model)[0]
