"""Whether the built API answers preflight and a stage's path on every route."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator

from local.build import FUNCTION, bare_python
from local.doctor.artifact import check_runs_here
from local.doctor.subject import Finding, Subject

ORIGIN = "https://page.example"
_STAGE = "/stage"
_VERSION = "no-version"  # so that a route that takes one may answer 404
# Asks the handler all events of standard input, in the interpreter that has the built tree alone.
_SCRIPT = """
import json, sys
from types import SimpleNamespace
from {module} import {name}
answers = [{name}(event, SimpleNamespace(aws_request_id="doctor")) for event in json.load(sys.stdin)]
print("\\n" + json.dumps([[each.get("statusCode"), each.get("headers")] for each in answers]))
"""


def routes(subject: Subject) -> Iterator[Finding | str]:
    """Send a preflight, and a request through a stage, to every route of the API's description."""
    check_runs_here(subject)
    document = json.loads((subject.root / "docs/openapi.json").read_text())
    asked = [
        (method.upper(), path.replace("{name}", "digits").replace("{version}", _VERSION))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    events = [_event("OPTIONS", path, method) for method, path in asked]
    events += [_event(method, path, stage=_STAGE) for method, path in asked]
    answers = _ask(subject, events)
    if answers is None:
        yield Finding("the built handler does not answer", "see the handlers above")
        return
    for (method, path), (status, headers) in zip(asked, answers, strict=False):
        if status not in (200, 204) or headers.get("access-control-allow-origin") not in ("*", ORIGIN):
            what = f"a preflight of {method} {path} is answered with {status} and without the origin"
            yield Finding(what, "look at cors.py, and leave CORS out of HttpApi in template.yaml")
    for (method, path), (status, headers) in zip(asked, answers[len(asked) :], strict=True):
        if "x-request-id" not in headers or (status in (404, 405) and _VERSION not in path):
            yield Finding(
                f"{method} {_STAGE}{path} is answered with {status}", "look at gateway.py: it finds the stage"
            )
    yield f"{len(asked)} routes"


def _ask(subject: Subject, events: list[dict[str, object]]) -> list[tuple[int, dict[str, str]]] | None:
    module, _, name = subject.functions()[FUNCTION]["Handler"].rpartition(".")
    with tempfile.TemporaryDirectory() as empty:
        finished = subprocess.run(
            [*bare_python(), "-S", "-c", _SCRIPT.format(module=module, name=name)],
            env={
                "PYTHONPATH": ":".join(map(str, subject.search_path(FUNCTION))),
                "PYTHONDONTWRITEBYTECODE": "1",
                "DIGITS_BUCKET": "none",
                # Nobody listens there, so nothing leaves the machine.
                "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
                "AWS_ACCESS_KEY_ID": "none",
                "AWS_SECRET_ACCESS_KEY": "none",
            },
            cwd=empty,
            input=json.dumps(events),
            capture_output=True,
            text=True,
            check=False,
        )
    if finished.returncode:
        return None
    answers: list[tuple[int, dict[str, str]]] = json.loads(finished.stdout.splitlines()[-1])
    return answers


def _event(method: str, path: str, asks_for: str = "", stage: str = "") -> dict[str, object]:
    headers = {"origin": ORIGIN, "host": "api.execute-api.us-east-1.amazonaws.com"}
    if asks_for:
        headers |= {"access-control-request-method": asks_for, "access-control-request-headers": "authorization"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": stage + path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "http": {"method": method, "path": stage + path, "sourceIp": "127.0.0.1"},
            "stage": stage.strip("/") or "$default",
            "domainName": "api.execute-api.us-east-1.amazonaws.com",
        },
        "isBase64Encoded": False,
    }
