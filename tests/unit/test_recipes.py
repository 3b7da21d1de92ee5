"""Recipes: budgets, contract and schedule."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from training.promotion import LARGEST_READER_BYTES
from training.recipes import RECIPES, find_recipe

README = Path(__file__).parents[2] / "README.md"
BUDGETS = {"quick": 100_000, "default": 100_000, "best": 400_000, "reference": 1_200_000}
READER_BUDGET = 260_000  # parameters, of four bytes each
READERS = {recipe.reader.name: recipe.reader for recipe in RECIPES.values() if recipe.reader}


@pytest.mark.parametrize("name", RECIPES)
def test_networks_keep_the_contract_and_their_budget(name: str) -> None:
    network = find_recipe(name).network()
    assert network.count_params() < BUDGETS[name]
    (pixels,) = network.inputs
    assert (pixels.name, pixels.dtype, pixels.shape) == ("pixels", "uint8", (None, 28, 28))
    assert {output: tensor.shape for output, tensor in network.output.items()} == {"probabilities": (None, 10)}


@pytest.mark.parametrize("name", READERS)
def test_readers_keep_the_contract_and_their_budget(name: str) -> None:
    network = READERS[name].network()
    assert network.count_params() < READER_BUDGET
    assert 4 * READER_BUDGET < LARGEST_READER_BYTES
    (lines,) = network.inputs
    assert (lines.name, lines.dtype, lines.shape) == ("lines", "uint8", (None, 32, None))
    assert {output: tensor.shape for output, tensor in network.output.items()} == {"logits": (None, None, 11)}


def test_the_reference_is_the_published_network() -> None:
    assert find_recipe("reference").network().count_params() == 1_199_882


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_manifest_records_says_how_it_was_trained(name: str) -> None:
    recorded = find_recipe(name).hyperparameters(55_000)
    assert {"epochs", "batch_size", "optimizer", "peak_learning_rate", "label_smoothing", "augmentation"} <= set(
        recorded
    )
    assert "body" not in recorded


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    recipe = find_recipe("default")
    rates = [recipe.learning_rate(step / 1000) for step in range(1001)]
    assert rates[0] == 0
    assert max(rates) == rates[100] == recipe.peak_learning_rate
    assert math.isclose(rates[1000], 0, abs_tol=1e-9)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_the_rate_of_the_reference_stays() -> None:
    recipe = find_recipe("reference")
    assert {recipe.learning_rate(share / 10) for share in range(11)} == {1.0}


def test_a_small_data_set_is_gone_through_more_often() -> None:
    recipe = find_recipe("default")
    assert recipe.epochs_for(55_000) == recipe.epochs
    assert recipe.epochs_for(4_000) * 31 >= recipe.minimum_steps


@pytest.mark.parametrize("name", RECIPES)
def test_the_readme_says_of_a_recipe_what_the_command_prints(name: str) -> None:
    assert f"| `{name}` | {find_recipe(name).summary} |" in README.read_text()
