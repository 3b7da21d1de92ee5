"""The reader's training: its batches, its loss, and the proof that what is exported is what was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.errors import ParityError
from digits.model.contract import BLANK
from digits.model.manifest import Manifest
from digits.model.reader import Reader
from digits.model.strings import Columns, greedy, probabilities_of
from training.dataset import load_subset
from training.line_drawing import Line
from training.lines import Lines
from training.numbers import NO_NUMBER, Numbers, picture

type Floats = NDArray[np.floating]

NOBODY = -1


def marked(*widths: int) -> Lines:
    """Lines whose pixels are their index and 1, with a digit of the same index in each 20 columns."""
    made = []
    for index, width in enumerate(widths):
        middles = [float(middle) for middle in range(10, width - 9, 20)]
        made.append(Line(np.full((32, width), index + 1, np.uint8), [index % 10] * len(middles), middles))
    return Lines.of(made)


def task_of(lines: Lines, batch_size: int = 4, epochs: int = 2) -> Any:
    from training.reader import LineTask
    from training.recipes import find_recipe

    recipe = find_recipe("quick").reader
    assert recipe is not None
    return LineTask(replace(recipe, batch_size=batch_size, lines=len(lines), epochs=epochs), lines, lines)


def batches(task: Any, seed: int, count: int) -> list[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    found = zip(task.batches(seed), range(count), strict=False)
    return [(images.numpy(), digits.numpy()) for (images, digits), _ in found]


# Batches

WIDTHS = [20 + 3 * (index % 40) for index in range(128)]


def test_an_epoch_has_every_line_whole_and_once_with_its_digits_where_they_are() -> None:
    lines = marked(*WIDTHS)
    task = task_of(lines)
    assert task.example_count == 128
    seen = []
    for images, digits in batches(task, 1, 32):
        assert (len(images), len(digits)) == (4, 4)
        assert images.shape[1] == 32
        assert images.shape[2] % 16 == 0
        for image, (labels, columns) in zip(images, digits.transpose(0, 2, 1), strict=True):
            index = int(image.max()) - 1
            (inked,) = np.nonzero(image[0])
            left, width = int(inked[0]), int(lines.widths[index])
            assert (image[:, left : left + width] == index + 1).all()
            assert len(inked) == width
            text = lines.text(index)
            assert labels[: len(text)].tolist() == text.tolist()
            assert columns[: len(text)].tolist() == ((lines.middles_of(index) + left) // 2).astype(int).tolist()
            assert (labels[len(text) :] == NOBODY).all()
            assert (columns[len(text) :] == NOBODY).all()
            seen.append(index)
    assert sorted(seen) == list(range(128))


def test_lines_of_about_one_width_share_a_batch() -> None:
    lines = marked(*WIDTHS)
    spreads = []
    for images, _ in batches(task_of(lines), 1, 32):
        widths = lines.widths[images.max(axis=(1, 2)).astype(int) - 1]
        spreads.append(int(widths.max() - widths.min()))
    assert np.mean(spreads) < np.ptp(WIDTHS) / 6


def test_batches_follow_the_seed_and_differ_from_epoch_to_epoch() -> None:
    lines = marked(*WIDTHS)
    one, again = (batches(task_of(lines), 1, 64) for _ in range(2))
    for (images, digits), (same_images, same_digits) in zip(one, again, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(digits, same_digits)
    firsts = [[set(images.max(axis=(1, 2)).tolist()) for images, _ in part] for part in (one[:32], one[32:])]
    assert firsts[0] != firsts[1]
    other = batches(task_of(lines), 2, 32)
    assert [set(images.max(axis=(1, 2)).tolist()) for images, _ in other] != firsts[0]


def test_few_lines_are_repeated_and_of_many_the_rest_waits_for_another_epoch() -> None:
    few = task_of(marked(20, 30, 40))
    assert few.example_count == 64
    seen = np.concatenate([images.max(axis=(1, 2)) for images, _ in batches(few, 1, 16)])
    assert np.bincount(seen)[1:].tolist() == [22, 21, 21]
    many = task_of(marked(*WIDTHS, 20, 25, 30))
    assert many.example_count == 128


def test_a_batch_without_a_digit_has_room_for_one_that_is_not_there() -> None:
    empty = Lines.of([Line(np.full((32, 24), 9, np.uint8), [], [])] * 4)
    ((images, digits),) = batches(task_of(empty), 1, 1)
    assert digits.shape == (len(images), 1, 2)
    assert (digits == NOBODY).all()


# The loss


def random_logits(lines: int, columns: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(0, 2, (lines, columns, 11)).astype(np.float32)


def labels_of(*lines: list[tuple[int, int]]) -> NDArray[np.int32]:
    """Digits and their columns, padded as in a batch."""
    longest = max(1, *(len(line) for line in lines))
    padded = np.full((len(lines), longest, 2), NOBODY, np.int32)
    for row, line in enumerate(lines):
        padded[row, : len(line)] = np.array(line, np.int32).reshape(-1, 2)
    return padded


def log_softmax(logits: Floats) -> Floats:
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


TEXTS = [[7], [1, 1], [2, 3, 4], [5, 5, 5, 5], []]


def test_wherever_digits_are_costs_what_serving_finds_them_unlikely() -> None:
    """All paths of a string are counted by another implementation; also of repeated digits, and of none."""
    from training.reader import _wherever

    logits = random_logits(len(TEXTS), 9)
    digits = labels_of(*[[(digit, 0) for digit in text] for text in TEXTS])
    costs = _wherever(digits[:, :, 0], logits).numpy()
    for cost, of_line, text in zip(costs, logits, TEXTS, strict=True):
        (probability,) = probabilities_of(Columns.of(of_line), [text])
        assert cost == pytest.approx(-np.log(probability), rel=1e-4)


def test_two_equal_digits_by_hand() -> None:
    """Three columns have one path for 1 1: with a blank between them."""
    from training.reader import _wherever

    logits = random_logits(1, 3)
    likely = log_softmax(logits[0].astype(np.float64))
    (cost,) = _wherever(np.array([[1, 1]], np.int32), logits).numpy()
    assert cost == pytest.approx(-(likely[0, 1] + likely[1, BLANK] + likely[2, 1]), rel=1e-5)


def test_digits_are_asked_for_in_their_middles_and_blanks_away_from_them() -> None:
    from training.reader import BLANKS, NEARBY, _in_place

    logits = random_logits(3, 12)
    likely = log_softmax(logits.astype(np.float64))
    # One of them lies behind the last column, which stands for it.
    costs = _in_place(labels_of([(7, 2), (3, 6)], [(4, 12)], []), logits).numpy()
    first_blanks = [column for column in range(12) if abs(column - 2) > NEARBY and abs(column - 6) > NEARBY]
    assert first_blanks == [9, 10, 11]
    first = likely[0, 2, 7] + likely[0, 6, 3] + BLANKS * likely[0, first_blanks, BLANK].sum()
    assert costs[0] == pytest.approx(-first, rel=1e-5)
    # A shorter line is padded with -1, near which no blank is asked for.
    second = likely[1, 11, 4] + BLANKS * likely[1, NEARBY:10, BLANK].sum()
    assert costs[1] == pytest.approx(-second, rel=1e-5)
    assert costs[2] == pytest.approx(-BLANKS * likely[2, NEARBY:, BLANK].sum(), rel=1e-5)


def test_the_loss_is_the_mean_over_lines_of_both() -> None:
    from training.reader import PLACED, _in_place, _LineLoss, _wherever

    logits = random_logits(3, 12)
    digits = labels_of([(7, 2), (3, 6)], [(4, 11)], [])
    both = _wherever(digits[:, :, 0], logits) + PLACED * _in_place(digits, logits)
    assert float(_LineLoss()(digits, logits)) == pytest.approx(float(both.numpy().mean()), rel=1e-5)


def test_a_line_that_reads_right_costs_next_to_nothing() -> None:
    from training.reader import _LineLoss

    sure = np.full((2, 8, 11), -30, np.float32)
    sure[:, :, BLANK] = 0
    for column, digit in ((1, 6), (4, 6)):
        sure[0, column, [digit, BLANK]] = 0, -30
    assert float(_LineLoss()(labels_of([(6, 1), (6, 4)], []), sure)) == pytest.approx(0, abs=1e-3)


# Training


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, where it loads a model
def test_one_seed_gives_the_same_reader_which_keras_alone_can_load(tmp_path: Path) -> None:
    import keras

    from training.fit import StopRequest, fit

    lines = marked(*([24] * 16))

    def weights(seed: int) -> bytes:
        fitted = fit(task_of(lines, batch_size=1, epochs=1), seed, stop=StopRequest(), progress=lambda _: None)
        assert [epoch.training_accuracy for epoch in fitted.epochs] == [None]
        fitted.network.save(tmp_path / f"{seed}.keras")
        return b"".join(each.tobytes() for each in fitted.network.get_weights())

    first = weights(1)
    assert weights(1) == first
    assert weights(2) != first
    loaded = keras.saving.load_model(tmp_path / "1.keras")
    assert b"".join(each.tobytes() for each in loaded.get_weights()) == first


def test_best_paths_are_those_of_each_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.reader import best_paths

    def network(images: NDArray[np.uint8], training: bool) -> dict[str, Floats]:
        assert not training
        logits = np.zeros((len(images), images.shape[2] // 2, 11), np.float32)
        logits[:, :, BLANK] = 1
        logits[np.arange(len(images)), 3, (images.max(axis=(1, 2)) - 1) % 10] = 2
        return {"logits": logits}

    lines = marked(90, 30, 50, 20)
    assert best_paths(network, lines) == [[0], [1], [2], [3]]


# Parity


def test_the_exported_reader_reads_what_keras_reads(trained: Path, version: tuple[Manifest, dict[str, bytes]]) -> None:
    import keras

    from training.reader import best_paths
    from training.reading import single_lines

    reader = Reader(version[1]["reader.tflite"])
    network = keras.saving.load_model(trained / "reader.keras")
    part = load_subset().test
    drawn = {kind: Numbers.of([found(part, kind, index) for index in range(6)]) for kind in ("separated", "touching")}
    lines = single_lines(drawn)
    assert len(lines) > 6
    alone = []
    for index in range(len(lines)):
        line = lines.image(index)[None]
        logits = reader.logits(line)
        np.testing.assert_allclose(logits, network(line, training=False)["logits"], atol=2e-3)
        alone.append(greedy(logits[0]))
    different = sum(one != other for one, other in zip(best_paths(network, lines), alone, strict=True))
    assert different <= 1  # read side by side, the paper beside a shorter line goes on


def found(part: Any, kind: str, index: int) -> tuple[str, list[NDArray[np.uint8]]]:
    from digits.pictures.rows import find_rows

    pixels, text = picture(part, kind, index)
    return text, [row.pixels for row in find_rows(pixels).rows]


@pytest.mark.parametrize(("different", "fails"), [(0, False), (1, False), (2, True)])
def test_an_exported_reader_that_reads_otherwise_stops_the_export(
    different: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import reading

    lines = Lines.of_texts([(np.zeros((32, 10), np.uint8), str(index % 10)) for index in range(600)])
    read = [[index % 10] for index in range(600)]
    for index in range(different):
        read[100 * index] = [1, 1]
    monkeypatch.setattr(reading, "best_paths", lambda *_: read)
    made: Any = SimpleNamespace(fitted=SimpleNamespace(network=None))
    answers = np.full((600, 1, 5, 11), -9, np.float32)
    answers[np.arange(600), 0, 2, np.arange(600) % 10] = 9
    answers[:, :, [0, 1, 3, 4], BLANK] = 9
    asked = iter(answers)
    reader: Any = SimpleNamespace(logits=lambda _: next(asked))
    if fails:
        with pytest.raises(ParityError, match="reads 2 of 600 lines differently"):
            reading._check_parity(made, reader, lines)
    else:
        reading._check_parity(made, reader, lines)


def test_single_lines_are_those_of_pictures_with_one_row_and_of_what_is_no_number() -> None:
    from training.reading import single_lines

    line = [np.full((32, 20), level, np.uint8) for level in range(6)]
    numbers = {
        "separated": Numbers.of([("12", [line[0]]), ("3", []), ("45", [line[1], line[2]])]),
        "page": Numbers.of([("1\n2", [line[3]]), ("1\n2", [line[3], line[4]])]),
        NO_NUMBER: Numbers.of([("", [line[5]]), ("", [])]),
    }
    lines = single_lines(numbers)
    assert [int(lines.image(index)[0, 0]) for index in range(len(lines))] == [0, 5]
    assert [lines.text(index).tolist() for index in range(len(lines))] == [[1, 2], []]
