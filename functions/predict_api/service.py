"""What a warm container keeps between requests: the model and the tokens, each read when first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from fastapi import Request

from digits.errors import DigitsError, NoModelError, NoTokensError
from digits.model.proof import LoadedModel
from digits.registry.cache import CachedObject
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, manifest_key
from digits.registry.pointer import load_live, load_version
from digits.registry.store import ObjectReader, read
from digits.registry.tokens import TokenSet
from functions.predict_api.errors import AuthenticationError


class Service:
    """The state behind the routes; it may be used from many threads."""

    def __init__(
        self, reader: ObjectReader, ttl_seconds: float, model_version: str | None = None, *, threads: bool = True
    ) -> None:
        """Bind the store; it is asked at the first need.

        Args:
            model_version: the version to serve, whatever is promoted; None serves what is.
            threads: whether requests come at the same time, as from a server, and must not block each other.
        """
        self._cold = True
        self._reader = reader
        self._executor = ThreadPoolExecutor(thread_name_prefix="digits") if threads else None
        bytes_of = partial(read, reader)
        self._model: CachedObject[LoadedModel] = CachedObject(
            reader,
            manifest_key(model_version) if model_version else POINTER_KEY,
            parse=partial(load_version, bytes_of, model_version) if model_version else partial(load_live, bytes_of),
            missing=partial(_no_model, model_version),
            ttl_seconds=ttl_seconds,
            keep_when_missing=True,
        )
        self._tokens: CachedObject[TokenSet] = CachedObject(
            reader,
            TOKENS_KEY,
            parse=TokenSet.from_json,
            missing=lambda: NoTokensError("no token has been issued yet"),
            ttl_seconds=ttl_seconds,
            keep_when_missing=False,
        )

    def warm_up(self) -> None:
        """Load what there is, so that a snapshot holds it; where there is nothing, the first request will look."""
        for cached in (self._model, self._tokens):
            with suppress(DigitsError):
                cached.get()

    def restore(self) -> None:
        """Go on from a snapshot: connections are gone, and what was read then is asked for again."""
        self._reader.reconnect()
        self._model.expire()
        self._tokens.expire()

    @property
    def refresh_failures(self) -> int:
        """How often in a row the store could not be asked for a model or for tokens."""
        return self._model.failures + self._tokens.failures

    def is_cold(self) -> bool:
        """Tell whether this container is asked for the first time."""
        cold, self._cold = self._cold, False
        return cold

    @property
    def loaded(self) -> LoadedModel | None:
        """The model as it is in memory, without asking the store."""
        return self._model.value

    async def run[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do blocking work, in a thread where another request may come meanwhile.

        The framework's own pool ends its threads with each Lambda invocation, and with a thread
        goes its interpreter of the model; these stay warm.
        """
        if self._executor is None:
            return work(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    def model(self) -> LoadedModel:
        """Return the live model, loading it in the first request that needs it.

        Raises:
            UnavailableError: there is none, or it cannot be had.
        """
        return self._model.get()

    def authenticate(self, token: str | None) -> str:
        """Return the name of a token.

        Raises:
            AuthenticationError: no token, or not a valid one.
            UnavailableError: nobody can be let in, as the valid tokens cannot be had.
        """
        if not token:
            raise AuthenticationError("a token is required, as 'Authorization: Bearer …' or in the request document")
        name = self._tokens.get().name_of(token)
        if name is None:
            raise AuthenticationError("the token is not valid")
        return name


def _no_model(version: str | None) -> NoModelError:
    return NoModelError(f"model {version} is not published" if version else "no model has been published yet")


def service_of(request: Request) -> Service:
    """Return the service of the application that a request came to."""
    service: Service = request.app.state.service
    return service
