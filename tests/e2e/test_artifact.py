"""What `sam build` made, as Lambda would run it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests import events
from tests.e2e.conftest import FUNCTION, LAYERS, Invoke

LIMIT_BYTES = 250_000_000


def files_of(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_function_and_layers_stay_under_lambdas_limit(build: Path) -> None:
    size = sum(path.stat().st_size for path in files_of(FUNCTION, *LAYERS))
    assert size < LIMIT_BYTES, f"{size:,} bytes unzipped"


def test_every_module_comes_with_bytecode_that_is_never_checked(build: Path) -> None:
    sources = [path for path in files_of(FUNCTION, *LAYERS) if path.suffix == ".py"]
    assert sources
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.exists(), source
        header = compiled.read_bytes()[:8]
        assert header[:4] == importlib.util.MAGIC_NUMBER, source
        assert header[4] == 0b01, f"{source}: not an unchecked hash"


def test_the_artifact_holds_no_training_and_no_tests(build: Path) -> None:
    names = {path.name for folder in (FUNCTION, *LAYERS) for path in folder.iterdir()}
    assert {"functions", "digits", "fastapi", "mangum", "numpy", "ai_edge_litert"} <= names
    assert not names & {"tensorflow", "keras", "training", "tests", "local", "moto", "boto3", "bin"}


def test_every_event_is_answered_by_the_real_runtime(lambda_runtime: Invoke) -> None:
    for name, (status, digits) in events.EXPECTED.items():
        response: dict[str, Any] = lambda_runtime(events.load(name))
        assert events.status_of(response) == status, (name, response)
        if digits:
            assert events.digits_of(response) == digits, name


@pytest.mark.parametrize("event", [{}, [], None, "text"])
def test_an_event_that_is_no_request_gets_no_stack_trace(lambda_runtime: Invoke, event: Any) -> None:
    answer = lambda_runtime(event)
    assert answer["status"] == 400
    assert "stackTrace" not in answer
