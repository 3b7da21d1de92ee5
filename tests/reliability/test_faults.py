"""The short form of what fails around the service: each fault once, nothing lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.reliability import batch_faults, freezing, kills, store_faults
from tests.reliability.rows import Row
from tests.reliability.world import World, world_of


@pytest.fixture(scope="module")
def world(trained: Path) -> Iterator[World]:
    with world_of(trained) as made:
        yield made


def assert_nothing_lost(rows: Iterable[Row]) -> None:
    for row in rows:
        assert row.count > 0, row
        assert row.lost == 0, (row.attack, row.examples)


@pytest.mark.parametrize("fault", ["refused", "reset in the middle of a body", "tokens flipped", "model gone"])
def test_a_store_that_fails_costs_a_warm_container_nothing_and_a_cold_one_a_503(world: World, fault: str) -> None:
    assert_nothing_lost(store_faults.run(world, (fault,), tries=1, refresh_seconds=0.2))


def test_a_batch_goes_on_after_its_store_has_failed(world: World) -> None:
    assert_nothing_lost(batch_faults.run(world, ("reset in the middle of a body",), ("in the middle",)))


def test_a_frozen_container_lets_no_revoked_token_in_and_fails_no_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezing, "REALLY_SECONDS", 0.2)
    assert_nothing_lost(freezing.run(world, (70.0,), connections=("die without a word",), really=0.2))


def test_who_is_killed_leaves_nothing_broken(world: World, trained: Path) -> None:
    assert_nothing_lost(kills.run(world, trained, kills=1))
