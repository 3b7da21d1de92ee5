"""What a new release is asked before it gets traffic: whether it reads the live model's golden digits as pictures.

Loading a model replays its golden inputs through the networks alone. This goes the way of a caller's request, from the
gateway's event to the answer, with a token that this process alone knows and that ends with the test.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from digits.errors import CorruptModelError
from digits.model.identity import sha256
from digits.model.proof import LoadedModel
from digits.registry.layout import TOKENS_KEY
from digits.registry.store import ObjectReader, StoredObject
from digits.registry.tokens import TokenRecord
from functions.predict_api import gateway, problems
from functions.predict_api.prediction import base64_png

# Of the golden digits, how many may be told to be none, as a model may do with poor ones.
_MOST_REFUSED = 0.2

type Ask = Callable[[dict[str, Any]], dict[str, Any]]


class WithToken:
    """A store in which one token is valid, and everything else is as in another store."""

    def __init__(self, reader: ObjectReader) -> None:
        """Make the token."""
        self.token = secrets.token_urlsafe(32)
        record = TokenRecord(sha256=sha256(self.token.encode()), created_at=datetime.now(UTC))
        self._tokens = json.dumps({"self-test": record.model_dump(mode="json")}).encode()
        self._reader = reader

    def get(self, key: str, etag: str | None = None) -> StoredObject | None:
        """See `ObjectReader.get`."""
        return StoredObject(self._tokens, "of-the-test") if key == TOKENS_KEY else self._reader.get(key, etag)

    def begin(self, key: str, etag: str | None = None) -> None:
        """See `ObjectReader.begin`."""
        if key != TOKENS_KEY:
            self._reader.begin(key, etag)

    def reconnect(self) -> None:
        """See `ObjectReader.reconnect`."""
        self._reader.reconnect()


def self_test(ask: Ask, token: str, loaded: LoadedModel) -> dict[str, Any]:
    """Send the golden digits, and a golden line to the reader of numbers, and return how many were read.

    Args:
        ask: answers an event of the gateway.
        token: is valid there.
        loaded: the model that answers there.

    Raises:
        CorruptModelError: one of them is not read as it was when the model was made.
    """
    version, goldens = loaded.manifest.version, loaded.manifest.goldens
    read = 0
    for golden in goldens:
        answer = ask(_post(problems.PREDICT_PATH, token, base64_png(golden.pixels())))
        body = json.loads(answer["body"])
        expected = max(range(len(golden.probabilities)), key=golden.probabilities.__getitem__)
        refused = answer["statusCode"] == 422 and "verdict" in body
        if not refused and body.get("pred") != expected:
            raise CorruptModelError(f"a golden {expected} of {version} is answered with {_brief(answer)}")
        read += not refused
    if read < (1 - _MOST_REFUSED) * len(goldens):
        raise CorruptModelError(f"only {read} of the {len(goldens)} golden digits of {version} are read")
    if loaded.numbers.exists:
        _read_line(ask, token, loaded)
    return {"passed": True, "model": version, "read": read}


def _read_line(ask: Ask, token: str, loaded: LoadedModel) -> None:
    """Have a number of the reader's goldens read; found on a page again, it need not be read without a mistake."""
    golden = loaded.numbers.get().record.goldens[0]
    answer = ask(_post(problems.READ_PATH, token, base64_png(golden.pixels())))
    if answer["statusCode"] != 200 or not json.loads(answer["body"])["text"]:
        raise CorruptModelError(f"a golden number of {loaded.manifest.version} is answered with {_brief(answer)}")


def _brief(answer: dict[str, Any]) -> str:
    return f"{answer['statusCode']} {answer['body'][:200]}"


def _post(path: str, token: str, png: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}", "content-type": "image/png"}
    return gateway.posted(path, headers, png, is_base64=True)
