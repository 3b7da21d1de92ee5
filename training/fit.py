"""Training: a task in, a trained network out; for the classifier and for the reader alike."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.memory import keep_freed_memory
from training.recipes import Schedule


class StopRequest:
    """Stops training when its time is up, or when somebody asks for it.

    Attributes:
        reason: what stops training; None while it should go on.
    """

    def __init__(self, limit_seconds: float | None = None) -> None:
        """Set the longest time that training may take, counted from the first `begin`."""
        self.reason: str | None = None
        self._limit_seconds = limit_seconds
        self._phase = "before"
        self._started = time.monotonic()
        self._signalled = False
        self._abandoned = False
        self._from, self._until = 0.0, 1.0

    def begin(self, until: float = 1.0) -> None:
        """Mark the start of a training.

        Args:
            until: the share of the whole time at which it must end, so that another one can follow.
        """
        if self._phase == "before":
            self._started = time.monotonic()
        self._phase = "training"
        if not self._signalled:
            self.reason = None
        self._from, self._until = self._used(), until

    def end(self) -> None:
        """Mark the end of training."""
        self._phase = "after"
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has ended everything.

        The signal itself raises it too, but in a finalizer, where Python may be just then, an exception is lost.
        """
        if self._abandoned:
            raise KeyboardInterrupt

    @property
    def asked_for(self) -> bool:
        """Whether somebody asked for it."""
        return self._signalled

    def elapsed_share(self) -> float:
        """Return the fraction of this training's time used: 1 or more if it must stop, 0 without a limit."""
        self.check()
        if not self._limit_seconds:
            return 0.0
        elapsed = (self._used() - self._from) / max(1e-9, self._until - self._from)
        if elapsed >= 1 and self.reason is None:
            self.reason = f"the time limit of {self._limit_seconds:g} seconds"
        return elapsed

    def _used(self) -> float:
        return (time.monotonic() - self._started) / self._limit_seconds if self._limit_seconds else 0.0

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

        report_lost = sys.unraisablehook

        def keep_quiet(lost: sys.UnraisableHookArgs) -> None:
            if not (self._abandoned and lost.exc_type is KeyboardInterrupt):
                report_lost(lost)

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        sys.unraisablehook = keep_quiet
        try:
            yield
        finally:
            sys.unraisablehook = report_lost
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class Epoch:
    """What was measured at the end of an epoch; the last epoch may have been cut short.

    Attributes:
        loss: mean over the epoch's steps, on all that the network learns from.
        training_accuracy: of the epoch's digits as they were augmented; None where it was not measured.
        seconds: since training began, this epoch's evaluation on the holdout included.
    """

    loss: float
    training_accuracy: float | None
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
        network: the name of what is trained.
        epoch: from 1.
        step: within the epoch, from 1.
        loss: mean over the epoch's steps so far.
        holdout_accuracy: when it was last measured, at the end of an epoch; None before that.
        epoch_ended: whether it has just been measured.
        seconds_left: estimated from the steps so far.
    """

    network: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    holdout_accuracy: float | None
    epoch_ended: bool
    seconds_left: float


class Task(Protocol):
    """What a network is trained for: its schedule, what it learns from, and how it is judged."""

    @property
    def schedule(self) -> Schedule:
        """How long, how fast, in batches of which size."""

    @property
    def example_count(self) -> int:
        """How many examples an epoch has."""

    def network(self) -> keras.Model:
        """Return the untrained network."""

    def settings(self) -> dict[str, Any]:
        """Return what `compile` takes besides the optimizer: the loss, and a metric of the name `accuracy`."""

    def kept_settings(self) -> dict[str, Any]:
        """Return the same for the trained network, as far as Keras alone can load it."""

    def batches(self, seed: int) -> tf.data.Dataset:
        """Return endless batches as Keras takes them."""

    def holdout_accuracy(self, network: keras.Model) -> float:
        """Return what share of the holdout a network reads right."""


def fit(
    task: Task,
    seed: int,
    *,
    stop: StopRequest,
    progress: Callable[[Progress], None],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    until: float = 1.0,
) -> Fitted:
    """Train a network from scratch; a run that is stopped keeps the weights that did best on the holdout.

    On the same machine one seed gives the same weights, bit for bit, unless a time limit is reached or the
    number of threads changes.

    Args:
        progress: called after every step.
        callbacks: further callbacks for Keras.
        until: the share of the time limit at which it must end.
    """
    keep_freed_memory()
    keras.utils.set_random_seed(seed)
    stop.begin(until)
    network, schedule = task.network(), task.schedule
    # XLA was no faster on any CPU tried.
    network.compile(schedule.optimizer(), jit_compile=False, **task.settings())
    course = _Course(task, stop, progress)
    network.fit(
        _untuned(task.batches(seed)),
        epochs=schedule.epochs_for(task.example_count),
        steps_per_epoch=schedule.steps_for(task.example_count),
        shuffle=False,  # the batches are shuffled already
        callbacks=[course, *callbacks],
        verbose=0,
    )
    stop.end()
    network.compile("sgd", **task.kept_settings())  # without a state: nobody goes on, and Keras alone can load it
    return Fitted(network, course.epochs, course.chosen_epoch, course.stopped_by)


def _untuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return batches that TensorFlow does not tune: it would wait many seconds for its tuner when nobody reads on."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


class _Course(keras.callbacks.Callback):
    """Sets the learning rate, watches the time, measures on the holdout and keeps the best weights."""

    def __init__(self, task: Task, stop: StopRequest, progress: Callable[[Progress], None]) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []
        self.chosen_epoch = 0
        self.stopped_by: str | None = None
        self._task, self._stop, self._progress = task, stop, progress
        self._best: list[NDArray[np.float32]] = []
        self._steps_done = 0
        self._started = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Set the learning rate for this step."""
        self.model.optimizer.learning_rate = self._task.schedule.learning_rate(self._share(batch))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report progress, and stop training if requested."""
        self._tell(len(self.epochs) + 1, batch + 1, (logs or {})["loss"], self._share(batch + 1))
        self._steps_done = batch + 1
        self.model.stop_training = self._stop.reason is not None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure on the holdout."""
        logs = logs or {}
        accuracy = self._task.holdout_accuracy(self.model)
        if accuracy >= max((seen.holdout_accuracy for seen in self.epochs), default=0.0):
            self._best, self.chosen_epoch = self.model.get_weights(), epoch + 1
        self.epochs.append(Epoch(logs["loss"], logs.get("accuracy"), accuracy, time.monotonic() - self._started))
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
                network=self.model.name,
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
