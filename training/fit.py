"""Training: a recipe and digits in, a trained network out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.model.contract import CLASSES, OUTPUT
from training.additions import NOTHING, Additions
from training.augment import augment
from training.dataset import Part
from training.recipes import Recipe

_EVALUATION_BATCH = 1_000


class StopRequest:
    """Stops training when its time is up, or when somebody asks for it.

    Attributes:
        reason: what stops training; None while it should go on.
    """

    def __init__(self, limit_seconds: float | None = None) -> None:
        """Set the longest time that training may take, counted from `begin`."""
        self.reason: str | None = None
        self._limit_seconds = limit_seconds
        self._phase = "before"
        self._started = time.monotonic()
        self._signalled = False
        self._abandoned = False

    def begin(self) -> None:
        """Mark the start of training, from which its time counts."""
        self._phase = "training"
        self._started = time.monotonic()

    def end(self) -> None:
        """Mark the end of training."""
        self._phase = "after"
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has ended everything.

        The signal itself raises it too, but in a finalizer, where Python may be just then, exceptions are lost.
        """
        if self._abandoned:
            raise KeyboardInterrupt

    def elapsed_share(self) -> float:
        """Return the fraction of the time limit used: 1 or more if training must stop, 0 without a limit."""
        self.check()
        elapsed = (time.monotonic() - self._started) / self._limit_seconds if self._limit_seconds else 0.0
        if elapsed >= 1 and self.reason is None:
            self.reason = f"the time limit of {self._limit_seconds:g} seconds"
        return elapsed

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let a first SIGINT or SIGTERM stop only training; a second, or one before training, ends the process."""

        def ask(number: int, _: FrameType | None) -> None:
            self._abandoned |= self._signalled or self._phase == "before"
            self.check()
            self._signalled = True
            name = signal.Signals(number).name
            self.reason = self.reason or name
            what = "training ends with the best weights so far" if self._phase == "training" else "nearly done"
            # Not print: the signal may arrive in the middle of one.
            os.write(2, f"\n{name}: {what}; send it again to leave nothing\n".encode())

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class Epoch:
    """What was measured at the end of an epoch; the last epoch may have been cut short.

    Attributes:
        loss: mean over the epoch's steps, on augmented digits and outliers.
        training_accuracy: of the epoch's augmented digits; outliers do not count.
        seconds: since training began, this epoch's evaluation on the holdout included.
    """

    loss: float
    training_accuracy: float
    holdout_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """A trained network, and how it was trained.

    Attributes:
        epochs: the epochs completed; the last one may have been cut short.
        chosen_epoch: the epoch whose weights were kept, from 1.
        stopped_by: what stopped training early; None if nothing did.
    """

    network: keras.Model
    epochs: list[Epoch]
    chosen_epoch: int
    stopped_by: str | None


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
        epoch: from 1.
        step: within the epoch, from 1.
        loss: mean over the epoch's steps so far.
        holdout_accuracy: when it was last measured, at the end of an epoch; None before that.
        epoch_ended: whether it has just been measured.
        seconds_left: estimated from the steps so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    holdout_accuracy: float | None
    epoch_ended: bool
    seconds_left: float


def fit(
    recipe: Recipe,
    training: Part,
    holdout: Part,
    seed: int,
    *,
    stop: StopRequest,
    progress: Callable[[Progress], None],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    additions: Additions = NOTHING,
) -> Fitted:
    """Train a network from scratch; a run that is stopped keeps the weights that did best on the holdout.

    On the same machine one seed gives the same weights, bit for bit, unless a time limit is reached or the
    number of threads changes.

    Args:
        progress: called after every step.
        callbacks: further callbacks for Keras.
        additions: what the network learns from besides; an outlier's target is uniform.
    """
    keras.utils.set_random_seed(seed)
    stop.begin()
    network = recipe.network()
    optimizer = recipe.optimizer()
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    network.compile(
        optimizer,
        loss,
        metrics=[_DigitAccuracy(name="accuracy")],
        jit_compile=False,  # XLA was no faster on any CPU tried
    )
    course = _Course(recipe, holdout, stop, progress)
    network.fit(
        _batches(recipe, training, additions, seed),
        epochs=recipe.epochs_for(len(training)),
        steps_per_epoch=recipe.steps_for(len(training)),
        shuffle=False,  # the batches are shuffled already
        callbacks=[course, *callbacks],
        verbose=0,
    )
    stop.end()
    network.compile(optimizer, loss, metrics=["accuracy"])  # so that Keras alone can load it
    return Fitted(network, course.epochs, course.chosen_epoch, course.stopped_by)


def probabilities(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the network answers, float32 (n, 10), to uint8 images (n, 28, 28)."""
    return np.asarray(network.predict(images, batch_size=_EVALUATION_BATCH, verbose=0)[OUTPUT.name])


class _Course(keras.callbacks.Callback):
    """Sets the learning rate, watches the time, measures on the holdout and keeps the best weights."""

    def __init__(self, recipe: Recipe, holdout: Part, stop: StopRequest, progress: Callable[[Progress], None]) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []
        self.chosen_epoch = 0
        self.stopped_by: str | None = None
        self._recipe, self._holdout, self._stop, self._progress = recipe, holdout, stop, progress
        self._best: list[NDArray[np.float32]] = []
        self._steps_done = 0
        self._started = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Set the learning rate for this step."""
        self.model.optimizer.learning_rate = self._recipe.learning_rate(self._share(batch))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report progress, and stop training if requested."""
        self._tell(len(self.epochs) + 1, batch + 1, (logs or {})["loss"], self._share(batch + 1))
        self._steps_done = batch + 1
        self.model.stop_training = self._stop.reason is not None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure on the holdout."""
        logs = logs or {}
        answers = probabilities(self.model, self._holdout.images).argmax(axis=1)
        accuracy = float((answers == self._holdout.labels).mean())
        if accuracy >= max((seen.holdout_accuracy for seen in self.epochs), default=0.0):
            self._best, self.chosen_epoch = self.model.get_weights(), epoch + 1
        self.epochs.append(Epoch(logs["loss"], logs["accuracy"], accuracy, time.monotonic() - self._started))
        self._tell(epoch + 1, self._steps_done, logs["loss"], self._share(0), ended=True)
        self.model.stop_training = self._stop.reason is not None

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Restore the best weights if training was stopped early."""
        if len(self.epochs) == self.params["epochs"] and self._steps_done == self.params["steps"]:
            self.chosen_epoch = len(self.epochs)
            return
        self.stopped_by = self._stop.reason
        if self.chosen_epoch < len(self.epochs):
            self.model.set_weights(self._best)

    def _tell(self, epoch: int, step: int, loss: float, share: float, ended: bool = False) -> None:
        self._progress(
            Progress(
                epoch=epoch,
                epochs=self.params["epochs"],
                step=step,
                steps=self.params["steps"],
                loss=loss,
                holdout_accuracy=self.epochs[-1].holdout_accuracy if self.epochs else None,
                epoch_ended=ended,
                seconds_left=(time.monotonic() - self._started) * (1 - share) / share,
            )
        )

    def _share(self, steps: int) -> float:
        """Return the fraction of training that is done, or of the time limit used if that is larger."""
        done = (len(self.epochs) + steps / self.params["steps"]) / self.params["epochs"]
        return min(1.0, max(done, self._stop.elapsed_share()))


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
    return epochs.enumerate().map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
