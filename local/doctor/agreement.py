"""Whether template, code, locks and image say the same."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.build import FUNCTION
from local.doctor.code import Code
from local.doctor.subject import Finding, NotCheckedError, Subject

IMAGE = "retrainfunction:retrain"
# What Lambda itself does with a function's role, and no code of ours.
_OF_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",  # the destination of what failed
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}
# Granted without a call: S3 answers 404 for a key that is not there only to those who may list.
_WITHOUT_CALL = {FUNCTION: {"s3:ListBucket"}}
# Read where they are set, and left to whoever runs the training by hand.
_FOR_PEOPLE = {"DIGITS_MNIST"}
# Read by numpy's own library.
_FOR_LIBRARIES = {"OPENBLAS_NUM_THREADS"}


def variables(subject: Subject) -> Iterator[Finding | str]:
    """Compare the variables that the template sets for each function with those that its code reads."""
    common = subject.template["Globals"]["Function"]["Environment"]["Variables"].keys()
    for name, properties in subject.functions().items():
        told = common | properties["Environment"]["Variables"].keys()
        read = _code_of(subject, name).variables() - _FOR_PEOPLE
        for variable in sorted(told - read - _FOR_LIBRARIES):
            cure = f"take it out of {name} in template.yaml, or have the settings read it"
            if variable not in common:
                yield Finding(f"{name} is given {variable}, which its code does not read", cure)
        for variable in sorted(read - told):
            yield Finding(
                f"the code of {name} reads {variable}, which is not set", f"set it in template.yaml for {name}"
            )
        yield f"{name} {len(told & read)}"


def permissions(subject: Subject) -> Iterator[Finding | str]:
    """Compare what each function's role allows with the calls that its code may make."""
    resources = subject.template["Resources"]
    for name, properties in subject.functions().items():
        role = properties["Role"]["Fn::GetAtt"][0]
        statements = [
            statement
            for policy in resources[role]["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        granted = {action for statement in statements for action in _listed(_plain(statement)["Action"])}
        code = _code_of(subject, name)
        called = code.actions()
        for method in sorted(code.unknown()):
            what = f"the code of {name} calls {method}, of which the doctor does not know what it needs"
            yield Finding(what, "add it to ACTIONS in local/doctor/code.py")
        for action in sorted(called - granted):
            yield Finding(f"the code of {name} needs {action}", f"allow it in {role}, for what it is called on alone")
        for action in sorted(granted - called - _OF_LAMBDA - _WITHOUT_CALL.get(name, set())):
            yield Finding(f"{role} allows {action}, which no code calls", f"take it out of {role}")
        for statement in statements:
            plain = _plain(statement)
            if plain["Resource"] == "*" and not all(each.startswith("xray:") for each in _listed(plain["Action"])):
                yield Finding(f"{role} allows {plain['Action']} on everything", "name what it is allowed on")
        yield f"{role} {len(called)}"


def limits(subject: Subject) -> Iterator[Finding | str]:
    """Look whether every route that reads pictures has the tighter limit, and none has one that is not there."""
    api = subject.template["Resources"]["HttpApi"]["Properties"]["RouteSettings"]
    document = json.loads((subject.root / "docs/openapi.json").read_text())
    posted = {f"POST {path}" for path, methods in document["paths"].items() if "post" in methods}
    events = subject.functions()[FUNCTION]["Events"].values()
    routes = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}"
        for event in events
        if "Path" in event["Properties"]
    }
    for route in sorted(posted - api.keys() | posted - routes):
        cure = "give it an event of PredictApiFunction and RouteSettings of HttpApi in template.yaml"
        yield Finding(f"{route} has no limit of its own", cure)
    for route in sorted((api.keys() | routes) - posted):
        yield Finding(f"{route} has a limit, and is no route", "take it out of template.yaml")
    yield f"{len(posted & api.keys())} routes that read pictures"


def locks(subject: Subject) -> Iterator[Finding | str]:
    """Compare the versions of all locks, of what was built, and of Python, with each other."""
    root = subject.root
    dev = _locked(root / "requirements/dev.txt")
    built = {
        "RuntimeLayer": (root / "layers/runtime/requirements.txt", subject.build / "RuntimeLayer/python"),
        **{
            name: (root / properties["CodeUri"] / _package(properties) / "requirements.txt", subject.build / name)
            for name, properties in subject.zipped().items()
        },
    }
    count = 0
    for name, (lock, folder) in built.items():
        if not lock.exists():
            continue
        wanted, there = _locked(lock), _installed(folder)
        for package in sorted(wanted.keys() & there.keys()):
            count += 1
            if there[package] not in wanted[package]:
                what = f"{name} holds {package} {there[package]}, and its lock says {_listing(wanted[package])}"
                yield Finding(what, "run make build")
        yield from _differences(f"{lock.relative_to(root)}", wanted, dev)
    yield from _differences("requirements/train.txt", _locked(root / "requirements/train.txt"), dev)
    python = (root / ".python-version").read_text().strip()
    dockerfile = (root / "functions/retrain/Dockerfile").read_text()
    runtimes = {properties["Runtime"].removeprefix("python") for properties in subject.zipped().values()}
    runtimes |= set(re.findall(r"^FROM \S+/python:(\S+)", dockerfile, re.MULTILINE))
    if runtimes != {python}:
        what = (
            f"template.yaml and the Dockerfile have Python {', '.join(sorted(runtimes))}, .python-version has {python}"
        )
        yield Finding(what, "use one Python everywhere")
    yield f"{count} packages as locked, Python {python}"


def image(subject: Subject) -> Iterator[Finding | str]:
    """Compare the packages in the retrain function's image with its lock."""
    command = ["docker", "run", "--rm", "--entrypoint", "ls", IMAGE, "."]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NotCheckedError(f"there is no Docker engine, or no image {IMAGE}: make build-all builds it") from error
    there = _metadata(listed.split())
    wanted = _locked(subject.root / "requirements/train.txt")
    for package in sorted(wanted.keys() & there.keys()):
        if there[package] not in wanted[package]:
            locked = _listing(wanted[package])
            what = f"the image holds {package} {there[package]}, and requirements/train.txt says {locked}"
            yield Finding(what, "run make build-all")
    if not there.keys() & wanted.keys():
        yield Finding(f"the image {IMAGE} holds none of its packages", "run make build-all")
    yield f"{len(wanted.keys() & there.keys())} packages as locked"


def _code_of(subject: Subject, function: str) -> Code:
    """Return the code of a function: as built, or, of an image, as the sources have it."""
    properties = subject.functions()[function]
    root = subject.root
    if function in subject.zipped():
        path = subject.search_path(function)
        folders = {"functions": path[0], "digits": path[-1]}
        return Code(properties["Handler"], folders)
    folders = {"functions": root, "digits": root / "layers/digits", "training": root}
    dockerfile = root / subject.template["Resources"][function]["Metadata"]["Dockerfile"]
    (handler,) = re.findall(r'CMD \["([^"]+)"\]', dockerfile.read_text())
    return Code(handler, folders)


def _package(properties: dict[str, Any]) -> str:
    """Return the folder of a function's own package below its CodeUri."""
    name: str = properties["Handler"].split(".")[1]
    return name


def _plain(statement: dict[str, Any]) -> dict[str, Any]:
    """Return a statement, or the one that a condition allows."""
    return statement["Fn::If"][1] if "Fn::If" in statement else statement


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _locked(path: Path) -> dict[str, set[str]]:
    """Return the versions that a lock has of each package: in most cases one, or one for each kind of machine."""
    locked: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", path.read_text(), re.MULTILINE):
        locked.setdefault(package, set()).add(version)
    return locked


def _listing(versions: set[str]) -> str:
    return " or ".join(sorted(versions))


def _installed(folder: Path) -> dict[str, str]:
    return _metadata(path.name for path in folder.glob("*.dist-info"))


def _metadata(names: Any) -> dict[str, str]:
    """Return the versions that names of metadata folders tell."""
    found = (re.fullmatch(r"(.+)-([^-]+)\.dist-info", name) for name in names)
    return {match[1].lower().replace("_", "-").replace(".", "-"): match[2] for match in found if match}


def _differences(name: str, lock: dict[str, set[str]], dev: dict[str, set[str]]) -> Iterator[Finding]:
    for package in sorted(lock.keys() & dev.keys()):
        if lock[package] != dev[package]:
            here, there = _listing(lock[package]), _listing(dev[package])
            what = f"{name} has {package} {here}, and requirements/dev.txt has {there}"
            yield Finding(what, "run make lock")
