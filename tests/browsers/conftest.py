"""The browsers, in each of which every test runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.browsers import firefox, webkit
from tests.browsers.browser import Browser

BROWSERS = {"firefox": firefox, "webkit": webkit}


@pytest.fixture(scope="session", params=BROWSERS)
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A running browser."""
    chosen = BROWSERS[request.param]
    if not all(map(shutil.which, chosen.PROGRAMS)):
        pytest.skip(f"needs {request.param}: apt-get install {chosen.PACKAGES}")
    with chosen.running() as running:
        yield running
