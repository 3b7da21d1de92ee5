"""Checking tokens."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from digits.errors import NoTokensError, ObjectNotFoundError
from digits.registry.tokens import TokenSet, add


def token_file(**named: str) -> bytes:
    return json.dumps(
        {
            name: {"sha256": hashlib.sha256(token.encode()).hexdigest(), "created_at": "2026-11-22T00:00:00Z"}
            for name, token in named.items()
        }
    ).encode()


def test_each_valid_token_is_known_by_its_name() -> None:
    tokens = TokenSet.from_json(token_file(web="a", phone="b"))
    assert (tokens.name_of("a"), tokens.name_of("b")) == ("web", "phone")


@pytest.mark.parametrize("token", ["", "c", "A", "a ", "ä", "a" * 10_000])
def test_anything_else_is_nobody(token: str) -> None:
    assert TokenSet.from_json(token_file(web="a", phone="b")).name_of(token) is None


def test_a_digest_is_not_a_token() -> None:
    assert TokenSet.from_json(token_file(web="a")).name_of(hashlib.sha256(b"a").hexdigest()) is None


def test_an_empty_file_lets_nobody_in() -> None:
    assert TokenSet.from_json(b"{}").name_of("") is None


@pytest.mark.parametrize("data", [b"", b"[]", b'{"web": "a"}', b'{"web": {"sha256": "x"}}', b"\xff"])
def test_an_unreadable_file_is_an_error(data: bytes) -> None:
    with pytest.raises(NoTokensError):
        TokenSet.from_json(data)


def test_a_record_that_was_damaged_is_told_from_a_token_that_is_not_valid() -> None:
    bucket: Any = SimpleNamespace(get=_absent, create=lambda _, data: written.append(data))
    written: list[bytes] = []
    add(bucket, "web", "a")
    assert TokenSet.from_json(written[0]).name_of("a") == "web"
    digest = hashlib.sha256(b"a").hexdigest()
    flipped = ("0" if digest[0] != "0" else "1") + digest[1:]
    for damaged in (written[0].replace(digest.encode(), flipped.encode()), written[0].replace(b'"web"', b'"wea"')):
        assert damaged != written[0]
        with pytest.raises(NoTokensError):
            TokenSet.from_json(damaged)


def _absent(key: str) -> None:
    raise ObjectNotFoundError(key)
