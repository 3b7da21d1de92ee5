"""The training as it is, but with few digits in the robustness table, and few outliers: all of them take minutes.

`python -m tests.few_digits …` is `python -m training …`, and `tests.few_digits.handler` the retrain function's handler.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from training import numbers, recipes, refusals, robustness
from training.__main__ import main

DIGITS_PER_ROW = 60
PICTURES_PER_KIND = 30
LINES, LINE_EPOCHS = 10_000, 2


def draw_few() -> None:
    """Have this process draw no more than that."""
    robustness.DIGITS_PER_ROW = DIGITS_PER_ROW
    refusals.PICTURES_PER_KIND = numbers.PICTURES_PER_KIND = PICTURES_PER_KIND
    for name, recipe in recipes.RECIPES.items():
        if recipe.reader:
            reader = replace(recipe.reader, lines=LINES, epochs=LINE_EPOCHS)
            recipes.RECIPES[name] = replace(recipe, reader=reader)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Retrain as the function does."""
    from functions.retrain import handler as retrain

    draw_few()
    return retrain.handler(event, context)


if __name__ == "__main__":
    draw_few()
    sys.exit(main())
