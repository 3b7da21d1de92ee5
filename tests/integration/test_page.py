"""The page's files, as the handler serves them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from digits.verdicts import in_words
from functions.predict_api import page
from tests import doors
from tests.conftest import Handler
from tests.doors import Request

MOST_BYTES = 60_000
FILES = ["/", *(route.path for route in page.ROUTES if route.path != "/")]
MODULES = [path for path in FILES if path.endswith(".js")]
FOLDER = Path(page.__file__).parent / "page"


def get(handler: Handler, path: str, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return handler(doors.http_v2(Request("GET", path, named)))


def content(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()


def test_the_page_is_small_and_needs_no_model(cold_handler: Handler) -> None:
    answers = {path: get(cold_handler, path) for path in FILES}
    assert {answer["statusCode"] for answer in answers.values()} == {200}
    assert sum(len(content(answer)) for answer in answers.values()) < MOST_BYTES
    assert content(answers["/page/samples.png"]).startswith(b"\x89PNG")


def imports_of(text: str) -> list[str]:
    return re.findall(r"""\b(?:from|import)\s*\(?\s*["']([^"']+)["']""", text)


def named_by(path: str, text: str) -> set[str]:
    """Return the paths that the page or one of its modules names; only imports count from the module's own address."""
    imported = {urljoin(path, address) for address in imports_of(text)}
    return imported | {f"/{address}" for address in re.findall(r"""["'](page/[^"']+)["']""", text)}


def test_what_the_page_and_its_modules_name_is_served_and_nothing_else(cold_handler: Handler) -> None:
    reached, ahead = {"/"}, ["/"]
    while ahead:
        path = ahead.pop()
        answer = get(cold_handler, path)
        assert answer["statusCode"] == 200, path
        if answer["headers"]["content-type"].startswith("text/"):
            found = named_by(path, content(answer).decode()) - reached
            reached |= found
            ahead += found
    assert reached == set(FILES)


def test_nothing_else_in_the_folder_is_served(cold_handler: Handler) -> None:
    files = {f"/page/{path.relative_to(FOLDER).as_posix()}" for path in FOLDER.rglob("*") if path.is_file()}
    kept_back = files - set(FILES)
    assert kept_back == {"/page/index.html", "/page/LICENSE.md"}
    assert {get(cold_handler, path)["statusCode"] for path in kept_back} == {404}


@pytest.mark.parametrize("path", MODULES)
def test_a_module_is_served_as_script_and_imports_by_relative_addresses(cold_handler: Handler, path: str) -> None:
    answer = get(cold_handler, path)
    assert answer["headers"]["content-type"].startswith("text/javascript")
    for address in imports_of(content(answer).decode()):
        assert address.startswith("./"), address


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_asked_about_by_its_tag(cold_handler: Handler, path: str) -> None:
    answer = get(cold_handler, path)
    tag = answer["headers"]["etag"]
    assert answer["headers"]["cache-control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        unchanged = get(cold_handler, path, if_none_match=known)
        assert (unchanged["statusCode"], unchanged["body"]) == (304, "")
        assert unchanged["headers"]["etag"] == tag
    assert get(cold_handler, path, if_none_match='"other"')["statusCode"] == 200


def test_nothing_runs_that_the_service_did_not_send(cold_handler: Handler) -> None:
    answer = get(cold_handler, "/")
    policy = answer["headers"]["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
    html = answer["body"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?:", html)
    assert answer["headers"]["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("door", doors.DOORS)
@pytest.mark.parametrize("path", ["/", "/page/samples.png"])
def test_every_door_serves_the_page(cold_handler: Handler, door: str, path: str) -> None:
    answer = cold_handler(doors.DOORS[door](Request("GET", path)))
    assert answer["statusCode"] == 200
    assert content(answer) == content(get(cold_handler, path))


def without_slash(door: str) -> dict[str, Any]:
    """An address that ends where the stage or the base path does."""
    event = doors.DOORS[door](Request("GET", "/"))
    if door == "http_v2_stage":
        event["rawPath"] = event["requestContext"]["http"]["path"] = "/prod"
    else:
        event["resource"], event["pathParameters"] = "/", None
        event["requestContext"]["path"] = event["requestContext"]["path"].rstrip("/")
    return event


@pytest.mark.parametrize(
    ("door", "address"), [("http_v2_stage", "/prod/"), ("rest_v1", "/prod/"), ("rest_v1_custom_domain", "/digits/")]
)
def test_an_address_without_the_last_slash_leads_to_the_page(cold_handler: Handler, door: str, address: str) -> None:
    answer = cold_handler(without_slash(door))
    assert answer["statusCode"] == 308
    assert answer["headers"]["location"] == address
    assert answer["headers"]["x-request-id"] == "test-request"
    assert answer["headers"]["access-control-allow-origin"] == "*"


def test_a_redirect_keeps_the_query_and_stays_on_the_host(cold_handler: Handler) -> None:
    event = without_slash("http_v2_stage")
    event["rawQueryString"] = "a=b%20c"
    assert cold_handler(event)["headers"]["location"] == "/prod/?a=b%20c"
    event = without_slash("rest_v1")
    event["requestContext"]["path"] = "//evil.example"
    assert cold_handler(event)["headers"]["location"] == "/evil.example/"


def test_a_base_path_without_the_last_slash_leads_to_the_page(
    cold_handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_BASE_PATH", "/digits")
    assert get(cold_handler, "/digits")["headers"]["location"] == "/digits/"
    assert get(cold_handler, "/digits/")["body"] == get(cold_handler, "/")["body"]


def test_the_page_has_the_words_of_the_commands_for_verdicts() -> None:
    text = (FOLDER / "answer.js").read_text()
    for verdict in ("blank", "no_contrast", "not_a_digit"):
        assert f'{verdict}: () => "{in_words(verdict)}."' in text
    count, rest = "${COUNTS[found.length] ?? found.length}", (in_words("several_digits", 2) or "").removeprefix("Two")
    assert f"several_digits: (found) => `{count}{rest}.`" in text
    counts = [(in_words("several_digits", found) or "").split()[0] for found in range(10)]
    assert f"const COUNTS = {json.dumps(counts)};" in text


def test_a_file_that_is_not_there_is_a_problem(cold_handler: Handler) -> None:
    for path in ("/page/", "/page/secret.txt", "/page/../app.py", "/page"):
        assert get(cold_handler, path)["statusCode"] == 404
