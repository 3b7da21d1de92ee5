"""The API in detail: Swagger UI's files, as the handler serves them."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from functions.predict_api import page, reference
from local.server import LocalServer
from tests import doors
from tests.conftest import Handler
from tests.doors import Request

FILES = [route.path for route in reference.ROUTES]
MOST_BYTES = 3_000_000  # Lambda's limit for an answer is 6 MB


@pytest.mark.parametrize("path", FILES)
def test_a_file_needs_no_model_is_asked_about_by_its_tag_and_keeps_to_the_pages_policy(
    cold_handler: Handler, path: str
) -> None:
    answer = cold_handler(doors.http_v2(Request("GET", path)))
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["content-security-policy"] == page._HEADERS["content-security-policy"]
    assert answer["headers"]["cache-control"] == "no-cache"
    unchanged = cold_handler(doors.http_v2(Request("GET", path, {"if-none-match": answer["headers"]["etag"]})))
    assert (unchanged["statusCode"], unchanged["body"]) == (304, "")


def test_all_of_it_fits_an_answer_and_comes_from_this_host_alone(cold_handler: Handler) -> None:
    texts = {path: cold_handler(doors.http_v2(Request("GET", path)))["body"] for path in FILES}
    assert sum(map(len, texts.values())) < MOST_BYTES
    html = texts["/docs"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?:", html)
    assert {f"/{address}" for address in re.findall(r'"(docs/[^"]+)"', html)} == set(FILES) - {"/docs"}
    assert not re.search(r"url\(\s*[\"']?+(?!data:)", texts["/docs/swagger-ui.css"])  # nor a font or a picture


def test_nothing_else_of_the_package_is_served(cold_handler: Handler) -> None:
    assert version("fastapi-swagger")
    for name in ("index.html", "favicon-32x32.png", "__init__.py", "../main.py", "", "oauth2-redirect"):
        assert cold_handler(doors.http_v2(Request("GET", f"/docs/{name}")))["statusCode"] == 404, name


def test_head_over_a_real_connection(server: LocalServer) -> None:
    import httpx

    with httpx.Client(base_url=server.url) as client:
        for path in ("/health", "/docs/swagger-ui-bundle.js", "/health"):  # the connection must stay usable
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
            assert "strict-transport-security" not in head.headers
