"""One object of the store as a warm container keeps it: parsed, with the time of its last confirmation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from digits.errors import CorruptModelError, DigitsError, ObjectNotFoundError, bare
from digits.moments import Moment, now
from digits.registry.store import ObjectReader

# After a failed read with nothing to fall back on, callers get the same failure for this long.
RETRY_SECONDS = 1.0
# Each further failure in a row doubles the wait, up to this many times the first.
LONGEST_BACKOFF = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _State[T]:
    """What a cache knows.

    Attributes:
        value: the last good one; etag, that of its bytes.
        confirmed_at: when the store last said that this is the value.
        failure: why the last read failed.
    """

    value: T | None = None
    etag: str | None = None
    confirmed_at: Moment | None = None
    failure: DigitsError | None = None


class CachedObject[T]:
    """One object of the store, parsed, and re-checked at most once every `ttl_seconds`.

    The first caller reads it while the others wait. Later re-checks are done by one caller, in its
    own request, while the others use the current value. If a re-check fails, the last good value
    stays, the failure is logged and counted, and the next re-check waits longer. A value is never
    returned beyond its greatest age, even if the store does not answer.

    Attributes:
        failures: failed reads in a row, up to now.
    """

    def __init__(
        self,
        reader: ObjectReader,
        key: str,
        *,
        parse: Callable[[bytes], T],
        missing: Callable[[], DigitsError],
        ttl_seconds: float,
        greatest_age_seconds: float = float("inf"),
        longest_backoff: float = LONGEST_BACKOFF,
        clock: Callable[[], Moment] = now,
    ) -> None:
        """Bind a key of the store to what its bytes mean.

        Args:
            parse: makes the value; what it raises counts as a failed read.
            missing: makes the error for a missing key; one that has gone counts as a failed read.
            greatest_age_seconds: how long a value is returned after the store last confirmed it.
        """
        self._reader = reader
        self._key = key
        self._parse = parse
        self._missing = missing
        self._ttl_seconds = ttl_seconds
        self._greatest_age_seconds = greatest_age_seconds
        self._longest_backoff = longest_backoff
        self._clock = clock
        self._lock = threading.Lock()
        self._state: _State[T] = _State()
        self._checked_at: Moment | None = None
        self._expired = False
        self._begun_at: Moment | None = None
        self.failures = 0

    def expire(self) -> None:
        """Make the next caller re-check the store; a re-check that is under way does not count as that."""
        self._expired = True

    def begin(self) -> None:
        """Have the store asked already if that is due, while the caller does something else before `get`."""
        begun_at = self._begun_at
        rested = begun_at is None or begun_at.until(self._clock()) >= RETRY_SECONDS
        if rested and self._is_due() and not self._lock.locked():
            self._begun_at = self._clock()
            self._reader.begin(self._key, self._state.etag)

    @property
    def value(self) -> T | None:
        """The value as it is, without asking the store."""
        return self._state.value

    def get(self) -> T:
        """Return the value, read or re-checked if that is due.

        Raises:
            DigitsError: there is no good value; what `missing` makes, a StoreError, or what
                `parse` raised.
        """
        while True:
            if self._is_due() and self._lock.acquire(blocking=not self._is_good(self._state)):
                try:
                    if self._is_due():
                        self._refresh()
                finally:
                    self._lock.release()
            state = self._state
            if state.value is not None and self._is_good(state):
                return state.value
            if state.failure is not None:
                raise state.failure.with_traceback(None)
            # The value became too old just now, while somebody asked: it is due.

    def _is_due(self) -> bool:
        if self._expired or self._checked_at is None:
            return True
        return self._checked_at.until(self._clock()) >= self._wait_seconds()

    def _is_good(self, state: _State[T]) -> bool:
        if state.confirmed_at is None:
            return False
        return state.confirmed_at.until(self._clock()) <= self._greatest_age_seconds

    def _refresh(self) -> None:
        self._expired = False
        try:
            self._state = self._read()
        except ObjectNotFoundError:
            self._state = replace(self._state, failure=self._missing())
        except DigitsError as error:
            self._state = replace(self._state, failure=bare(error))
        except Exception:  # what nobody expected of an object is no reason to fail with each caller
            logger.exception("%s cannot be used", self._key)
            self._state = replace(self._state, failure=CorruptModelError(f"{self._key} cannot be used"))
        finally:
            self.failures = self.failures + 1 if self._state.failure else 0
            self._checked_at = self._clock()
        if self._state.failure is not None:
            kept_or_not = "the last good one stays" if self._is_good(self._state) else "nothing to fall back on"
            logger.warning("%s: %s (failure %d, %s)", self._key, self._state.failure, self.failures, kept_or_not)

    def _wait_seconds(self) -> float:
        if self._state.failure is None and not self._is_good(self._state):
            return 0.0  # it was too old by the time that the store had confirmed it
        wait_seconds = self._ttl_seconds if self._is_good(self._state) else RETRY_SECONDS
        return wait_seconds * min(2.0 ** min(max(0, self.failures - 1), LONGEST_BACKOFF), self._longest_backoff)

    def _read(self) -> _State[T]:
        asked_at = self._clock()
        stored = self._reader.get(self._key, self._state.etag)
        if stored is None:
            return replace(self._state, failure=None, confirmed_at=asked_at)
        return _State(self._parse(stored.data), stored.etag, asked_at)
