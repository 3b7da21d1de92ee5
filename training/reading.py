"""The reader of a version: trained, calibrated, exported, checked and described."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from digits.errors import ParityError
from digits.model.classifier import Classifier
from digits.model.contract import LINE, LOGITS
from digits.model.manifest import LineGolden, ReaderRecord, RecipeRecord, TrainingRecord
from digits.model.reader import Reader
from digits.model.strings import greedy
from digits.numbers import read_line
from digits.pictures import rows
from training.export import divide_logits, to_litert
from training.fit import Fitted, Progress, StopRequest, fit
from training.judging import Judging
from training.lines import Lines
from training.number_answers import answers_by_kind, count_alike, fit_line_temperature, table_of_numbers, thresholds
from training.numbers import NO_NUMBER, Numbers
from training.reader import LineTask, best_paths
from training.recipes import COLUMN_LOGITS, ReaderRecipe

GOLDENS, GOLDENS_OF = 3, 60
AGREEING_DIGITS = 2_000  # test digits that reader and classifier are both asked about


@dataclass(frozen=True)
class MadeReader:
    """A trained, calibrated and exported reader.

    Attributes:
        recipe, seed, lines: what it was made from; the last is a number.
        temperature: what the logits were divided by.
    """

    recipe: ReaderRecipe
    seed: int
    lines: int
    fitted: Fitted
    temperature: float
    model: bytes


def make_reader(
    recipe: ReaderRecipe,
    lines: Lines,
    numbers: Mapping[str, Numbers],
    seed: int,
    *,
    stop: StopRequest,
    progress: Callable[[Progress], None],
) -> MadeReader:
    """Train, calibrate and export.

    Args:
        lines: what it learns from.
        numbers: pictures of the holdout's numbers, on which it is chosen and calibrated.
    """
    fitted = fit(LineTask(recipe, lines, single_lines(numbers)), seed, stop=stop, progress=progress)
    temperature = fit_line_temperature(Reader(to_litert(fitted.network)), numbers)
    divide_logits(fitted.network, temperature, COLUMN_LOGITS)
    return MadeReader(recipe, seed, len(lines), fitted, temperature, to_litert(fitted.network))


def describe_reader(
    made: MadeReader,
    classifier: Classifier,
    on_holdout: Judging,
    on_test: Judging,
    say: Callable[[str], None],
) -> ReaderRecord:
    """Check that the exported reader agrees with the trained one, and measure it.

    Raises:
        ParityError: it does not.
    """
    reader, holdout, test = Reader(made.model), on_holdout.numbers, on_test.numbers
    lines = single_lines(test)
    _check_parity(made, reader, lines)
    say(f"LiteRT and Keras read {len(lines):,} test lines alike")
    answers = answers_by_kind(reader, classifier, holdout)
    accept, agree = thresholds(answers)
    test_answers = answers_by_kind(reader, classifier, test)
    fitted, digits = made.fitted, on_test.digits.sample(AGREEING_DIGITS)
    return ReaderRecord(
        input=LINE,
        output=LOGITS,
        line_form=rows.VERSION,
        recipe=RecipeRecord(
            name=made.recipe.name,
            hyperparameters=made.recipe.hyperparameters(made.lines),
            parameter_count=fitted.network.count_params(),
            seed=made.seed,
        ),
        training=TrainingRecord(
            epochs=len(fitted.epochs), chosen_epoch=fitted.chosen_epoch, stopped_by=fitted.stopped_by
        ),
        line_count=made.lines,
        temperature=made.temperature,
        acceptance_threshold=accept,
        agreement_threshold=agree,
        agreement=count_alike(reader, classifier, digits) / len(digits),
        holdout=table_of_numbers(answers, holdout, accept, agree),
        test=table_of_numbers(test_answers, test, accept, agree),
        goldens=_goldens(reader, holdout),
    )


def single_lines(numbers: Mapping[str, Numbers]) -> Lines:
    """Return the lines of pictures that have one row, and of what is no number."""
    found = [
        (line, text)
        for each in numbers.values()
        for text, lines in each.pictures()
        if len(lines) == 1 and "\n" not in text
        for line in lines
    ]
    return Lines.of_texts(found)


def _check_parity(made: MadeReader, reader: Reader, lines: Lines) -> None:
    trained = best_paths(made.fitted.network, lines)
    exported = [greedy(reader.logits(lines.image(index)[None])[0]) for index in range(len(lines))]
    # Lines are read side by side in training, where the paper beside a shorter one goes on: few are read otherwise.
    different = sum(one != other for one, other in zip(trained, exported, strict=True))
    if different > max(1, 0.002 * len(lines)):
        raise ParityError(f"the exported reader reads {different} of {len(lines)} lines differently")


def _goldens(reader: Reader, numbers: Mapping[str, Numbers]) -> list[LineGolden]:
    """Return the lines, of some, that are read most surely, with what is read."""
    lines = single_lines({kind: each for kind, each in numbers.items() if kind != NO_NUMBER})
    some = (lines.image(index) for index in range(0, len(lines), max(1, len(lines) // GOLDENS_OF)))
    read = [(reading, pixels) for pixels in some if (reading := read_line(pixels, reader)) and reading.string]
    read.sort(key=lambda each: -each[0].probability)
    return [
        LineGolden(
            pixels_base64=base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode(),
            text="".join(map(str, reading.string)),
            probability=reading.probability,
        )
        for reading, pixels in read[:GOLDENS]
    ]
