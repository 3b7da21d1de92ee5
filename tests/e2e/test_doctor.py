"""The checklist before a deployment, against what was built, and against artifacts that are broken on purpose."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from local.build import BATCH, FUNCTION, LAYERS, PRE_TRAFFIC
from local.doctor import agreement, artifact
from local.doctor.account import check_account
from local.doctor.checklist import CHECKS, examine
from local.doctor.subject import Finding, NotCheckedError, Subject

ROOT = Path(__file__).parents[2]
# What the doctor reads of the sources.
SOURCES = (
    "template.yaml",
    ".python-version",
    "docs/openapi.json",
    "requirements",
    "layers",
    "functions",
    "training",
)


@pytest.fixture
def subject(build: Path, tmp_path: Path) -> Subject:
    """A copy of the artifact and of the sources; files are links to the same ones until they are written anew."""
    for name in (FUNCTION, BATCH, PRE_TRAFFIC, *LAYERS):
        shutil.copytree(build / name, tmp_path / "build" / name, copy_function=os.link)
    shutil.copy(build / "template.yaml", tmp_path / "build")
    for name in SOURCES:
        source, target = ROOT / name, tmp_path / "root" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return Subject(tmp_path / "build", tmp_path / "root", "x86_64")


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Write a file anew, so that the one that it was linked to stays."""
    data, mode = path.read_bytes(), path.stat().st_mode
    path.unlink(missing_ok=True)
    path.write_bytes(change(data))
    path.chmod(stat.S_IMODE(mode))


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text(), (path, old)
    rewrite(path, lambda data: data.replace(old.encode(), new.encode(), 1))


def findings(name: str, subject: Subject) -> list[str]:
    found = [each for each in CHECKS[name](subject) if isinstance(each, Finding)]
    assert all(each.cure for each in found)
    return [each.what for each in found]


def test_what_is_built_has_no_findings(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(Subject(build, ROOT, "x86_64")) == []
    printed = capsys.readouterr().out
    assert [line[4:].partition(":")[0] for line in printed.splitlines()] == list(CHECKS)
    assert not re.search(r"^BAD", printed, re.MULTILINE)


# name of a check: what breaks an artifact, and what is found
def _large(subject: Subject) -> None:
    with (subject.build / LAYERS[0] / "large").open("wb") as file:
        file.truncate(artifact.LAMBDA_BYTES)


def _other_machine(subject: Subject) -> None:
    path = next((subject.build / LAYERS[0] / "python/numpy").rglob("*.so"))
    rewrite(path, lambda data: data[:18] + (183).to_bytes(2, "little") + data[20:])


def _newer_library(subject: Subject) -> None:
    path = next((subject.build / LAYERS[0] / "python/numpy").rglob("_multiarray_umath*.so"))
    rewrite(path, lambda data: re.sub(rb"GLIBC_2\.1[0-9]\0", b"GLIBC_2.39\0", data))


def _no_bytecode(subject: Subject) -> None:
    next((subject.build / LAYERS[1] / "python/digits").rglob("reading*.pyc")).unlink()


def _other_bytecode(subject: Subject) -> None:
    path = next((subject.build / LAYERS[0] / "python/fastapi").rglob("*.pyc"))
    rewrite(path, lambda data: b"\x00\x00" + data[2:])


def _checked_bytecode(subject: Subject) -> None:
    path = next((subject.build / LAYERS[0] / "python/fastapi").rglob("*.pyc"))
    rewrite(path, lambda data: data[:4] + b"\0" + data[5:])


def _stale_bytecode(subject: Subject) -> None:
    path = subject.build / LAYERS[1] / "python/digits/reading.py"
    rewrite(path, lambda data: data + b"\n")


def _half_a_library(subject: Subject) -> None:
    path = next((subject.build / LAYERS[0] / "python/numpy").rglob("*.so"))
    rewrite(path, lambda data: data[:100])


def _library_of_another_system(subject: Subject) -> None:
    path = next((subject.build / LAYERS[0] / "python/numpy").rglob("*.so"))
    rewrite(path, lambda data: b"\xcf\xfa\xed\xfe" + data[4:])


def _file_gone(subject: Subject) -> None:
    (subject.build / FUNCTION / "functions/predict_api/page/style.css").unlink()


def _other_template(subject: Subject) -> None:
    replace(subject.root / "template.yaml", "Timeout: 29", "Timeout: 28")


def _call_that_is_not_known(subject: Subject) -> None:
    path = subject.build / BATCH / "functions/batch/handler.py"
    line = "    bucket, models = _container()\n"
    replace(path, line, f"{line}    bucket._client.copy_object(Bucket='b', Key='k', CopySource='c')\n")


def _writable(subject: Subject) -> None:
    path = subject.build / FUNCTION / "functions/__init__.py"
    rewrite(path, bytes)
    path.chmod(0o666)


def _link(subject: Subject) -> None:
    (subject.build / FUNCTION / "elsewhere").symlink_to("/etc/passwd")


def _secret(subject: Subject) -> None:
    (subject.build / FUNCTION / "functions/notes.py").write_text("KEY = 'AKIA" + "Z" * 16 + "'\n")


def _secret_file(subject: Subject) -> None:
    (subject.build / FUNCTION / ".env").write_text("A=1\n")


def _missing_package(subject: Subject) -> None:
    shutil.rmtree(subject.build / LAYERS[0] / "python/fastapi")


def _missing_boto3(subject: Subject) -> None:
    shutil.rmtree(subject.build / PRE_TRAFFIC / "boto3")


def _source_changed(subject: Subject) -> None:
    replace(subject.root / "layers/digits/digits/numbers.py", "from __future__", "# new\nfrom __future__")


def _no_preflight(subject: Subject) -> None:
    path = subject.build / FUNCTION / "functions/predict_api/cors.py"
    _replace_module(path, "access-control-allow-origin", "access-control-allow-nobody")


def _no_stage(subject: Subject) -> None:
    path = subject.build / FUNCTION / "functions/predict_api/gateway.py"
    text = path.read_text()
    _replace_module(path, "def mounted(", "def mounted(event, path, base):\n    return '', path\n\n\ndef _mounted(")
    assert text != path.read_text()


def _replace_module(path: Path, old: str, new: str) -> None:
    replace(path, old, new)
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def _variable_too_many(subject: Subject) -> None:
    replace(
        subject.root / "template.yaml",
        "          DIGITS_BASE_PATH:",
        "          DIGITS_NOTHING: x\n          DIGITS_BASE_PATH:",
    )


def _variable_too_few(subject: Subject) -> None:
    replace(subject.root / "template.yaml", "          DIGITS_BASE_PATH: !Ref BasePath\n", "")


def _right_too_few(subject: Subject) -> None:
    replace(subject.root / "template.yaml", "Action: s3:DeleteObject", "Action: s3:PutObject")


def _right_too_many(subject: Subject) -> None:
    replace(subject.root / "template.yaml", "Action: s3:ListBucket", "Action: [s3:ListBucket, s3:DeleteBucket]")


def _right_on_everything(subject: Subject) -> None:
    replace(subject.root / "template.yaml", "Resource: !GetAtt Bucket.Arn", 'Resource: "*"')


def _no_limit(subject: Subject) -> None:
    path = subject.root / "docs/openapi.json"
    document = json.loads(path.read_text())
    document["paths"]["/v1/new"] = {"post": {}}
    rewrite(path, lambda _: json.dumps(document).encode())


def _limit_too_many(subject: Subject) -> None:
    replace(subject.root / "template.yaml", "        POST /v1/read:", "        POST /v1/reed:")


def _other_lock(subject: Subject) -> None:
    path = subject.root / "layers/runtime/requirements.txt"
    rewrite(path, lambda data: re.sub(rb"^numpy==\S+", b"numpy==1.0", data, flags=re.MULTILINE))


def _other_python(subject: Subject) -> None:
    replace(subject.root / ".python-version", "3.13", "3.12")


BREAKS: list[tuple[str, Callable[[Subject], None], str]] = [
    ("sizes", _large, "bytes unzipped"),
    ("machine code", _other_machine, "is for EM_AARCH64"),
    ("C library", _newer_library, "needs GLIBC 2.39"),
    ("bytecode", _no_bytecode, "has no bytecode"),
    ("bytecode", _other_bytecode, "bytecode of another Python"),
    ("bytecode", _checked_bytecode, "checked against its source"),
    ("bytecode", _stale_bytecode, "bytecode of another source"),
    ("machine code", _half_a_library, "is no shared object for Linux"),
    ("machine code", _library_of_another_system, "is no shared object for Linux"),
    ("built from these sources", _file_gone, "style.css is missing"),
    ("built from these sources", _other_template, "PredictApiFunction in the built template"),
    ("permissions", _call_that_is_not_known, "calls copy_object"),
    ("modes and secrets", _writable, "can be written by others"),
    ("modes and secrets", _link, "is a link"),
    ("modes and secrets", _secret, "looks like a credential"),
    ("modes and secrets", _secret_file, "looks like a credential"),
    ("handlers", _missing_package, "No module named 'fastapi'"),
    ("handlers", _missing_boto3, "No module named 'boto3'"),
    ("built from these sources", _source_changed, "numbers.py is not what the sources say"),
    ("routes", _no_preflight, "a preflight of POST /v1/predict"),
    ("routes", _no_stage, "POST /stage/v1/predict is answered with 404"),
    ("variables", _variable_too_many, "is given DIGITS_NOTHING"),
    ("variables", _variable_too_few, "reads DIGITS_BASE_PATH"),
    ("permissions", _right_too_few, "needs s3:DeleteObject"),
    ("permissions", _right_too_many, "allows s3:DeleteBucket"),
    ("permissions", _right_on_everything, "on everything"),
    ("limits", _no_limit, "POST /v1/new has no limit"),
    ("limits", _limit_too_many, "POST /v1/reed has a limit"),
    ("locks", _other_lock, "its lock says 1.0"),
    ("locks", _other_python, ".python-version has 3.12"),
]


@pytest.mark.parametrize(("name", "break_it", "expected"), BREAKS, ids=[each[1].__name__[1:] for each in BREAKS])
def test_what_is_broken_is_found(
    subject: Subject, name: str, break_it: Callable[[Subject], None], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not findings(name, subject)
    break_it(subject)
    broken = Subject(subject.build, subject.root, subject.architecture)
    found = findings(name, broken)
    assert any(expected in what for what in found), found


def test_every_check_has_something_that_it_finds() -> None:
    assert {name for name, _, _ in BREAKS} == CHECKS.keys() - {"image"}


def test_findings_are_counted_and_told_with_their_cures(subject: Subject, capsys: pytest.CaptureFixture[str]) -> None:
    _no_bytecode(subject)
    assert len(examine(subject)) == 1
    printed = capsys.readouterr().out
    assert re.search(
        r"^BAD bytecode: .*\n    .* has no bytecode.*\n      -> run make clean and make build$", printed, re.M
    )


def test_code_for_another_machine_is_not_run(subject: Subject) -> None:
    other = Subject(subject.build, subject.root, "arm64")
    for name in ("handlers", "routes"):
        with pytest.raises(NotCheckedError, match="does not run here"):
            list(CHECKS[name](other))
    assert any("not EM_AARCH64" in what for what in findings("machine code", other))


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("numpy-1.0.dist-info keras", "the image holds numpy 1.0"),
        ("", "holds none of its packages"),
        (None, "no Docker engine"),
    ],
)
def test_the_image_is_compared_with_its_lock(
    monkeypatch: pytest.MonkeyPatch, build: Path, listed: str | None, expected: str
) -> None:
    def run(*_: Any, **__: Any) -> Any:
        if listed is None:
            raise FileNotFoundError("docker")
        return SimpleNamespace(stdout=listed)

    monkeypatch.setattr(subprocess, "run", run)
    subject = Subject(build, ROOT, "x86_64")
    try:
        told = [each.what for each in agreement.image(subject) if isinstance(each, Finding)]
    except NotCheckedError as error:
        told = [str(error)]
    assert any(expected in each for each in told)


# The account


QUOTAS = [
    {"QuotaName": "Function memory minimum", "Value": 128.0},
    {"QuotaName": "Function memory maximum", "Value": 3008.0},
]
LIMIT = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900}


class Account:
    """An account's answers, as boto3's clients give them."""

    def __init__(
        self,
        parameters: dict[str, str] | None = None,
        region: str = "eu-west-1",
        quotas: list[Any] | None = None,
        **answers: Any,
    ) -> None:
        described = [{"ParameterKey": name, "ParameterValue": value} for name, value in (parameters or {}).items()]
        self.meta = SimpleNamespace(region_name=region)
        self.answers = {
            "get_caller_identity": {"Account": "123456789012"},
            "describe_stacks": {"Stacks": [{"Parameters": described}]},
            "get_account_settings": {"AccountLimit": LIMIT},
            "get_paginator": SimpleNamespace(paginate=lambda **_: [{"Quotas": quotas or []}]),
            "detect_stack_drift": {"StackDriftDetectionId": "1"},
            "describe_stack_drift_detection_status": {"DetectionStatus": "DETECTION_COMPLETE"},
            "describe_stack_resource_drifts": {"StackResourceDrifts": []},
            **answers,
        }

    def __call__(self, _: str) -> Account:
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        answer = self.answers[name]

        def call(*_: Any, **__: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def asked(account: Account, wanted: dict[str, str] | None = None) -> tuple[list[str], list[str]]:
    told: Iterator[Finding | str] = check_account("stack", {"RetrainMemoryMegabytes": "3008"}, wanted or {}, account)
    both = list(told)
    return [each for each in both if isinstance(each, str)], [each.what for each in both if isinstance(each, Finding)]


def test_an_account_that_can_take_the_stack_has_no_findings() -> None:
    told, found = asked(Account({"SnapStart": "on", "ReservedConcurrency": "50"}))
    assert not found
    assert "1000 containers at once, 900 of them not reserved" in told
    assert "stack is as it was deployed" in told


DRIFT = {
    "LogicalResourceId": "BucketPolicy",
    "StackResourceDriftStatus": "MODIFIED",
    "PropertyDifferences": [{"PropertyPath": "/PolicyDocument/Statement/0"}],
}


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (Account({"SnapStart": "on"}, region="ap-east-2"), "ap-east-2 has no SnapStart"),
        (Account({"SnapStart": "on"}, region="cn-north-1"), "cn-north-1 has no SnapStart"),
        (Account({"ReservedConcurrency": "950"}), "ReservedConcurrency=950 leaves fewer than 100"),
        (
            Account(
                {"RetrainMemoryMegabytes": "10240"},
                quotas=QUOTAS,
            ),
            "RetrainMemoryMegabytes=10240 is more than the account's 3008",
        ),
        (
            Account({"SnapStart": "off"}, describe_stack_resource_drifts={"StackResourceDrifts": [DRIFT]}),
            "BucketPolicy is modified by hand: /PolicyDocument/Statement/0",
        ),
    ],
)
def test_an_account_that_cannot_take_the_stack_is_found_out(account: Account, expected: str) -> None:
    _, found = asked(account)
    assert any(expected in what for what in found), found


def test_a_stack_that_is_not_there_yet_has_not_drifted() -> None:
    missing = ClientError({"Error": {"Code": "ValidationError", "Message": "stack does not exist"}}, "DescribeStacks")
    told, found = asked(Account(describe_stacks=missing))
    assert not found
    assert not [each for each in told if "deployed" in each]


def test_without_credentials_the_account_is_not_asked() -> None:
    with pytest.raises(NotCheckedError, match="Unable to locate credentials"):
        asked(Account(get_caller_identity=NoCredentialsError()))


def test_what_is_about_to_be_deployed_counts_more_than_what_is() -> None:
    account = Account({"SnapStart": "off", "RetrainMemoryMegabytes": "3008"}, region="ap-east-2", quotas=QUOTAS)
    assert not asked(account)[1]
    _, found = asked(account, {"SnapStart": "on", "RetrainMemoryMegabytes": "4096"})
    assert len(found) == 2


def test_drift_does_not_keep_a_deployment_from_mending_it() -> None:
    account = Account({"SnapStart": "off"}, describe_stack_resource_drifts={"StackResourceDrifts": [DRIFT]})
    (finding,) = [each for each in check_account("stack", {}, {}, account) if isinstance(each, Finding)]
    assert not finding.hinders


def test_what_may_not_be_asked_is_said_and_is_no_finding() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetAccountSettings")
    told, found = asked(Account({"SnapStart": "off"}, get_account_settings=denied))
    assert not found
    assert any(each.startswith("concurrency: not told") for each in told)
