"""The training command with the least to train and to draw, so that it can be killed many times."""

from __future__ import annotations

import sys
from dataclasses import replace

from tests import few_digits
from training import recipes
from training.__main__ import main

if __name__ == "__main__":
    few_digits.draw_few()
    few = replace(recipes.RECIPES["quick"], reader=None)
    recipes.RECIPES["quick"] = few
    sys.exit(main(["train", "--data", "embedded", "--recipe", "quick", *sys.argv[1:]]))
