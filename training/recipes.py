"""Recipes: a network, its schedule and its augmentation under one name.

Every network takes uint8 pixels and answers probabilities, so that what was trained, what is
exported and what is served have one input contract:

    input   "pixels"         uint8   (batch, 28, 28)  0..255, ink bright on dark
    output  "probabilities"  float32 (batch, 10)      each row sums to 1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from digits.canonical import SIDE
from digits.classifier import CLASS_COUNT
from digits.errors import UnknownRecipeError

INPUT_NAME = "pixels"
OUTPUT_NAME = "probabilities"
IMAGE_SHAPE = (SIDE, SIDE)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run does to its data.

    Attributes:
        body: maps float32 (batch, 28, 28, 1) in [0, 1] to the features that the softmax layer reads.
        optimizer: makes the optimizer for a run of so many steps.
        label_smoothing: share of each target spread evenly over the classes.
        shift_pixels: training digits are moved by up to this much both ways, fresh in every epoch.
        turn_degrees: they are turned by up to this much either way.
        scale_share: they are scaled by up to this share either way, width and height apart.
        minimum_steps: a small data set is gone through more often, up to this many batches.
    """

    name: str
    summary: str
    body: Callable[[Any], Any]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    epochs: int
    batch_size: int
    label_smoothing: float = 0.0
    shift_pixels: int = 0
    turn_degrees: float = 0.0
    scale_share: float = 0.0
    minimum_steps: int = 0

    def epochs_for(self, training_count: int) -> int:
        """Return how often so many digits are gone through."""
        return max(self.epochs, self.minimum_steps // -(-training_count // self.batch_size))

    def network(self) -> keras.Model:
        """Return the untrained network, under the contract in this module's docstring."""
        pixels = keras.Input(IMAGE_SHAPE, dtype="uint8", name=INPUT_NAME)
        scaled = layers.Rescaling(1 / 255, name="unit_range")(pixels)
        features = self.body(layers.Reshape((*IMAGE_SHAPE, 1), name="channel")(scaled))
        logits = layers.Dense(CLASS_COUNT, name="logits")(features)
        probabilities = layers.Softmax(name=OUTPUT_NAME)(logits)
        return keras.Model(pixels, {OUTPUT_NAME: probabilities}, name=self.name)

    def hyperparameters(self) -> dict[str, Any]:
        """Return what the manifest records of this recipe; the optimizer is described, not pickled."""
        optimizer = self.optimizer(1)
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "label_smoothing": self.label_smoothing,
            "shift_pixels": self.shift_pixels,
            "turn_degrees": self.turn_degrees,
            "scale_share": self.scale_share,
            "minimum_steps": self.minimum_steps,
            "optimizer": optimizer.name,
        }


def _reference_body(images: Any) -> Any:
    hidden = layers.Conv2D(32, 3, activation="relu")(images)
    hidden = layers.Conv2D(64, 3, activation="relu")(hidden)
    hidden = layers.MaxPooling2D(2)(hidden)
    hidden = layers.Dropout(0.25)(hidden)
    hidden = layers.Flatten()(hidden)
    hidden = layers.Dense(128, activation="relu")(hidden)
    return layers.Dropout(0.5)(hidden)


def _normalised_convolution(filters: int, kernel_size: int, strides: int = 1) -> keras.Sequential:
    return keras.Sequential(
        [
            layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    )


def _default_body(images: Any) -> Any:
    hidden = _normalised_convolution(24, 5, strides=2)(images)
    hidden = _normalised_convolution(24, 3)(hidden)
    hidden = _normalised_convolution(48, 3, strides=2)(hidden)
    hidden = _normalised_convolution(48, 3)(hidden)
    hidden = layers.Flatten()(hidden)
    return layers.Dropout(0.3)(hidden)


def _adadelta(_: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adadelta(learning_rate=1.0)


def _adamw_cosine(steps: int) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) with linear warm-up over a tenth of the run, then cosine decay."""
    warmup_steps = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup_steps, warmup_target=1e-2, warmup_steps=warmup_steps
    )
    return keras.optimizers.AdamW(learning_rate=rate, weight_decay=0.02)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="default",
            summary="61 k parameters, batch-normalised, 5 epochs: some two minutes on two cores",
            body=_default_body,
            optimizer=_adamw_cosine,
            epochs=5,
            batch_size=128,
            label_smoothing=0.1,
            shift_pixels=2,
            turn_degrees=20,
            scale_share=0.12,
            minimum_steps=500,
        ),
        Recipe(
            name="reference",
            summary="the published network and schedule, 1.2 M parameters, 12 epochs: the yardstick",
            body=_reference_body,
            optimizer=_adadelta,
            epochs=12,
            batch_size=128,
        ),
    )
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UnknownRecipeError: there is none; the message lists those that there are.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UnknownRecipeError(f"no recipe {name!r}; there are: {', '.join(sorted(RECIPES))}") from None
