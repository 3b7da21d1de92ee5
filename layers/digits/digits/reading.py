"""From a picture to an answer: the one path for the API, its client, and the training's `test` command.

    Picture.of_file, Picture.of_pixels    decoded: raises ImageError
    prepare                               in canonical form: raises UnreadableDigitError, which carries the verdict
    answer                                what the model answers, for many pictures at once; a verdict in place of some
    read                                  all three for one picture

The steps are separate so that a caller can prepare many pictures, run the model once, and time each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digits.errors import UnreadableDigitError
from digits.model.identity import sha256
from digits.model.judgement import ACCEPTED, NOT_A_DIGIT, SEVERAL_DIGITS, judge, least_of_parts
from digits.model.proof import LoadedModel
from digits.pictures.canonical import CanonicalImage, PartImage, canonicalize
from digits.pictures.images import LONG_SIDE, DecodedImage, decode

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
    def of_file(cls, data: bytes, long_side: int = LONG_SIDE, page: int = 0, digest: str | None = None) -> Picture:
        """Decode an image file.

        Args:
            long_side: larger pictures are reduced to about this.
            page: which page of a TIFF is read.
            digest: of the file, where it is known.

        Raises:
            ImageError: see `digits.pictures.images.decode`.
        """
        return cls(decode(data, long_side=long_side, page=page), digest or sha256(data))

    @classmethod
    def of_pixels(cls, grey: Pixels) -> Picture:
        """Take grey pixels, uint8 (height, width), of either polarity."""
        height, width = grey.shape
        return cls(DecodedImage(grey, steps=(), size=(width, height)), sha256(grey.tobytes()))


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready for the model.

    Attributes:
        seen: the canonical form; boxes of its parts are in pixels of the upright picture as sent.
        sha256: of the picture.
    """

    seen: CanonicalImage
    sha256: str

    @property
    def pixels(self) -> Pixels:
        """What the network sees: uint8 (28, 28)."""
        return self.seen.pixels

    @property
    def steps(self) -> tuple[str, ...]:
        """What was done to the picture, in order."""
        return self.seen.steps

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may spoil the answer."""
        return self.seen.warnings

    @property
    def parts(self) -> tuple[PartImage, ...]:
        """What might be digits of their own."""
        return self.seen.parts


@dataclass(frozen=True)
class Reading:
    """The model's answer for a picture.

    Attributes:
        probabilities: float32 (10,), of the digits 0 to 9.
        accepted: whether the confidence reaches the threshold of the model's manifest, and nothing warns against it.
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
        boxes = tuple(image.as_sent(box) for box in error.boxes)
        raise UnreadableDigitError(str(error), error.verdict, boxes) from error
    return Prepared(_as_sent(canonical, image), picture.sha256)


def answer(prepared: Sequence[Prepared], model: LoadedModel) -> list[Reading | UnreadableDigitError]:
    """Run the model on all pictures and their parts at once, and return the readings in the same order.

    The verdict `several_digits` or `not_a_digit` stands in place of a reading.
    """
    if not prepared:
        return []
    images = [each.pixels for each in prepared] + [part.pixels for each in prepared for part in each.parts]
    probabilities = model.classifier.predict(np.stack(images))
    confidence, count = probabilities.max(axis=1), len(prepared)
    judged = judge(
        confidence[:count],
        least_of_parts(confidence[count:], np.array([len(each.parts) for each in prepared])),
        np.array([bool(each.warnings) for each in prepared]),
        acceptance=model.manifest.acceptance_threshold,
        rejection=model.manifest.rejection_threshold,
    )
    return [_outcome(*each) for each in zip(prepared, probabilities[:count], judged.tolist(), strict=True)]


def read(picture: Picture, model: LoadedModel) -> Reading:
    """Read one picture.

    Raises:
        UnreadableDigitError: see `prepare` and `answer`.
    """
    (outcome,) = answer([prepare(picture)], model)
    if isinstance(outcome, UnreadableDigitError):
        raise outcome
    return outcome


def _outcome(prepared: Prepared, probabilities: NDArray[np.float32], judged: str) -> Reading | UnreadableDigitError:
    if judged == SEVERAL_DIGITS:
        boxes = tuple(part.box for part in prepared.parts)
        message = f"the picture shows {len(boxes)} digits, where one is read"
        return UnreadableDigitError(message, judged, boxes, prepared.seen)
    if judged == NOT_A_DIGIT:
        return UnreadableDigitError("what the picture shows looks like no digit", judged, seen=prepared.seen)
    return Reading(prepared, probabilities, judged == ACCEPTED)


def _as_sent(canonical: CanonicalImage, image: DecodedImage) -> CanonicalImage:
    """Return a canonical form with the steps of decoding, and boxes in pixels of the upright picture as sent."""
    if not image.steps and not canonical.parts:  # most pictures of a batch are small and grey
        return canonical
    parts = tuple(PartImage(part.pixels, image.as_sent(part.box)) for part in canonical.parts)
    return replace(canonical, steps=(*image.steps, *canonical.steps), parts=parts)
