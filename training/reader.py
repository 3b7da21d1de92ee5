"""The reader as a task: lines of digits, whose digits are known and whose places are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.model.contract import BLANK, COLUMNS, LOGITS
from digits.model.strings import greedy
from digits.pictures.rows import LINE_HEIGHT
from training.lines import Lines
from training.recipes import ReaderRecipe, Schedule

type Pixels = NDArray[np.uint8]

# So many batches are drawn at once, and lines of about one width share one.
_TOGETHER = 16
_STEP = 16  # of a batch's width, so that there are not too many of them
_NOBODY = -1  # in the place of a label that a shorter line does not have
# How much it counts that digits are read in their places, and in it what counts as blank: further columns than so many
# from every middle, each by so much.
PLACED = 0.2
NEARBY = 2
BLANKS = 0.1


@dataclass(frozen=True)
class LineTask:
    """To read a line of digits."""

    recipe: ReaderRecipe
    training: Lines
    holdout: Lines
    _ordered: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def schedule(self) -> Schedule:
        """How long, how fast, in batches of which size."""
        return self.recipe

    @property
    def example_count(self) -> int:
        """How many lines an epoch has."""
        whole = _TOGETHER * self.recipe.batch_size
        return max(1, len(self.training) // whole) * whole

    def network(self) -> keras.Model:
        """Return the untrained network."""
        return self.recipe.network()

    def settings(self) -> dict[str, Any]:
        """Return the loss."""
        return {"loss": _LineLoss()}

    def kept_settings(self) -> dict[str, Any]:
        """Return nothing: Keras does not have that loss."""
        return {}

    def batches(self, seed: int) -> tf.data.Dataset:
        """Return endless batches of lines and their digits."""

        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Not from_generator, with which TensorFlow has the process give all freed memory back at once.
            images, digits = tf.numpy_function(partial(self._batch, seed), [number], (tf.uint8, tf.int32))
            return tf.ensure_shape(images, (None, LINE_HEIGHT, None)), tf.ensure_shape(digits, (None, None, 2))

        return tf.data.Dataset.range(2**40).map(batch).prefetch(4)

    def _batch(self, seed: int, number: int) -> tuple[Pixels, NDArray[np.int32]]:
        """Return one batch; lines of about one width share one, and each epoch has other ones."""
        size, lines = self.recipe.batch_size, self.training
        epoch, place = divmod(int(number), self.example_count // size)
        generator = np.random.default_rng((seed, epoch, place))
        chosen = self._order(seed, epoch)[place]
        widest = int(lines.widths[chosen].max() + generator.integers(0, 12))
        images = np.zeros((len(chosen), LINE_HEIGHT, -(-widest // _STEP) * _STEP), np.uint8)
        digits = np.full((len(chosen), max(1, int(lines.lengths[chosen].max())), 2), _NOBODY, np.int32)
        for row, index in enumerate(chosen):
            image, text = lines.image(index), lines.text(index)
            left = int(generator.integers(0, min(12, images.shape[2] - image.shape[1] + 1)))
            images[row, :, left : left + image.shape[1]] = image
            digits[row, : len(text), 0] = text
            digits[row, : len(text), 1] = (lines.middles_of(index) + left) / COLUMNS
        return images, digits

    def _order(self, seed: int, epoch: int) -> NDArray[np.intp]:
        """Return the lines of each batch of an epoch: intp (batches, size)."""
        if self._ordered.get("epoch") != (seed, epoch):
            generator, size = np.random.default_rng((seed, epoch)), self.recipe.batch_size
            order = generator.permutation(max(len(self.training), self.example_count)) % len(self.training)
            parts = order[: self.example_count].reshape(-1, _TOGETHER * size)
            alike = np.argsort(self.training.widths[parts], axis=1, kind="stable")
            batches = np.take_along_axis(parts, alike, axis=1).reshape(-1, _TOGETHER, size)
            mixed = generator.permuted(np.tile(np.arange(_TOGETHER), (len(batches), 1)), axis=1)
            batches = np.take_along_axis(batches, mixed[:, :, None], axis=1)
            self._ordered.update(epoch=(seed, epoch), batches=batches.reshape(-1, size))
        ordered: NDArray[np.intp] = self._ordered["batches"]
        return ordered

    def holdout_accuracy(self, network: keras.Model) -> float:
        """Return what share of the holdout's lines is read right."""
        right = [
            read == self.holdout.text(index).tolist() for index, read in enumerate(best_paths(network, self.holdout))
        ]
        return sum(right) / len(right)


def best_paths(network: keras.Model, lines: Lines) -> list[list[int]]:
    """Return the digits that a trained network finds most likely column by column, for each line."""
    order = np.argsort(lines.widths, kind="stable")
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), 128):
        chosen = order[start : start + 128]
        images = np.zeros((len(chosen), LINE_HEIGHT, -(-int(lines.widths[chosen].max()) // _STEP) * _STEP), np.uint8)
        for number, index in enumerate(chosen):
            images[number, :, : lines.widths[index]] = lines.image(index)
        logits = np.asarray(network(images, training=False)[LOGITS.name])
        found.update((int(index), greedy(each)) for index, each in zip(chosen, logits, strict=True))
    return [found[index] for index in range(len(lines))]


class _LineLoss(keras.losses.Loss):
    """How unlikely the digits are, wherever they are (CTC), and each where it is.

    The second begins to teach hundreds of steps before the first does, which has to find out by itself where digits
    are, and holds the answers to the digits' middles.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return it for each line; digits and their columns, (batch, length, 2), are padded with -1."""
        digits = tf.cast(y_true, tf.int32)
        return _wherever(digits[:, :, 0], y_pred) + PLACED * _in_place(digits, y_pred)


def _wherever(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return minus the log probability of labels (Graves et al., 2006)."""
    empty = labels[:, 0] < 0
    labels = tf.concat([tf.where(empty, 0, labels[:, 0])[:, None], labels[:, 1:]], axis=1)  # TensorFlow wants some
    places = tf.where(labels >= 0)
    # Sparse labels take the operation in C++, a tenth of the time that dense ones take.
    sparse = tf.SparseTensor(places, tf.gather_nd(labels, places), tf.cast(tf.shape(labels), tf.int64))
    count, columns = tf.shape(logits)[0], tf.shape(logits)[1]
    written = tf.nn.ctc_loss(
        sparse, logits, None, tf.fill([count], columns), logits_time_major=False, blank_index=BLANK
    )
    nothing = -tf.reduce_sum(tf.nn.log_softmax(logits)[:, :, BLANK], axis=1)
    return tf.where(empty, nothing, written)


def _in_place(digits: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return minus the log probability of each digit in its middle column, and of the blank away from all of them."""
    there = tf.where(digits[:, :, 0] >= 0)
    lines, columns = tf.cast(there[:, 0], tf.int32), tf.gather_nd(digits[:, :, 1], there)
    likely = tf.nn.log_softmax(logits)
    places = tf.stack([lines, tf.minimum(columns, tf.shape(logits)[1] - 1)], axis=1)
    of_digits = tf.gather_nd(likely, tf.concat([places, tf.gather_nd(digits[:, :, 0], there)[:, None]], axis=1))
    apart = tf.cast(tf.abs(tf.range(tf.shape(logits)[1])[None, :, None] - digits[:, None, :, 1]) > NEARBY, tf.float32)
    away = tf.reduce_min(apart, axis=2)  # padding is away from every column but the first ones
    blank = BLANKS * tf.reduce_sum(away * likely[:, :, BLANK], axis=1)
    return -tf.math.unsorted_segment_sum(of_digits, lines, tf.shape(logits)[0]) - blank
