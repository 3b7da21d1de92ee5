"""The API test against a server on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from digits.model.identity import READER_FILE
from digits.model.manifest import Manifest
from digits.reading import Picture
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from local import __main__ as local_command
from local.lambda_invoke import EVENT_TOKEN
from local.server import LocalServer
from local.text_art import WIDEST, draw_digit, draw_rows
from tests import events
from tests.numbers import png, written

DIGIT, NUMBER = events.DIGITS / "7.png", events.NUMBERS / "2026.png"


def api_test(server: LocalServer, token: str = EVENT_TOKEN, image: Path | None = DIGIT) -> int:
    command = ["api-test", "--url", server.url, "--token", token]
    return local_command.main([*command, "--image", str(image)] if image else command)


def drawn(image: Path) -> str:
    return (draw_rows if image == NUMBER else draw_digit)(Picture.of_file(image.read_bytes()))


def test_a_right_answer_is_shown_with_the_digit(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server) == 0
    printed = capsys.readouterr().out
    assert drawn(DIGIT) in printed
    assert "pred        7\n" in printed
    assert "text" not in printed


def test_without_an_image_a_sample_digit_and_a_sample_number_are_read(
    server: LocalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert api_test(server, image=None) == 0
    digit, number = capsys.readouterr().out.split("pred        7\n")
    assert drawn(DIGIT) in digit
    assert drawn(NUMBER) in number
    assert "text        2026\nconf        0." in number


def without_reader(published: Bucket, version: tuple[Manifest, dict[str, bytes]]) -> str:
    """Promote a version that reads single digits only, and return its name."""
    manifest, files = version
    others = {name: record for name, record in manifest.files.items() if name != READER_FILE}
    name = f"20300101T000000Z-{manifest.version[-8:]}"
    Registry(published).publish(
        manifest.model_copy(update={"version": name, "reader": None, "files": others}),
        {name: files[name] for name in others},
    )
    Registry(published).promote(name)
    return name


def test_a_model_without_a_reader_is_told_and_is_no_failure(
    server: LocalServer,
    published: Bucket,
    version: tuple[Manifest, dict[str, bytes]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = without_reader(published, version)
    assert api_test(server, image=None) == 0
    printed = capsys.readouterr().out
    assert "pred        7" in printed
    reason = f"{server.url} answered 503: {name} reads single digits only: it has no reader of numbers"
    assert printed.endswith(f"numbers are not read: {reason}\n")
    assert api_test(server, image=NUMBER) == 1
    assert capsys.readouterr().err == f"error: {reason}\n"
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(written(["27"], gap=40)))
    assert api_test(server, image=photo) == 1
    assert capsys.readouterr().err == f"error: {photo}: Two digits: send one at a time\n"


def test_a_service_of_an_earlier_release_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digit = {"pred": 7, "conf": 0.9, "accepted": True, "model": {"version": "v", "accuracy": 0.99}, "request_id": "r"}

    def post(_: httpx.Client, url: str, **__: Any) -> httpx.Response:
        if url.endswith("/v1/read"):
            return httpx.Response(404, json={"detail": "there is nothing at /v1/read"})
        return httpx.Response(200, json=digit, headers={"access-control-allow-origin": "*"})

    monkeypatch.setattr(httpx.Client, "post", post)
    assert local_command.main(["api-test", "--url", "http://127.0.0.1", "--token", "x"]) == 0
    assert "numbers are not read: http://127.0.0.1 answered 404: there is nothing" in capsys.readouterr().out


def test_a_picture_of_several_digits_is_read_as_a_number(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.png").write_bytes(png(written(["2026", "70"], gap=40)))
    assert api_test(server, image=tmp_path / "page.png") == 0
    assert "text        2026\n            70\nconf" in capsys.readouterr().out
    shutil.copy(DIGIT, tmp_path)
    assert api_test(server, image=tmp_path) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["7.png", "page.png"]
    assert rows[1].split()[1:3] == ["2026", "70"]


def test_a_number_that_is_read_wrongly_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {
        "text": "2020",
        "conf": 0.9,
        "accepted": True,
        "model": {"version": "v", "accuracy": 1},
        "request_id": "r",
    }
    response = httpx.Response(200, json=answer, headers={"access-control-allow-origin": "*"})
    monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: response)
    command = ["api-test", "--url", "http://127.0.0.1", "--token", "x", "--image", str(NUMBER)]
    assert local_command.main(command) == 1
    assert capsys.readouterr().err == f"error: {NUMBER} is a 2026, the answer is 2020\n"


def test_a_wrong_answer_fails(server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    misnamed = tmp_path / "3.png"
    shutil.copy(DIGIT, misnamed)
    assert api_test(server, image=misnamed) == 1
    assert capsys.readouterr().err == f"error: {misnamed} is a 3, the answer is 7\n"


def test_a_wrong_token_fails_in_one_line(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server, token="wrong") == 1
    assert capsys.readouterr().err == f"error: {server.url} answered 401: the token is not valid\n"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"verdict": "not_a_digit"}, "This looks like no digit"),
        ({"verdict": "several_digits", "boxes": [[0, 0, 1, 1]] * 2}, "Two digits: send one at a time"),
        ({"verdict": "several_digits", "boxes": "?"}, "Several digits: send one at a time"),
    ],
)
def test_a_verdict_is_told_in_words(
    problem: dict[str, Any],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: httpx.Response(422, json={"detail": "x", **problem}))
    image = tmp_path / "7.png"
    shutil.copy(DIGIT, image)
    command = ["api-test", "--url", "http://127.0.0.1", "--token", "x", "--image"]
    assert local_command.main([*command, str(image)]) == 1
    assert capsys.readouterr().err == f"error: {image}: {words}\n"
    assert local_command.main([*command, str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split(maxsplit=1) == ["7.png", words]
    assert captured.err == "error: of 1 images 0 were read wrongly and 1 were not answered\n"


def test_an_answer_that_is_not_accepted_is_told_to_be_not_sure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"pred": 7, "conf": 0.6, "accepted": False, "model": {"version": "v", "accuracy": 0.99}, "request_id": "r"}
    response = httpx.Response(200, json=answer, headers={"access-control-allow-origin": "*"})
    monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: response)
    command = ["api-test", "--url", "http://127.0.0.1", "--token", "x", "--image", str(DIGIT)]
    assert local_command.main(command) == 0
    assert "conf        0.6000  (not sure)\n" in capsys.readouterr().out


def test_a_missing_image_fails_in_one_line(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server, image=Path("nowhere.png")) == 1
    assert "nowhere.png cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("allowed_origins", [("https://elsewhere.example",)])
def test_missing_cors_headers_fail(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server) == 1
    assert "CORS" in capsys.readouterr().err


def test_the_drawing_of_a_digit_is_14_lines_of_at_most_28_characters() -> None:
    lines = drawn(events.DIGITS / "0.png").split("\n")
    assert len(lines) == 14
    assert max(map(len, lines)) <= 28
    assert any("@" in line for line in lines)


@pytest.mark.parametrize("text", ["20", "2026", "2026" * 5])
def test_the_drawing_of_a_number_fits_into_a_terminal(text: str) -> None:
    lines = draw_rows(Picture.of_file(png(written([text, text])))).split("\n")
    assert max(map(len, lines)) <= WIDEST
    assert len(lines) <= 2 * 16
    assert any("@" in line for line in lines)


def test_a_folder_becomes_a_table_and_every_miss_counts(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, digit in (("7-good.png", 7), ("1.png", 1)):
        shutil.copy(events.DIGITS / f"{digit}.png", tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    assert api_test(server, image=tmp_path) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["image", "pred", "conf", "ms"]
    assert [row.split()[:2] for row in rows] == [["1.png", "1"], ["7-good.png", "7"]]
    (tmp_path / "broken.png").write_bytes(b"no image")
    shutil.copy(DIGIT, tmp_path / "4.png")
    assert api_test(server, image=tmp_path) == 1
    captured = capsys.readouterr()
    assert "is a 4" in captured.out
    assert captured.err == "error: of 4 images 1 were read wrongly and 1 were not answered\n"


def test_an_empty_folder_is_told(server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert api_test(server, image=tmp_path) == 1
    assert "holds no image" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["[1]", '"x"', "{}", '{"pred": 7, "conf": "high", "model": {}, "request_id": ""}'])
def test_an_answer_of_another_kind_is_one_line(
    answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    response = httpx.Response(200, text=answer, headers={"access-control-allow-origin": "*"})
    monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: response)
    assert local_command.main(["api-test", "--url", "http://127.0.0.1", "--token", "x"]) == 1
    assert "does not hold pred" in capsys.readouterr().err


def test_a_file_that_is_no_certificate_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        command = ["api-test", "--url", "https://127.0.0.1", "--token", "x", "--ca", str(path)]
        assert local_command.main(command) == 1
        assert "cannot be used as a certificate" in capsys.readouterr().err
