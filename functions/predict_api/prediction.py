"""Pictures to answers: decode, canonical form, one inference for all of a request."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.canonical import CanonicalImage, canonicalize
from digits.errors import RequestError, UnreadableDigitError
from digits.proof import LoadedModel
from functions.predict_api.payloads import Picture
from functions.predict_api.schemas import Explanation, ModelReference, Prediction
from functions.predict_api.service import Service
from functions.predict_api.timing import ServerTiming


@dataclass(frozen=True)
class Prepared:
    """A picture that the network can be asked about."""

    picture: Picture
    canonical: CanonicalImage


def prepare(reader: Callable[[], Picture], timing: ServerTiming) -> Prepared:
    """Decode a picture and bring it into canonical form.

    Raises:
        RequestError: the picture cannot be used, or shows no single digit.
    """
    with timing.phase("decode"):
        picture = reader()
    with timing.phase("canonical"):
        try:
            return Prepared(picture, canonicalize(picture.image.pixels))
        except UnreadableDigitError as error:
            scale = picture.image.scale
            boxes = tuple(
                (round(left * scale), round(top * scale), round(width * scale), round(height * scale))
                for left, top, width, height in error.boxes
            )
            raise UnreadableDigitError(str(error), error.verdict, boxes) from error


def prepare_each(readers: tuple[Callable[[], Picture], ...], timing: ServerTiming) -> list[Prepared | RequestError]:
    """Prepare pictures that do not sink each other; an error stands in the place of its picture."""
    outcomes: list[Prepared | RequestError] = []
    for reader in readers:
        try:
            outcomes.append(prepare(reader, timing))
        except RequestError as error:
            outcomes.append(error)
    return outcomes


def load(service: Service, timing: ServerTiming) -> LoadedModel:
    """Return the model; where that took a load or a refresh, the timing tells."""
    before = service.loaded
    with timing.phase("load"):
        loaded = service.model()
    if loaded is before:
        timing.forget("load")
    return loaded


def predict(
    prepared: list[Prepared], loaded: LoadedModel, request_id: str, explain: bool, timing: ServerTiming
) -> list[Prediction]:
    """Ask the network about pictures, all at once."""
    if not prepared:
        return []
    with timing.phase("inference"):
        probabilities = loaded.classifier.predict(np.stack([each.canonical.pixels for each in prepared]))
    with timing.phase("encoding"):
        return [
            _prediction(each, row, loaded, request_id, explain)
            for each, row in zip(prepared, probabilities, strict=True)
        ]


def _prediction(
    prepared: Prepared, probabilities: NDArray[np.float32], loaded: LoadedModel, request_id: str, explain: bool
) -> Prediction:
    pred = int(probabilities.argmax())
    conf = float(probabilities[pred])
    threshold = loaded.manifest.acceptance_threshold
    return Prediction(
        pred=pred,
        conf=conf,
        probabilities=probabilities.tolist(),
        accepted=threshold is not None and conf >= threshold,
        warnings=list(prepared.canonical.warnings),
        input_sha256=prepared.picture.sha256,
        model=ModelReference(version=loaded.manifest.version, accuracy=loaded.manifest.test.accuracy),
        request_id=request_id,
        explain=_explanation(prepared) if explain else None,
    )


def _explanation(prepared: Prepared) -> Explanation:
    file = BytesIO()
    Image.fromarray(prepared.canonical.pixels).save(file, "PNG")
    return Explanation(
        steps=[*prepared.picture.image.steps, *prepared.canonical.steps],
        image="data:image/png;base64," + base64.b64encode(file.getvalue()).decode(),
        verdicts=list(prepared.canonical.warnings),
    )
