"""Training: one seed, one network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.dataset import Part, load_subset


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, where it loads a model
def test_one_seed_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    import keras

    from training.additions import additions
    from training.classifier import DigitTask
    from training.fit import StopRequest, fit
    from training.recipes import find_recipe

    recipe = replace(find_recipe("default"), epochs=2, minimum_steps=0, reader=None)
    training, holdout = load_subset().training.sample(640), load_subset().holdout.sample(100)
    added = additions(recipe, training, tmp_path)
    assert (len(added.outliers), len(added.unusual) > 60) == (320, True)

    def weights(seed: int) -> bytes:
        task = DigitTask(recipe, training, holdout, added)
        fitted = fit(task, seed, stop=StopRequest(), progress=lambda _: None)
        fitted.network.save(tmp_path / f"{seed}.keras")
        return b"".join(each.tobytes() for each in fitted.network.get_weights())

    first = weights(1)
    assert weights(1) == first
    assert weights(2) != first
    loaded = keras.saving.load_model(tmp_path / "1.keras")  # without a class of ours
    assert b"".join(each.tobytes() for each in loaded.get_weights()) == first


def recipe_of(**changes: Any) -> Any:
    from training.recipes import find_recipe

    return replace(find_recipe("default"), augmentation=None, batch_size=8, outliers_in_batch=3, **changes)


def added_to(outliers: int) -> Any:
    from training.additions import NOTHING

    marked = np.full((outliers, 28, 28), 77, np.uint8)
    return replace(
        NOTHING, outliers=marked, unusual=Part(np.full((2, 28, 28), 55, np.uint8), np.array([4, 4], np.uint8))
    )


def test_a_batch_has_the_recipes_digits_and_outliers_and_unusual_digits_now_and_then() -> None:
    from training.classifier import _batches

    training = load_subset().training.sample(30)
    batches = [batch for batch, _ in zip(_batches(recipe_of(), training, added_to(5), 1), range(4), strict=False)]
    images = np.stack([each.numpy() for each, _, _ in batches])
    targets = np.stack([each.numpy() for _, each, _ in batches])
    assert images.shape == (4, 11, 28, 28)
    assert images.dtype == np.uint8
    assert (images[:, 8:] == 77).all()
    assert not (images[:, :8] == 77).all(axis=(2, 3)).any()
    assert (images[:, :8] == 55).all(axis=(2, 3)).sum() == 2  # of the 32 digits in four batches
    np.testing.assert_array_equal(targets[:, :8].max(axis=2), 1)
    np.testing.assert_allclose(targets[:, 8:], 0.1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_the_digits_and_a_share_of_the_outliers(smoothing: float) -> None:
    import keras
    import tensorflow as tf

    from training.classifier import _batches

    training = load_subset().training.sample(30)
    _, targets, weights = next(iter(_batches(recipe_of(outlier_weight=0.3), training, added_to(5), 1)))
    answers = tf.nn.softmax(tf.random.stateless_normal([11, 10], [1, 2], stddev=3))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)(targets, answers, sample_weight=weights)
    smooth = targets.numpy()[:8] * (1 - smoothing) + smoothing / 10
    logarithms = np.log(answers.numpy())
    digits = -(smooth * logarithms[:8]).sum(axis=1).mean()
    outliers = -logarithms[8:].mean()
    assert float(loss) == pytest.approx(digits + 0.3 * outliers, rel=1e-5)


def test_the_training_accuracy_counts_digits_only() -> None:
    import tensorflow as tf

    from training.classifier import _DigitAccuracy

    accuracy = _DigitAccuracy()
    targets = tf.concat([tf.one_hot([3, 5, 7], 10), tf.fill([4, 10], 0.1)], axis=0)
    accuracy.update_state(targets, tf.one_hot([3, 5, 1, 0, 0, 0, 0], 10))
    assert float(accuracy.result()) == pytest.approx(2 / 3)


def test_a_recipe_without_additions_trains_on_digits_alone(tmp_path: Path) -> None:
    from training.additions import NOTHING, additions
    from training.classifier import _batches
    from training.recipes import find_recipe

    training = load_subset().training.sample(200)
    reference = find_recipe("reference")
    assert additions(reference, training, tmp_path) is NOTHING
    images, targets, weights = next(iter(_batches(reference, training, NOTHING, 1)))
    assert (len(images), len(targets)) == (128, 128)
    np.testing.assert_array_equal(weights, 1)


def test_lines_hold_no_number_that_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training import additions
    from training.line_drawing import Source
    from training.outliers import NUMBERS, outlier_digits
    from training.recipes import find_recipe

    given: list[Source] = []
    monkeypatch.setattr(additions, "training_lines", lambda source, *_: given.append(source))
    training = load_subset().training.sample(200)
    additions.additions(find_recipe("quick"), training, tmp_path)
    outliers = outlier_digits(training, 100, 1, tmp_path)
    held = np.isin(outliers.family, NUMBERS)
    assert held.any()
    np.testing.assert_array_equal(given[0].outliers, outliers.images[~held])


class TinyTask:
    """A network of one weight, which gets so good on the holdout by and by."""

    def __init__(self, *accuracies: float) -> None:
        from training.recipes import find_recipe

        self.accuracies = accuracies
        self.schedule = replace(find_recipe("quick"), epochs=len(accuracies), minimum_steps=0, batch_size=2)
        self.example_count = 6
        self.weights: list[float] = []  # at the end of each epoch

    def network(self) -> Any:
        import keras

        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])

    def settings(self) -> dict[str, Any]:
        return {"loss": "mse"}

    kept_settings = settings

    def batches(self, seed: int) -> Any:
        import tensorflow as tf

        return tf.data.Dataset.from_tensors((tf.ones((2, 1)), seed * tf.ones((2, 1)))).repeat()

    def holdout_accuracy(self, network: Any) -> float:
        self.weights.append(float(network.get_weights()[0][0, 0]))
        return self.accuracies[len(self.weights) - 1]


@pytest.mark.parametrize(
    ("stopped_at", "chosen", "stopped_by"),
    [(4, 2, "SIGTERM"), (3, 2, "SIGTERM"), (2, 2, "SIGTERM"), (5, 5, None)],
)
def test_whatever_is_trained_keeps_its_best_weights_where_it_is_stopped_and_else_its_last(
    stopped_at: int, chosen: int, stopped_by: str | None
) -> None:
    from training.fit import Progress, StopRequest, fit

    task, stop = TinyTask(0.5, 0.9, 0.7, 0.8, 0.6), StopRequest()

    def watch(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (stopped_at, 2) and stopped_by:
            stop.reason = stopped_by

    fitted = fit(task, 1, stop=stop, progress=watch)
    assert (len(fitted.epochs), fitted.chosen_epoch, fitted.stopped_by) == (stopped_at, chosen, stopped_by)
    assert float(fitted.network.get_weights()[0][0, 0]) == task.weights[chosen - 1]
    assert len(set(task.weights)) == stopped_at


def test_tensorflow_does_not_tune_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    from training.fit import StopRequest, fit

    tuned: list[bool] = []

    def watched(network: Any, batches: Any, **settings: Any) -> Any:
        tuned.append(batches.options().autotune.enabled)
        return train(network, batches, **settings)

    train = keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", watched)
    fit(TinyTask(0.5), 1, stop=StopRequest(), progress=lambda _: None)
    assert tuned == [False]
