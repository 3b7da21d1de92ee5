"""Named access tokens: random, shown once, kept as SHA-256 digests in `auth/tokens.json`.

A digest without salt or stretching is enough because a token is 256 random bits, not a password.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, TypeAdapter
from pydantic.types import StringConstraints

from digits.errors import ConflictError, NoTokensError, ObjectNotFoundError, OperationError
from digits.model.identity import sha256
from digits.registry.layout import TOKENS_KEY

if TYPE_CHECKING:
    from digits.registry.bucket import Bucket

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class TokenRecord(BaseModel):
    """What is stored of a token.

    Attributes:
        check: digest of name and token's digest, by which a record that was damaged is told from a token that is not
            valid; earlier releases wrote none.
    """

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created_at: datetime
    check: str | None = None


_FILE = TypeAdapter(dict[str, TokenRecord])


@dataclass(frozen=True)
class TokenSet:
    """The tokens that are valid now."""

    records: dict[str, TokenRecord]

    def name_of(self, token: str) -> str | None:
        """Return the name of a token, or None if it is not valid.

        Every record is compared, each in constant time, so that the time taken reveals nothing.
        """
        digest = _digest(token)
        found = None
        for name, record in self.records.items():
            if hmac.compare_digest(record.sha256, digest):
                found = name
        return found

    @classmethod
    def from_json(cls, data: bytes) -> TokenSet:
        """Read `auth/tokens.json`.

        Raises:
            NoTokensError: the file cannot be read.
        """
        try:
            return cls(_records(data))
        except ValueError as error:
            raise NoTokensError("the token file cannot be read") from error


def issue(bucket: Bucket, name: str) -> str:
    """Add a random token of that name and return it; it is shown only once and cannot be recovered.

    Raises:
        OperationError: see `add`.
    """
    token = secrets.token_urlsafe(32)
    add(bucket, name, token)
    return token


def add(bucket: Bucket, name: str, token: str) -> None:
    """Make a token valid under a name.

    Raises:
        OperationError: the name is not valid.
        ConflictError: the name is taken, or the file changed meanwhile.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise OperationError(f"{name!r} is no name for a token: use letters, digits, '.', '_' and '-', at most 64")
    records, etag = _read(bucket)
    if name in records:
        raise ConflictError(f"there already is a token {name!r}: revoke it first, or choose another name")
    digest = _digest(token)
    records[name] = TokenRecord(sha256=digest, created_at=datetime.now(UTC), check=_check(name, digest))
    try:
        _write(bucket, records, etag)
    except ConflictError:
        if _read(bucket)[0].get(name) != records[name]:  # or it was written, and another one after it
            raise


def revoke(bucket: Bucket, name: str) -> None:
    """Revoke the token of that name.

    Raises:
        OperationError: there is none.
        ConflictError: the file changed meanwhile.
    """
    records, etag = _read(bucket)
    if records.pop(name, None) is None:
        raise OperationError(f"there is no token {name!r}; there are: {', '.join(sorted(records)) or 'none'}")
    _write(bucket, records, etag)


def names(bucket: Bucket) -> dict[str, datetime]:
    """Return the tokens' names and when each was issued."""
    return {name: record.created_at for name, record in _read(bucket)[0].items()}


def _digest(token: str) -> str:
    return sha256(token.encode())


def _check(name: str, digest: str) -> str:
    return sha256(f"{name} {digest}".encode())[:16]


def _records(data: bytes) -> dict[str, TokenRecord]:
    """Return what the file holds; raises ValueError if it is damaged."""
    records = _FILE.validate_json(data)
    damaged = [name for name, record in records.items() if record.check not in (None, _check(name, record.sha256))]
    if damaged:
        raise ValueError(f"the record of {damaged[0]!r} is damaged")
    return records


def _read(bucket: Bucket) -> tuple[dict[str, TokenRecord], str | None]:
    try:
        stored = bucket.get(TOKENS_KEY)
    except ObjectNotFoundError:
        return {}, None
    try:
        return _records(stored.data), stored.etag
    except ValueError as error:
        raise OperationError(f"{TOKENS_KEY} cannot be read; fix or delete it") from error


def _write(bucket: Bucket, records: dict[str, TokenRecord], etag: str | None) -> None:
    data = _FILE.dump_json(records, indent=2)
    if etag is None:
        bucket.create(TOKENS_KEY, data)
    else:
        bucket.replace(TOKENS_KEY, data, etag)
