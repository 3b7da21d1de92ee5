"""Tokens: where a request carries one, and whether it is valid."""

from __future__ import annotations

from fastapi import Request

from digits.errors import NoTokensError
from digits.registry.cache import CachedObject
from digits.registry.layout import TOKENS_KEY
from digits.registry.store import ObjectReader
from digits.registry.tokens import TokenSet
from functions.predict_api.errors import AuthenticationError


class Gate:
    """Lets in who has a valid token.

    Attributes:
        tokens: those that are valid, as the store was last seen to hold them.
    """

    def __init__(self, reader: ObjectReader, ttl_seconds: float, greatest_age_seconds: float) -> None:
        """Bind the store; it is asked at the first need.

        Args:
            greatest_age_seconds: how long tokens are valid after the store last confirmed them.
        """
        self.tokens: CachedObject[TokenSet] = CachedObject(
            reader,
            TOKENS_KEY,
            parse=TokenSet.from_json,
            missing=lambda: NoTokensError("no token has been issued yet"),
            ttl_seconds=ttl_seconds,
            greatest_age_seconds=greatest_age_seconds,
            longest_backoff=1,  # a token that is revoked in an outage ends as soon as any other
        )

    def authenticate(self, *tokens: str | None) -> str:
        """Return the name of the first valid token.

        Raises:
            AuthenticationError: no token, or not a valid one.
            UnavailableError: nobody can be let in, as the valid tokens cannot be had.
        """
        given = [token for token in tokens if token]
        if not given:
            raise AuthenticationError("a token is required, as 'Authorization: Bearer …' or in the request document")
        valid = self.tokens.get()
        for token in given:
            if name := valid.name_of(token):
                return name
        raise AuthenticationError("the token is not valid")


def header_token(request: Request) -> str | None:
    """Return the token in `Authorization: Bearer …` or `x-api-key`, or None where neither carries one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or request.headers.get("x-api-key") or None
