"""The training as it is, but with a robustness table of few digits: distorting 500 of them in all rows takes minutes.

`python -m tests.few_digits …` is `python -m training …`, and `tests.few_digits.handler` the retrain function's handler.
"""

from __future__ import annotations

import sys
from typing import Any

from training import robustness
from training.__main__ import main

DIGITS_PER_ROW = 60


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Retrain as the function does."""
    from functions.retrain import handler as retrain

    robustness.DIGITS_PER_ROW = DIGITS_PER_ROW
    return retrain.handler(event, context)


if __name__ == "__main__":
    robustness.DIGITS_PER_ROW = DIGITS_PER_ROW
    sys.exit(main())
