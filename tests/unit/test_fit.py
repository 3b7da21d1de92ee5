"""Training: one seed, one network."""

from __future__ import annotations

from dataclasses import replace

from training.dataset import load_subset


def test_one_seed_gives_the_same_weights_bit_for_bit() -> None:
    from training.fit import StopRequest, fit
    from training.recipes import find_recipe

    recipe = replace(find_recipe("default"), epochs=2, minimum_steps=0)
    training, holdout = load_subset().training.sample(640), load_subset().holdout.sample(100)

    def weights(seed: int) -> bytes:
        fitted = fit(recipe, training, holdout, seed, stop=StopRequest(), progress=lambda _: None)
        return b"".join(each.tobytes() for each in fitted.network.get_weights())

    first = weights(1)
    assert weights(1) == first
    assert weights(2) != first
