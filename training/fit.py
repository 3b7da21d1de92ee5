"""Training: a recipe and digits in, a trained network out."""

from __future__ import annotations

import sys

import keras
import tensorflow as tf

from training.dataset import Part
from training.recipes import CLASS_COUNT, Recipe

_EVALUATION_BATCH = 1_000


def fit(recipe: Recipe, training: Part, holdout: Part, seed: int) -> keras.Model:
    """Train a network from scratch.

    Progress goes to standard output: a bar on a terminal, a line an epoch elsewhere.
    """
    keras.utils.set_random_seed(seed)
    epochs = recipe.epochs_for(len(training))
    batches = _batches(recipe, training, seed)
    network = recipe.network()
    network.compile(
        optimizer=recipe.optimizer(epochs * len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    network.fit(
        batches,
        epochs=epochs,
        shuffle=False,  # the batches are shuffled already
        validation_data=(holdout.images, _one_hot(holdout)),
        validation_batch_size=_EVALUATION_BATCH,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    return network


def _batches(recipe: Recipe, training: Part, seed: int) -> tf.data.Dataset:
    digits = tf.data.Dataset.from_tensor_slices((training.images, _one_hot(training)))
    batches = digits.shuffle(len(training), seed=seed).batch(recipe.batch_size)
    if recipe.shift_pixels:
        batches = batches.map(
            lambda images, targets: (_shifted(images, recipe.shift_pixels, seed), targets),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def _one_hot(part: Part) -> tf.Tensor:
    return tf.one_hot(part.labels, CLASS_COUNT)


def _shifted(images: tf.Tensor, pixels: int, seed: int) -> tf.Tensor:
    """Move each image of a uint8 batch by its own whole number of pixels, dark where nothing was."""
    side = images.shape[1]
    padded = tf.pad(images, [[0, 0], [pixels, pixels], [pixels, pixels]])
    corners = tf.random.uniform([tf.shape(images)[0], 2, 1], 0, 2 * pixels + 1, tf.int32, seed=seed)
    window = corners + tf.range(side)
    rows = tf.gather(padded, window[:, 0], batch_dims=1)
    return tf.gather(rows, window[:, 1], axis=2, batch_dims=1)
