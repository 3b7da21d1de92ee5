"""`python -m digits`: tokens."""

from __future__ import annotations

import json

import pytest

from digits.__main__ import main
from digits.registry.bucket import Bucket
from digits.registry.layout import TOKENS_KEY
from digits.registry.tokens import TokenSet
from tests.commands import assert_fails

type Output = pytest.CaptureFixture[str]


def test_tokens_are_issued_listed_and_revoked(bucket: Bucket, capsys: Output) -> None:
    assert main(["token", "web"]) == 0
    token = capsys.readouterr().out.strip()
    assert TokenSet.from_json(bucket.get(TOKENS_KEY).data).name_of(token) == "web"
    assert main(["tokens"]) == 0
    assert capsys.readouterr().out.startswith("web  since 20")
    assert main(["revoke", "web"]) == 0
    assert json.loads(bucket.get(TOKENS_KEY).data) == {}


@pytest.mark.usefixtures("unreachable_store")
def test_a_token_for_an_unreachable_store_is_one_line(capsys: Output) -> None:
    assert_fails(capsys, main(["token", "web"]), "did not answer")
