"""The built artifact, and Lambda's own runtime around it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.emulator import (
    HANDLER,
    Container,
    artifact_environment,
    emulated,
    is_supported,
    link_runtime_client,
)
from local.build import BUILD, FUNCTION, LAYERS, bare_python
from local.store import EmbeddedStore


@pytest.fixture(scope="session")
def build() -> Path:
    """The folder that `sam build` wrote."""
    if not (BUILD / "template.yaml").exists():
        pytest.skip("needs the built artifact: run 'make build'")
    return BUILD


@pytest.fixture
def build_copy(build: Path, tmp_path: Path) -> Path:
    """A copy of the function and its layers to spoil."""
    for name in (FUNCTION, *LAYERS):
        shutil.copytree(build / name, tmp_path / "build" / name)
    return tmp_path / "build"


@pytest.fixture(scope="session")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Lambda's runtime interface client."""
    if not is_supported():
        pytest.skip("needs Linux on x86_64: the emulator runs nowhere else")
    return link_runtime_client(tmp_path_factory.mktemp("runtime-client"))


@pytest.fixture
def lambda_runtime(build: Path, runtime_client: Path, published: object, store: EmbeddedStore) -> Iterator[Container]:
    """The built function in a cold container.

    The interpreter is the bare one, so that the function finds only what the artifact holds.
    """
    environment = artifact_environment(runtime_client, store.environment())
    with emulated(bare_python(), HANDLER, environment) as container:
        yield container
