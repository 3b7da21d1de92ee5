"""What a warm container keeps between requests: the model and the tokens, each read when first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fastapi import Request

from digits import registry
from digits.errors import AuthenticationError, NoModelError, NoTokensError
from digits.registry import LoadedModel
from digits.store import CachedObject, ObjectReader, read
from digits.tokens import KEY as TOKENS_KEY
from digits.tokens import TokenSet


class Service:
    """The state behind the routes; it may be used from many threads."""

    def __init__(self, reader: ObjectReader, ttl_seconds: float) -> None:
        """Bind the store; it is asked at the first need."""
        self._cold = True
        self._executor = ThreadPoolExecutor(thread_name_prefix="digits")
        self._model: CachedObject[LoadedModel] = CachedObject(
            reader,
            registry.CURRENT_KEY,
            parse=partial(registry.load_current, partial(read, reader)),
            missing=lambda: NoModelError("no model has been published yet"),
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

    def is_cold(self) -> bool:
        """Tell whether this container is asked for the first time."""
        cold, self._cold = self._cold, False
        return cold

    @property
    def loaded(self) -> LoadedModel | None:
        """The model as it is in memory, without asking the store."""
        return self._model.value

    async def run[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do blocking work in a thread.

        The framework's own pool ends its threads with each Lambda invocation, and with a thread
        goes its interpreter of the model; these stay warm.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    def model(self) -> LoadedModel:
        """Return the current model, loading it in the first request that needs it.

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


def service_of(request: Request) -> Service:
    """Return the service of the application that a request came to."""
    service: Service = request.app.state.service
    return service
