"""The short form of what comes to the service from outside: attacks, odd inputs, threads, load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digits.registry.cache import CachedObject
from tests.reliability import attacks, fuzz, interleavings, load, metamorphic, soak, threads
from tests.reliability.logs import search
from tests.reliability.rows import Row, table
from tests.reliability.test_faults import assert_nothing_lost
from tests.reliability.world import World, world_of

FEW_BOMBS = ("PNG, zTXt", "TIFF, floats", "body gzip", "archive a.zip")


@pytest.fixture(scope="module")
def world(trained: Path) -> Iterator[World]:
    with world_of(trained) as made:
        yield made


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=lambda attack: attack.__name__)
def test_attack_is_refused(world: World, attack: Callable[[World, Row], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "BOMBS", {name: attacks.BOMBS[name] for name in FEW_BOMBS})
    world.reset()
    row = Row("attack", attack.__name__)
    attack(world, row)
    assert_nothing_lost([row])


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_odd_inputs_are_answered_or_refused(world: World, name: str) -> None:
    world.reset()
    assert_nothing_lost([fuzz.tried(name, 60, world.version)])


@pytest.mark.parametrize("name", fuzz.GUIDED)
def test_what_coverage_guides_begins_with_what_is_read(name: str) -> None:
    assert len(list(fuzz.seeds(name))) >= 3


def test_the_same_picture_in_other_words_is_answered_alike(world: World) -> None:
    assert_nothing_lost(metamorphic.run(world, few_digits=True))


def test_threads_get_what_one_alone_gets(world: World) -> None:
    assert_nothing_lost(threads.run(world, 300))


def test_no_order_of_threads_spoils_a_load_or_a_swap() -> None:
    assert_nothing_lost(interleavings.run(preemptions=1))


def test_the_scheduler_finds_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second look at what is due, two threads at a first load both read."""
    monkeypatch.setattr(CachedObject, "get", _get_without_a_second_look)
    monkeypatch.setattr(interleavings, "_FILES", {*interleavings._FILES, __file__})
    lost = [problem for _, problem in interleavings._searched(interleavings.first_load, 1) if problem]
    assert lost


def _get_without_a_second_look(cached: CachedObject[int]) -> int:
    if cached._is_due():
        with cached._lock:
            cached._refresh()
    assert cached.value is not None
    return cached.value


def test_load_is_answered_or_refused_cleanly(world: World) -> None:
    world.reset()
    with load.under_uvicorn(world) as port:
        for times in (1, 20):
            samples = load.offered(world.expected, port, 50.0 * times, 1.0)
            assert samples
            assert [sample.problem for sample in samples if sample.problem] == []


def test_operators_may_do_everything_under_load(world: World) -> None:
    assert_nothing_lost(soak.run(world, 4.0, 30.0, swaps=0))


def test_secrets_are_found_in_logs(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"the token is abc")
    assert search(tmp_path, {"found": b"abc", "not found": b"xyz"}) == (16, ["found"])


def test_the_table_tells_what_was_lost() -> None:
    row = Row("section", "attack", figures={"share": 0.12345, "list": []})
    row.add(None, 0.5)
    row.add("broken", 1.5)
    assert table([row]).splitlines()[-1] == "| section | attack | 2 | 1 | 1.500 s | share 0.123 |"
