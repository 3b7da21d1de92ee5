"""How every command fails."""

from __future__ import annotations

import pytest


def assert_fails(output: pytest.CaptureFixture[str], status: int, message: str) -> None:
    """One line on standard error, exit status 2."""
    error = output.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert message in error
