"""Recipes: a network, its schedule and its augmentation under one name.

Every network takes uint8 pixels and returns probabilities, so that the trained, the exported and the
served model have one contract (`digits.model.contract`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import keras
from keras import layers, ops

from digits.errors import UnknownRecipeError
from digits.model.contract import CLASSES, INPUT, LINE, OUTPUT
from digits.model.contract import LOGITS as READER_OUTPUT
from training.augment import Augmentation
from training.optimizers import adamw, muon

LOGITS = "logits"
COLUMN_LOGITS = "column_logits"
_WARM_UP_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained.

    Attributes:
        summary: for people.
        optimizer: makes the optimizer; its learning rate is set at every step.
        peak_learning_rate: the highest learning rate of the run.
        decayed: whether the rate warms up linearly over a tenth of the run and then falls to zero along a
            cosine (Loshchilov and Hutter, 2017); if not, it is constant.
        minimum_steps: the least number of batches in a run; a small data set gets more epochs.
    """

    name: str
    summary: str
    body: Callable[[Any], Any]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    peak_learning_rate: float
    epochs: int
    decayed: bool = True
    batch_size: int = 128
    minimum_steps: int = 0

    def steps_for(self, training_count: int) -> int:
        """Return the number of whole batches in an epoch of this many examples."""
        return training_count // self.batch_size

    def epochs_for(self, training_count: int) -> int:
        """Return the number of epochs for this many examples."""
        return max(self.epochs, -(-self.minimum_steps // self.steps_for(training_count)))

    def learning_rate(self, share: float) -> float:
        """Return the learning rate at this fraction of the run, 0 to 1."""
        if not self.decayed:
            return self.peak_learning_rate
        rise = min(1.0, share / _WARM_UP_SHARE)
        fall = (1 + math.cos(math.pi * max(0.0, share - _WARM_UP_SHARE) / (1 - _WARM_UP_SHARE))) / 2
        return self.peak_learning_rate * rise * fall

    def hyperparameters(self, training_count: int) -> dict[str, Any]:
        """Return what the manifest records; the optimizer is described, not pickled."""
        described = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("name", "summary", "body"):
            del described[name]
        return {
            **described,
            "epochs": self.epochs_for(training_count),
            "optimizer": _described(self.optimizer()),
        }


@dataclass(frozen=True)
class ReaderRecipe(Schedule):
    """Everything that determines the training of a reader.

    Attributes:
        body: maps float32 (batch, 32, width, 1) in [0, 1] to features, (batch, 1, width / 2, n); a line reads the
            same alone and beside wider ones.
        lines: how many lines are drawn for it.
    """

    lines: int = 0

    def network(self) -> keras.Model:
        """Return the untrained network, with the contract that all readers share."""
        pixels = keras.Input((LINE.shape[1], None), dtype=LINE.dtype, name=LINE.name)
        scaled = layers.Rescaling(1 / 255, name="unit_range")(pixels)
        features = self.body(ops.expand_dims(scaled, -1))
        answers = layers.Conv2D(len(CLASSES) + 1, 1, name=COLUMN_LOGITS)(features)
        columns = layers.Identity(name=READER_OUTPUT.name)(ops.squeeze(answers, 1))
        return keras.Model(pixels, {READER_OUTPUT.name: columns}, name=self.name)


@dataclass(frozen=True)
class Recipe(Schedule):
    """Everything that determines a training run, apart from its data and seed.

    Attributes:
        body: maps float32 (batch, 28, 28, 1) in [0, 1] to the features that the softmax layer reads.
        label_smoothing: share of each target spread evenly over the classes.
        augmentation: how each digit is changed, differently in every epoch.
        unusual: whether digits take part that are made as MNIST has too few (`training.unusual`).
        outliers_in_batch: how many outliers each batch has besides its digits (`training.outliers`).
        outlier_weight: what the mean loss of a batch's outliers counts beside that of its digits.
        reader: how a reader of numbers is trained besides; None makes none.
    """

    label_smoothing: float = 0.0
    augmentation: Augmentation | None = None
    unusual: bool = False
    outliers_in_batch: int = 0
    outlier_weight: float = 0.5
    reader: ReaderRecipe | None = None

    def network(self) -> keras.Model:
        """Return the untrained network, with the contract that all recipes share."""
        pixels = keras.Input(INPUT.shape[1:], dtype=INPUT.dtype, name=INPUT.name)
        scaled = layers.Rescaling(1 / 255, name="unit_range")(pixels)
        features = self.body(ops.expand_dims(scaled, -1))
        logits = layers.Dense(len(CLASSES), name=LOGITS)(features)
        probabilities = layers.Softmax(name=OUTPUT.name)(logits)
        return keras.Model(pixels, {OUTPUT.name: probabilities}, name=self.name)

    def hyperparameters(self, training_count: int) -> dict[str, Any]:
        """Return what the manifest records of the classifier's training; the reader's is recorded beside it."""
        described = super().hyperparameters(training_count)
        del described["reader"]
        return {**described, "augmentation": asdict(self.augmentation) if self.augmentation else None}


def _flat(images: Any) -> Any:
    """Return all values of each in a row: as `Flatten` does, whose shapes LiteRT knows only when it runs."""
    return ops.reshape(images, (-1, math.prod(images.shape[1:])))


def _reference_body(images: Any) -> Any:
    hidden = layers.Conv2D(32, 3, activation="relu")(images)
    hidden = layers.Conv2D(64, 3, activation="relu")(hidden)
    hidden = layers.MaxPooling2D(2)(hidden)
    hidden = layers.Dropout(0.25)(hidden)
    hidden = _flat(hidden)
    hidden = layers.Dense(128, activation="relu")(hidden)
    return layers.Dropout(0.5)(hidden)


def _convolution(
    images: Any, filters: int, size: int | tuple[int, int], strides: int | tuple[int, int] = 1, padding: str = "same"
) -> Any:
    hidden = layers.Conv2D(filters, size, strides, padding=padding, use_bias=False)(images)
    return layers.ReLU()(layers.BatchNormalization()(hidden))


def _quick_body(images: Any) -> Any:
    hidden = _convolution(images, 32, 6, 3, "valid")
    hidden = _convolution(hidden, 64, 3, 2, "valid")
    return _flat(_convolution(hidden, 96, 3))


def _default_body(images: Any) -> Any:
    hidden = images
    for filters, size, strides in ((24, 5, 2), (48, 3, 2), (64, 3, 1), (48, 3, 1)):
        hidden = _convolution(hidden, filters, size, strides)
    return layers.Dropout(0.3)(_flat(hidden))


def _best_body(images: Any) -> Any:
    hidden = images
    for filters, size, strides in ((32, 5, 2), (48, 3, 1), (64, 3, 2), (96, 3, 1), (128, 3, 1)):
        hidden = _convolution(hidden, filters, size, strides)
    return layers.Dropout(0.4)(_flat(hidden))


def _reader_body(lines: Any) -> Any:
    hidden = layers.ZeroPadding2D(((1, 2), (1, 2)))(lines)  # "same" would move the grid where a width is odd
    hidden = _convolution(hidden, 24, 5, 2, "valid")
    hidden = _convolution(hidden, 40, 3, (2, 1))
    hidden = _convolution(hidden, 56, 3, (2, 1))
    hidden = _convolution(hidden, 80, 3)
    hidden = layers.ZeroPadding2D((0, 1))(hidden)
    hidden = layers.Dropout(0.1)(_convolution(hidden, 96, (4, 3), padding="valid"))
    for _ in range(2):
        hidden = _convolution(hidden, 96, (1, 5))
    return layers.Dropout(0.1)(hidden)


# Covers how handwriting varies, and what the canonical form leaves of a photograph or an unusual pen.
_STRONG = Augmentation(
    shift_pixels=1.5, turn_degrees=12, scale_share=0.12, shear_share=0.12, elastic_pixels=0.8, stroke_share=0.4
)
# A longer run reads clean digits better if they are changed less.
_MILD = Augmentation(
    shift_pixels=1.5, turn_degrees=10, scale_share=0.1, shear_share=0.1, elastic_pixels=0.7, stroke_share=0.3
)

# What people send is not only what MNIST has.
_OPEN_WORLD: dict[str, Any] = {"unusual": True, "outliers_in_batch": 48}


def _reader(name: str, summary: str, lines: int, epochs: int) -> ReaderRecipe:
    return ReaderRecipe(
        name=name,
        summary=summary,
        body=_reader_body,
        optimizer=partial(muon, answers=COLUMN_LOGITS, adam_share=0.24),
        peak_learning_rate=0.025,
        epochs=epochs,
        batch_size=32,
        lines=lines,
    )


# Shared by `default` and `best`.
_READER = _reader("reader", "257 k parameters, 56,000 lines, 2 epochs: about four minutes on two cores", 56_000, 2)
_QUICK_READER = _reader(
    "quick_reader", "257 k parameters, 12,000 lines, 2 epochs: about a minute on two cores", 12_000, 2
)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="quick",
            summary="84 k parameters, 2 epochs: about 15 seconds on two cores",
            body=_quick_body,
            optimizer=partial(muon, answers=LOGITS, adam_share=0.7),
            peak_learning_rate=3e-2,
            epochs=2,
            label_smoothing=0.1,
            augmentation=Augmentation(shift_pixels=1),
            minimum_steps=300,
            reader=_QUICK_READER,
            **_OPEN_WORLD,
        ),
        Recipe(
            name="default",
            summary="91 k parameters, 6 epochs: about a minute on two cores",
            body=_default_body,
            optimizer=adamw,
            peak_learning_rate=2e-2,
            epochs=6,
            label_smoothing=0.1,
            augmentation=_STRONG,
            minimum_steps=500,
            reader=_READER,
            **_OPEN_WORLD,
        ),
        Recipe(
            name="best",
            summary="272 k parameters, 12 epochs: about five minutes on two cores",
            body=_best_body,
            optimizer=adamw,
            peak_learning_rate=2e-2,
            epochs=12,
            label_smoothing=0.1,
            augmentation=_MILD,
            minimum_steps=500,
            reader=_READER,
            **_OPEN_WORLD,
        ),
        Recipe(
            name="reference",
            summary="1.2 M parameters, 12 epochs: about four minutes on two cores",
            body=_reference_body,
            optimizer=keras.optimizers.Adadelta,
            peak_learning_rate=1.0,
            decayed=False,
            epochs=12,
        ),
    )
}


def _described(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Return an optimizer's class and settings, without its name and its learning rate, which the recipe sets."""
    settings = {key: value for key, value in optimizer.get_config().items() if key not in ("name", "learning_rate")}
    return {"class": type(optimizer).__name__, **settings}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UnknownRecipeError: there is none; the message lists the recipes.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UnknownRecipeError(f"no recipe {name!r}; there are: {', '.join(sorted(RECIPES))}") from None
