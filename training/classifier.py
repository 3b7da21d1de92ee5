"""The classifier as a task: what it learns from, and how it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.model.contract import CLASSES, OUTPUT
from training.additions import NOTHING, Additions
from training.augment import augment
from training.dataset import Part
from training.recipes import Recipe, Schedule

_EVALUATION_BATCH = 1_000


@dataclass(frozen=True)
class DigitTask:
    """To read one digit.

    Attributes:
        added: what the network learns from besides the training digits; an outlier's target is uniform.
    """

    recipe: Recipe
    training: Part
    holdout: Part
    added: Additions = NOTHING

    @property
    def schedule(self) -> Schedule:
        """How long, how fast, in batches of which size."""
        return self.recipe

    @property
    def example_count(self) -> int:
        """How many digits an epoch has; what is added takes the place of some."""
        return len(self.training)

    def network(self) -> keras.Model:
        """Return the untrained network."""
        return self.recipe.network()

    def settings(self) -> dict[str, Any]:
        """Return the loss, and the accuracy of the digits."""
        return {"loss": self._loss(), "metrics": [_DigitAccuracy(name="accuracy")]}

    def kept_settings(self) -> dict[str, Any]:
        """Return the loss, and an accuracy that Keras has."""
        return {"loss": self._loss(), "metrics": ["accuracy"]}

    def _loss(self) -> keras.losses.Loss:
        return keras.losses.CategoricalCrossentropy(label_smoothing=self.recipe.label_smoothing)

    def batches(self, seed: int) -> tf.data.Dataset:
        """Return endless batches of augmented digits and outliers."""
        return _batches(self.recipe, self.training, self.added, seed)

    def holdout_accuracy(self, network: keras.Model) -> float:
        """Return what share of the holdout digits a network reads right."""
        answers = probabilities(network, self.holdout.images).argmax(axis=1)
        return float((answers == self.holdout.labels).mean())


def probabilities(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the network answers, float32 (n, 10), to uint8 images (n, 28, 28)."""
    return np.asarray(network.predict(images, batch_size=_EVALUATION_BATCH, verbose=0)[OUTPUT.name])


class _DigitAccuracy(keras.metrics.CategoricalAccuracy):
    """The share of right answers to digits: outliers, whose targets are uniform, do not count."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:  # noqa: ARG002
        """Count a batch."""
        super().update_state(y_true, y_pred, tf.cast(tf.reduce_max(y_true, axis=-1) > 0.5, tf.float32))


def _batches(recipe: Recipe, training: Part, additions: Additions, seed: int) -> tf.data.Dataset:
    """Return endless batches: uint8 (n, 28, 28), targets float32 (n, 10) and weights float32 (n,).

    The first `recipe.batch_size` are digits, the rest are outliers. The loss that Keras computes, a weighted sum
    over n, is the mean over the digits plus the outliers' mean times `recipe.outlier_weight`.
    """
    images = tf.concat([training.images, additions.unusual.images], axis=0)
    targets = tf.one_hot(np.concatenate([training.labels, additions.unusual.labels]), len(CLASSES))
    outliers = tf.constant(additions.outliers)
    digits, others = recipe.batch_size, recipe.outliers_in_batch if len(additions.outliers) else 0
    uniform = tf.fill([others, len(CLASSES)], 1 / len(CLASSES))
    shares = [tf.fill([digits], 1 / digits), tf.fill([others], recipe.outlier_weight / max(1, others))]
    weights = tf.concat(shares, axis=0) * (digits + others)

    def batch(number: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        number = tf.cast(number, tf.int32)
        chosen = tf.gather(images, indices)
        if others:
            any_of = tf.random.stateless_uniform([others], tf.stack([seed, -1 - number]), 0, len(outliers), tf.int32)
            chosen = tf.concat([chosen, tf.gather(outliers, any_of)], axis=0)
        chosen = tf.cast(chosen, tf.float32)
        if recipe.augmentation is not None:
            chosen = augment(chosen, recipe.augmentation, tf.stack([seed, number]))
        return tf.cast(tf.round(chosen), tf.uint8), tf.concat([tf.gather(targets, indices), uniform], axis=0), weights

    order = tf.data.Dataset.range(len(images)).shuffle(len(images), seed=seed)
    epochs = order.batch(digits, drop_remainder=True).repeat()
    # A batch takes a tenth of the time of a step.
    return epochs.enumerate().map(batch, num_parallel_calls=2).prefetch(2)
