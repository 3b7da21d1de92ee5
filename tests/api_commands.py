"""The commands that docs/api.md shows, and what each of them is to answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCUMENT = (Path(__file__).parents[1] / "docs/api.md").read_text()


def commands() -> list[str]:
    """Return the indented commands of the page that run curl, continuation lines joined."""
    blocks = re.findall(r"(?:^    .+\n)+", DOCUMENT, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks if "curl" in block]


def check_answer(command: str, answer: dict[str, Any]) -> None:
    """Make sure that a command of the page got the answer that it is shown for."""
    if "/v1/predict" in command:
        answers = answer.get("predictions", [answer])
        assert [each["pred"] for each in answers] == ([7, 1] if "1.png" in command else [7])
    elif "fields" in command:
        assert {name: field["text"] for name, field in answer["fields"].items()} == {"year": "2026", "zip": "79098"}
    elif "/v1/read" in command:
        assert (answer["text"], answer["warnings"]) == ("2026", [])
    elif "infer" in command:
        (output,) = answer["outputs"]
        assert max(range(10), key=output["data"].__getitem__) == 7
    else:
        assert not answer.keys() & {"status", "detail"} or answer["status"] == "ok"
