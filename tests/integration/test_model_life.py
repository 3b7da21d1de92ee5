"""What happens to a model: promoted in a race, taken back, verified, pruned, and killed while it is written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from digits.errors import (
    ConflictError,
    CorruptModelError,
    NoModelError,
    OperationError,
    StoreError,
    UnknownVersionError,
)
from digits.model.manifest import Manifest
from digits.registry import decisions, retention, tokens
from digits.registry.bucket import Bucket
from digits.registry.decisions import Decision
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, manifest_key, object_key
from digits.registry.retention import prune
from digits.registry.versions import Registry
from tests.integration.test_versions import another

type Version = tuple[Manifest, dict[str, bytes]]

ROUNDS = 100
PROMOTE = Decision(outcome="promote", decided_at=datetime(2030, 1, 1, tzinfo=UTC), live=None)


@pytest.fixture
def slim(version: Version) -> Version:
    """The trained version with its model alone, which is quickly written."""
    manifest, files = version
    name = "model.tflite"
    return manifest.model_copy(update={"files": {name: manifest.files[name]}}), {name: files[name]}


# Two at a time


def test_of_two_promotions_exactly_one_wins_and_the_other_is_told_which_version_is_live(
    bucket: Bucket, slim: Version
) -> None:
    names = []
    for year in (2030, 2031):
        manifest, files = another(slim, year)
        Registry(bucket).publish(manifest, files)
        names.append(manifest.version)
    Registry(bucket).publish(*slim)
    for round_ in range(ROUNDS):
        Registry(bucket).promote(slim[0].version)
        barrier = threading.Barrier(2)

        def promote(name: str, barrier: threading.Barrier = barrier) -> str:
            registry = Registry(bucket)
            live = registry.live_state()
            barrier.wait()
            try:
                return f"won {registry.promote(name, live).version}"
            except ConflictError as error:
                return f"lost {error}"

        with ThreadPoolExecutor(2) as threads:
            outcomes = sorted(threads.map(promote, names))
        winner = Registry(bucket).live_state().version
        assert winner in names
        assert outcomes[1] == f"won {winner}", (round_, outcomes)
        assert outcomes[0].startswith("lost")
        assert outcomes[0].endswith(f"{winner} is live")


# Taken back


def test_rollback_goes_to_the_version_before_and_records_it(bucket: Bucket, version: Version) -> None:
    registry, newer = Registry(bucket), another(version)
    for each in (version, newer):
        registry.publish(*each)
        registry.promote(each[0].version)
    assert registry.rollback(dry_run=True) == version[0].version
    assert registry.live_state().version == newer[0].version
    assert registry.rollback(reason="reads sevens as ones") == version[0].version == registry.live_state().version
    (taken_back,) = decisions.recorded(bucket, newer[0].version)
    assert (taken_back.outcome, taken_back.live) == ("take back", version[0].version)
    assert taken_back.reason == "reads sevens as ones"


def test_rollback_can_name_a_version(bucket: Bucket, version: Version) -> None:
    registry = Registry(bucket)
    chain = [version, another(version, 2030), another(version, 2031)]
    for each in chain:
        registry.publish(*each)
        registry.promote(each[0].version)
        decisions.record(bucket, each[0].version, PROMOTE)
    assert registry.rollback(version[0].version) == version[0].version == registry.live_state().version
    with pytest.raises(UnknownVersionError, match="no model '20200101T000000Z-00000000'"):
        registry.rollback("20200101T000000Z-00000000")


def test_rolling_back_twice_does_not_bring_back_what_was_taken_back(bucket: Bucket, version: Version) -> None:
    registry, newer = Registry(bucket), another(version)
    for each in (version, newer):
        registry.publish(*each)
        registry.promote(each[0].version)
        decisions.record(bucket, each[0].version, PROMOTE)
    registry.rollback()
    with pytest.raises(OperationError, match=f"{newer[0].version} was taken back itself"):
        registry.rollback()
    assert registry.rollback(newer[0].version) == newer[0].version  # who names it means it


@pytest.mark.parametrize("decided", [[], ["refuse"]])
def test_rollback_is_no_way_round_the_test(bucket: Bucket, version: Version, decided: list[Any]) -> None:
    registry, newer = Registry(bucket), another(version)
    for each in (version, newer):
        registry.publish(*each)
    registry.promote(version[0].version)
    for outcome in decided:
        decisions.record(bucket, newer[0].version, PROMOTE.model_copy(update={"outcome": outcome}))
    with pytest.raises(OperationError, match="was never live"):
        registry.rollback(newer[0].version)
    assert registry.live_state().version == version[0].version


def test_rollback_gets_over_a_pointer_that_cannot_be_read(bucket: Bucket, version: Version) -> None:
    registry = Registry(bucket)
    registry.publish(*version)
    registry.promote(version[0].version)
    decisions.record(bucket, version[0].version, PROMOTE)
    bucket.replace(POINTER_KEY, b"{", bucket.get(POINTER_KEY).etag)
    with pytest.raises(OperationError, match="nothing is live"):
        registry.rollback()
    assert registry.rollback(version[0].version) == version[0].version == registry.live_state().version


# Answers that get lost, and races with a prune


class Client:
    """A client of the store that does something of its own where it puts an object."""

    def __init__(self, client: Any, put_object: Any) -> None:
        self._client, self._put_object = client, put_object

    def __getattr__(self, name: str) -> Any:
        return self._put if name == "put_object" else getattr(self._client, name)

    def _put(self, **arguments: Any) -> Any:
        return self._put_object(self._client, **arguments)


def put_twice(client: Any, **arguments: Any) -> Any:
    """The answer got lost, and the client asked again."""
    client.put_object(**arguments)
    return client.put_object(**arguments)


def put_without_answer(client: Any, **arguments: Any) -> Any:
    """The answer got lost, and the client gave up."""
    client.put_object(**arguments)
    raise ReadTimeoutError(endpoint_url="the store")


@pytest.mark.parametrize("put", [put_twice, put_without_answer])
def test_a_write_whose_answer_got_lost_is_no_lost_race(bucket: Bucket, slim: Version, put: Any) -> None:
    lossy = Bucket(bucket.name, Client(bucket._client, put))  # type: ignore[arg-type]
    token = tokens.issue(lossy, "web")
    assert tokens.TokenSet.from_json(bucket.get(TOKENS_KEY).data).name_of(token) == "web"
    tokens.revoke(lossy, "web")
    assert not tokens.names(bucket)
    Registry(lossy).publish(*slim)
    assert Registry(lossy).promote(slim[0].version) == Registry(bucket).live_state().pointer
    for _ in range(2):
        decisions.record(lossy, slim[0].version, PROMOTE.model_copy(update={"decided_at": datetime.now(UTC)}))
    assert len(decisions.recorded(bucket, slim[0].version)) == 2


def test_a_write_that_nobody_can_tell_of_is_told_as_such(bucket: Bucket) -> None:
    class Away(Client):
        def __getattr__(self, name: str) -> Any:
            if name == "head_object":
                raise ReadTimeoutError(endpoint_url="the store")
            return super().__getattr__(name)

    lossy = Bucket(bucket.name, Away(bucket._client, put_without_answer))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="may have been written, or not"):
        lossy.create("key", b"data")


@pytest.mark.parametrize("put", [put_twice, put_without_answer])
def test_an_answer_that_got_lost_makes_no_winner_of_a_loser(bucket: Bucket, put: Any) -> None:
    etag = bucket.create("key", b"the same")
    lossy = Bucket(bucket.name, Client(bucket._client, put))  # type: ignore[arg-type]
    with pytest.raises(ConflictError):
        lossy.create("key", b"the same")
    with pytest.raises(ConflictError):
        lossy.replace("key", b"the same", '"of another state"')
    with pytest.raises(ConflictError):
        lossy.replace("no such key", b"the same", etag)
    assert bucket.get("key").etag == etag


@pytest.mark.parametrize("undecided", [3, 4])
def test_a_write_that_the_store_cannot_decide_on_yet_is_tried_again(
    bucket: Bucket, slim: Version, undecided: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.registry.bucket.time.sleep", lambda _: None)
    answers = iter([409] * undecided)

    def put_later(client: Any, **arguments: Any) -> Any:
        if next(answers, None):
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
        return client.put_object(**arguments)

    busy = Bucket(bucket.name, Client(bucket._client, put_later))  # type: ignore[arg-type]
    if undecided == 3:
        assert busy.create("key", b"data") == bucket.get("key").etag
    else:
        with pytest.raises(ConflictError, match=r"is being changed by somebody else"):
            Registry(busy).publish(*slim)


@pytest.mark.parametrize("before", [True, False])
def test_a_version_that_is_pruned_while_it_is_promoted_does_not_go_live(
    bucket: Bucket, slim: Version, before: bool
) -> None:
    older = another(slim, 2020)
    for each in (older, slim):
        Registry(bucket).publish(*each)
    if before:
        Registry(bucket).promote(older[0].version)

    def pruned_first(client: Any, **arguments: Any) -> Any:
        bucket.delete(manifest_key(slim[0].version))
        return client.put_object(**arguments)

    racing = Bucket(bucket.name, Client(bucket._client, pruned_first))  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="was deleted while it was promoted"):
        Registry(racing).promote(slim[0].version)
    assert Registry(bucket).live_state().version == (older[0].version if before else None)
    with pytest.raises(UnknownVersionError):
        retention.pin(racing, slim[0].version)


def test_there_must_be_something_to_go_back_to(bucket: Bucket, version: Version) -> None:
    registry = Registry(bucket)
    with pytest.raises(OperationError, match="nothing is live"):
        registry.rollback()
    registry.publish(*version)
    registry.promote(version[0].version)
    with pytest.raises(OperationError, match="nothing to go back to"):
        registry.rollback()


# Verified


def test_verify_names_the_file_that_is_damaged_or_gone(published: Bucket, version: Version) -> None:
    registry, name = Registry(published), version[0].version
    assert registry.verify(name) == version[0]
    key = object_key(name, "report/metrics.json")
    published.replace(key, b"{}", published.get(key).etag)
    with pytest.raises(CorruptModelError, match=r"report/metrics\.json of .* digest"):
        registry.verify(name)
    published.delete(key)
    with pytest.raises(CorruptModelError, match=r"report/metrics\.json of .* is missing"):
        registry.verify(name)
    with pytest.raises(UnknownVersionError):
        registry.verify("20200101T000000Z-00000000")


# Pruned


@pytest.fixture
def many(bucket: Bucket, slim: Version) -> list[str]:
    """Six versions, oldest first; the third is live, the second was before it."""
    registry, names = Registry(bucket), []
    for year in range(2030, 2036):
        manifest, files = another(slim, year)
        registry.publish(manifest, files)
        names.append(manifest.version)
    registry.promote(names[1])
    registry.promote(names[2])
    return names


def test_prune_keeps_the_live_one_the_one_before_it_pinned_ones_and_the_newest(bucket: Bucket, many: list[str]) -> None:
    retention.pin(bucket, many[3])
    would_go = list(prune(bucket, keep=1, dry_run=True))
    assert would_go == [many[0], many[4]]
    assert Registry(bucket).versions() == many
    assert list(prune(bucket, keep=1)) == would_go
    assert Registry(bucket).versions() == [many[1], many[2], many[3], many[5]]
    assert not list(bucket.keys(object_key(many[0], "")))
    retention.unpin(bucket, many[3])
    assert list(prune(bucket, keep=0)) == [many[3], many[5]]
    assert Registry(bucket).load().manifest.version == many[2]


def test_only_a_published_version_can_be_pinned(bucket: Bucket, slim: Version) -> None:
    with pytest.raises(UnknownVersionError):
        retention.pin(bucket, slim[0].version)
    Registry(bucket).publish(*slim)
    retention.pin(bucket, slim[0].version)
    retention.pin(bucket, slim[0].version)
    assert retention.pins(bucket) == {slim[0].version}


def test_an_upload_that_was_given_up_goes_after_a_day(
    bucket: Bucket, many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = "20290101T000000Z-00000000"
    bucket.create(object_key(given_up, "model.tflite"), b"half")
    assert list(prune(bucket, keep=9)) == []
    monkeypatch.setattr(retention, "ABANDONED_AFTER", timedelta(0))
    assert list(prune(bucket, keep=9)) == [given_up]
    assert Registry(bucket).versions() == many


def test_an_upload_that_is_resumed_while_others_are_pruned_stays(
    bucket: Bucket, many: list[str], slim: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ABANDONED_AFTER", timedelta(0))
    resumed, files = another(slim, 2050)
    bucket.create(object_key("20290101T000000Z-00000000", "model.tflite"), b"half")
    bucket.create(object_key(resumed.version, "model.tflite"), files["model.tflite"])
    for _ in prune(bucket, keep=9):
        Registry(bucket).publish(resumed, files)
    assert Registry(bucket).versions() == [*many, resumed.version]


def test_nothing_is_pruned_before_anything_is_live(bucket: Bucket, slim: Version) -> None:
    Registry(bucket).publish(*slim)
    with pytest.raises(OperationError, match="nothing is live"):
        list(prune(bucket, keep=0))


def test_nothing_is_pruned_where_nobody_knows_what_is_live(bucket: Bucket, many: list[str]) -> None:
    bucket.replace(POINTER_KEY, b"{", bucket.get(POINTER_KEY).etag)
    with pytest.raises(CorruptModelError, match="cannot be read"):
        list(prune(bucket, keep=0))
    assert Registry(bucket).versions() == many


# Killed at every step


class KilledError(BaseException):
    """The process is gone: no handler of an ordinary exception sees it."""


class DyingClient:
    """A client of the store whose process is killed before, or just after, its n-th request."""

    def __init__(self, client: Any, after: int, done: bool) -> None:
        self._client, self._left, self._done = client, after, done

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in ("put_object", "get_object", "delete_object"):
            return call

        def dying(**arguments: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._done:
                raise KilledError
            answer = call(**arguments)
            if self._left < 0:
                raise KilledError
            return answer

        return dying


def lives(bucket: Bucket, story: Any) -> Iterator[int]:
    """Tell a story again and again, killed one request later each time, until it comes to its end."""
    for done in (False, True):
        for step in range(200):
            try:
                story(Bucket(bucket.name, DyingClient(bucket._client, step, done)))  # type: ignore[arg-type]
            except KilledError:
                yield step
            else:
                break
        else:
            raise AssertionError("the story has no end")


def assert_whole(bucket: Bucket, live: set[str]) -> None:
    """Readers see one of the given versions, or none where that is allowed, and only whole versions."""
    registry = Registry(bucket)
    for name in registry.versions():
        registry.verify(name)
    try:
        assert registry.load().manifest.version in live
    except NoModelError:
        assert "" in live


def test_publishing_and_promoting_can_be_killed_at_any_step(bucket: Bucket, slim: Version, version: Version) -> None:
    steps = 0
    years = iter(range(2030, 2999))
    older = another(slim, 2029)
    Registry(bucket).publish(*older)
    Registry(bucket).promote(older[0].version)
    newer = another(slim, next(years))

    def story(dying: Bucket) -> None:
        Registry(dying).publish(*newer)
        Registry(dying).promote(newer[0].version)

    for _ in lives(bucket, story):
        steps += 1
        assert_whole(bucket, {older[0].version, newer[0].version})
        # Whoever tries again comes to the end, from wherever the first one was killed.
        Registry(bucket).publish(*newer)
        Registry(bucket).promote(newer[0].version)
        assert_whole(bucket, {newer[0].version})
        older, newer = newer, another(slim, next(years))
    assert steps >= 12  # requests to the store, from the first file to the look whether the version still exists


def test_the_first_promotion_can_be_killed_at_any_step(bucket: Bucket, slim: Version) -> None:
    def story(dying: Bucket) -> None:
        Registry(dying).publish(*slim)
        Registry(dying).promote(slim[0].version)

    for _ in lives(bucket, story):
        assert_whole(bucket, {"", slim[0].version})
        for key in list(bucket.keys("")):
            bucket.delete(key)


def test_rollback_and_prune_can_be_killed_at_any_step(bucket: Bucket, many: list[str]) -> None:
    registry = Registry(bucket)
    for _ in lives(bucket, lambda dying: Registry(dying).rollback()):
        assert_whole(bucket, {many[1], many[2]})
        if registry.live_state().version == many[1]:
            assert decisions.recorded(bucket, many[2])[-1].outcome == "take back"
            registry.promote(many[2])
    live = registry.live_state().version
    assert live == many[1]
    for _ in lives(bucket, lambda dying: list(prune(dying, keep=0))):
        assert_whole(bucket, {live})
    assert len(Registry(bucket).versions()) == 2


def test_a_decision_is_never_lost_to_another_one(bucket: Bucket, slim: Version) -> None:
    decision = decisions.Decision(outcome="refuse", decided_at=datetime.now(UTC), live=None)
    name = slim[0].version
    for _ in range(3):
        decisions.record(bucket, name, decision)
    assert decisions.recorded(bucket, name) == [decision] * 3
    bucket.replace(f"decisions/{name}.json", b"[]", bucket.get(f"decisions/{name}.json").etag)
    with pytest.raises(CorruptModelError, match="decisions"):
        decisions.record(bucket, name, decision)
