"""Training: a recipe and digits in, a trained network out."""

from __future__ import annotations

import math
import sys

import keras
import tensorflow as tf

from digits.classifier import CLASS_COUNT
from training.dataset import Part
from training.recipes import Recipe

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
            lambda images, targets: (_moved(images, recipe, seed), targets),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def _one_hot(part: Part) -> tf.Tensor:
    return tf.one_hot(part.labels, CLASS_COUNT)


def _moved(images: tf.Tensor, recipe: Recipe, seed: int) -> tf.Tensor:
    """Turn, scale and shift each image of a uint8 batch by random amounts of its own, dark where nothing was."""
    count, side = tf.shape(images)[0], images.shape[1]

    def random(limit: float) -> tf.Tensor:
        return tf.random.uniform([2, count], -limit, limit, seed=seed)

    angle = random(recipe.turn_degrees * math.pi / 180)[0]
    scale = 1 + random(recipe.scale_share)
    # Of each output pixel, where in the input it comes from, seen from the middle.
    cosines, sines = tf.cos(angle) / scale, tf.sin(angle) / scale
    rows = [cosines[0], -sines[0], sines[1], cosines[1]]
    middle = (side - 1) / 2
    shift = random(recipe.shift_pixels) + middle
    from_left = shift[0] - middle * (rows[0] + rows[1])
    from_top = shift[1] - middle * (rows[2] + rows[3])
    none = tf.zeros_like(angle)
    transforms = tf.stack([rows[0], rows[1], from_left, rows[2], rows[3], from_top, none, none], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images[..., None],
        transforms=transforms,
        output_shape=[side, side],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
    return moved[..., 0]
