"""The lease: of two retrainings at the same time, one leaves, and a killed one keeps nobody out for long."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digits.errors import StoreError
from digits.registry.bucket import Bucket
from digits.registry.layout import LEASE_KEY
from training import lease
from training.lease import Lease, LeaseTakenError, held, new_holder

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_of_two_runs_at_once_the_second_leaves(bucket: Bucket) -> None:
    with held(bucket, "first", MINUTE):
        with pytest.raises(LeaseTakenError, match="first is retraining until"), held(bucket, "second", MINUTE):
            raise AssertionError("two hold it")
        with held(bucket, "first", MINUTE):
            pass  # Lambda tries again under the same name
    with held(bucket, "second", MINUTE):
        pass


def test_of_many_that_begin_together_one_gets_it(bucket: Bucket) -> None:
    for round_ in range(20):
        barrier = threading.Barrier(4)

        def run(name: int, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                with held(bucket, str(name), MINUTE):
                    barrier.wait()
            except LeaseTakenError:
                barrier.wait()
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(run, range(4))) == 1, round_


@pytest.mark.parametrize(
    "left",
    [
        Lease(holder="killed", expires_at=datetime.now(UTC) - MINUTE).model_dump_json(),
        Lease(holder="of a wrong clock", expires_at=datetime.now(UTC) + HOUR).model_dump_json(),
        "{",
    ],
    ids=["ran out", "of a wrong clock", "unreadable"],
)
def test_a_lease_that_ran_out_or_makes_no_sense_keeps_nobody_out(bucket: Bucket, left: str) -> None:
    bucket.create(LEASE_KEY, left.encode())
    with held(bucket, "next", MINUTE):
        assert b"next" in bucket.get(LEASE_KEY).data


@pytest.mark.parametrize("left", [None, Lease(holder="done", expires_at=datetime.now(UTC) - MINUTE)])
def test_a_lease_whose_answer_got_lost_on_the_way_is_held(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, left: Lease | None
) -> None:
    if left:
        bucket.create(LEASE_KEY, left.model_dump_json().encode())

    def asked_twice(write: Callable[..., str]) -> Callable[..., str]:
        def ask(*arguments: Any) -> str:
            write(*arguments)
            return write(*arguments)

        return ask

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "create", asked_twice(bucket.create))
        patch.setattr(bucket, "replace", asked_twice(bucket.replace))
        holding = held(bucket, "first", MINUTE)
        holding.__enter__()
    with pytest.raises(LeaseTakenError), held(bucket, "second", MINUTE):
        raise AssertionError("two hold it")
    holding.__exit__(None, None, None)
    with held(bucket, "second", MINUTE):
        pass


def test_a_lease_that_somebody_took_over_is_not_given_back(bucket: Bucket) -> None:
    with held(bucket, "slow", timedelta(0)), held(bucket, "next", MINUTE):
        pass
    assert Lease.model_validate_json(bucket.get(LEASE_KEY).data).holder == "next"


# A run that takes as long as it takes


@pytest.fixture
def short_term(monkeypatch: pytest.MonkeyPatch) -> float:
    """Terms of half a second; gives the seconds after which a lease has run out unless it was renewed."""
    monkeypatch.setattr(lease, "TERM", timedelta(seconds=0.5))
    return 0.6


def test_a_run_without_an_end_keeps_the_lease_by_renewing_it(bucket: Bucket, short_term: float) -> None:
    with held(bucket, "slow"):
        for _ in range(3):
            time.sleep(short_term)
            with pytest.raises(LeaseTakenError, match="slow is retraining"), held(bucket, "second", MINUTE):
                raise AssertionError("two hold it")
    with held(bucket, "second", MINUTE):
        time.sleep(short_term)  # nobody renews what was given back
        assert b"second" in bucket.get(LEASE_KEY).data


def test_a_run_that_must_end_is_not_renewed(bucket: Bucket, short_term: float) -> None:
    with held(bucket, "first", HOUR):
        time.sleep(short_term)
        with held(bucket, "second", MINUTE):
            pass


def test_a_store_that_is_away_for_a_while_does_not_end_the_lease(
    bucket: Bucket, short_term: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace, tries = bucket.replace, [0]

    def sometimes(*arguments: Any) -> str:
        tries[0] += 1
        if tries[0] == 1:
            raise StoreError("it is away")
        if tries[0] == 2:  # written, and the answer lost
            replace(*arguments)
            raise StoreError("it is away")
        return replace(*arguments)

    monkeypatch.setattr(bucket, "replace", sometimes)
    with held(bucket, "slow"):
        time.sleep(2 * short_term)
        with pytest.raises(LeaseTakenError), held(Bucket.from_environment(os.environ), "second", MINUTE):
            raise AssertionError("two hold it")
    assert tries[0] > 3
    assert [record.message for record in caplog.records] == ["the lease is not renewed yet: it is away"] * 2
    with held(bucket, "second", MINUTE):
        pass


def test_what_somebody_took_over_is_not_renewed(
    bucket: Bucket, short_term: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with held(bucket, "slow"):
        taken = Lease(holder="next", expires_at=datetime.now(UTC) + MINUTE).model_dump_json().encode()
        bucket.delete(LEASE_KEY)
        bucket.create(LEASE_KEY, taken)
        time.sleep(short_term)
        assert "somebody else took it" in caplog.text
    assert bucket.get(LEASE_KEY).data == taken


def test_no_two_runs_have_the_same_name() -> None:
    assert new_holder() != new_holder()


def test_a_term_is_no_longer_than_a_lease_may_last() -> None:
    assert lease.TERM < lease.LONGEST
