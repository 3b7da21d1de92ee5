"""Muon for convolutions: a step turns every direction of a kernel by as much."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from training.optimizers import KERNEL, muon


def step(shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return the first step of a variable of zeros that has this name, divided by the learning rate."""
    variable = keras.Variable(np.zeros(shape, np.float32), name=name)
    optimizer = muon(answers="answers", adam_share=0.5)
    optimizer.learning_rate = 0.01
    gradient = np.random.default_rng(0).normal(size=shape) * np.linspace(0.01, 1, shape[-1])
    optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
    moved: np.ndarray = np.asarray(variable.value) / 0.01
    return moved


def test_a_kernel_moves_by_as_much_in_every_direction_and_about_as_far_as_in_adamw() -> None:
    shape = (3, 3, 5, 8)
    assert len(shape) == KERNEL
    moved = step(shape, "kernel").reshape(-1, shape[-1])
    values = np.linalg.svd(moved, compute_uv=False)
    assert values.max() < 2 * values.min()
    assert 0.1 < np.sqrt((moved**2).mean()) < 0.4


@pytest.mark.parametrize(("shape", "name"), [((8,), "bias"), ((1, 1, 5, 8), "answers")])
def test_all_else_steps_as_in_adamw(shape: tuple[int, ...], name: str) -> None:
    np.testing.assert_allclose(np.abs(step(shape, name)), 0.5, rtol=0.01)
