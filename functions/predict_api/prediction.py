"""Readings to answers, and where the time of a request went."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from io import BytesIO

from PIL import Image

from digits import reading
from digits.errors import InputError, UnreadableDigitError
from digits.model.proof import LoadedModel
from digits.pictures.canonical import CanonicalImage
from digits.reading import Picture, Pixels, Prepared, Reading
from digits.registry.live import LiveModel
from functions.predict_api import problems
from functions.predict_api.schemas import Explanation, ModelReference, Prediction, Problem
from functions.predict_api.telemetry import ServerTiming


def prepare(reader: Callable[[], Picture], timing: ServerTiming) -> Prepared:
    """Decode a picture and bring it into canonical form.

    Raises:
        InputError: the picture cannot be used, or shows no single digit.
    """
    with timing.phase("decode"):
        picture = reader()
    with timing.phase("canonical"):
        return reading.prepare(picture)


def prepare_each(readers: tuple[Callable[[], Picture], ...], timing: ServerTiming) -> list[Prepared | InputError]:
    """Prepare pictures that do not sink each other; an error stands in the place of its picture."""
    outcomes: list[Prepared | InputError] = []
    for reader in readers:
        try:
            outcomes.append(prepare(reader, timing))
        except InputError as error:
            outcomes.append(error)
    return outcomes


def load(model: LiveModel, timing: ServerTiming) -> LoadedModel:
    """Return the model; where that took a load or a refresh, the timing tells."""
    before = model.value
    with timing.phase("load"):
        loaded = model.get()
    if loaded is before:
        timing.forget("load")
    return loaded


def load_with_reader(model: LiveModel, timing: ServerTiming) -> LoadedModel:
    """Return the model once its reader is there; what took a load or a refresh, the timing tells.

    Raises:
        NoReaderError, CorruptModelError, StoreError: the reader cannot be had.
    """
    loaded = load(model, timing)
    if loaded.numbers.value is None:
        with timing.phase("load"):
            loaded.numbers.get()
    return loaded


def predict(
    outcomes: Sequence[Prepared | InputError], loaded: LoadedModel, request_id: str, explain: bool, timing: ServerTiming
) -> list[Prediction | Problem]:
    """Ask the network about pictures, all at once; a problem stands in place of what shows no single digit."""
    prepared = [each for each in outcomes if not isinstance(each, InputError)]
    if not prepared:
        return [problem_of(each, request_id, explain) for each in outcomes if isinstance(each, InputError)]
    with timing.phase("inference"):
        answers = iter(reading.answer(prepared, loaded))
    readings = [each if isinstance(each, InputError) else next(answers) for each in outcomes]
    model = ModelReference(version=loaded.manifest.version, accuracy=loaded.manifest.test.accuracy)
    with timing.phase("encoding"):
        return [
            problem_of(each, request_id, explain)
            if isinstance(each, InputError)
            else _prediction(each, model, request_id, explain)
            for each in readings
        ]


def problem_of(error: InputError, request_id: str, explain: bool) -> Problem:
    """Return what stands in place of a prediction."""
    problem = Problem.model_validate(problems.describe(error, request_id))
    if explain and isinstance(error, UnreadableDigitError) and error.seen:
        problem.explain = _explanation(error.seen, error.verdict)
    return problem


def _prediction(read: Reading, model: ModelReference, request_id: str, explain: bool) -> Prediction:
    return Prediction(
        pred=read.pred,
        conf=read.conf,
        probabilities=read.probabilities.tolist(),
        accepted=read.accepted,
        warnings=list(read.prepared.warnings),
        input_sha256=read.prepared.sha256,
        model=model,
        request_id=request_id,
        explain=_explanation(read.prepared.seen) if explain else None,
    )


def base64_png(pixels: Pixels) -> str:
    """Return grey pixels as an image file in base64."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _explanation(seen: CanonicalImage, *verdicts: str) -> Explanation:
    return Explanation(
        steps=list(seen.steps),
        image="data:image/png;base64," + base64_png(seen.pixels),
        verdicts=[*verdicts, *seen.warnings],
    )
