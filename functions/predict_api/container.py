"""What a warm container keeps between requests."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Event

from fastapi import Request

from digits.errors import DigitsError
from digits.registry.live import LiveModel, live_model
from digits.registry.store import ObjectReader
from functions.predict_api.auth import Gate
from functions.predict_api.settings import Settings
from functions.predict_api.workers import Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Container:
    """The state behind the routes; it may be used from many threads.

    Attributes:
        warm: set once a prediction has been asked for; reads_numbers, once a number has.
    """

    reader: ObjectReader
    model: LiveModel
    gate: Gate
    workers: Workers
    reads_numbers: Event
    warm: Event = field(default_factory=Event)

    @classmethod
    def over(cls, reader: ObjectReader, settings: Settings, *, threads: bool) -> Container:
        """Return the state over a store, which is asked at the first need.

        Args:
            threads: whether requests come at the same time, as from a server, and must not block each other.
        """
        reads_numbers = Event()
        ttl_seconds, version = settings.model_ttl_seconds, settings.model_version
        model = live_model(reader, ttl_seconds, version, reads_numbers=reads_numbers.is_set)
        gate = Gate(reader, ttl_seconds, settings.token_age_seconds)
        return cls(reader, model, gate, Workers(threads), reads_numbers)

    def authenticate(self, *tokens: str | None) -> str:
        """Return the name of the first valid token, with the model asked for meanwhile; raises as the gate does."""
        if any(tokens):  # who brings none is refused without the store
            self.model.begin()
        return self.gate.authenticate(*tokens)

    def warm_up(self) -> None:
        """Load what there is, before a request needs it; where there is nothing, the first request will look.

        The reader of numbers is loaded too: a snapshot is taken once, and a ping has nobody wait for it.
        """
        for load in (lambda: self.model.get().whole(), self.gate.tokens.get):
            try:
                load()
            except DigitsError as error:
                logger.warning("not loaded yet: %s", error)

    def restore(self) -> None:
        """Go on from a snapshot: connections are gone, and what was read then is asked for again."""
        self.reader.reconnect()
        self.model.expire()
        self.gate.tokens.expire()

    @property
    def refresh_failures(self) -> int:
        """How often in a row the store could not be asked for a model or for tokens."""
        return self.model.failures + self.gate.tokens.failures


def container_of(request: Request) -> Container:
    """Return the state of the application that a request came to."""
    container: Container = request.app.state.container
    return container
