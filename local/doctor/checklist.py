"""The checklist: all checks in order, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import boto3

from digits.errors import OperationError
from local.doctor import account, agreement, artifact, routes
from local.doctor.subject import Finding, NotCheckedError, Subject

type Check = Callable[[Subject], Iterator[Finding | str]]

CHECKS: dict[str, Check] = {
    "built from these sources": artifact.sources,
    "sizes": artifact.sizes,
    "machine code": artifact.machine_code,
    "C library": artifact.symbol_versions,
    "bytecode": artifact.bytecode,
    "modes and secrets": artifact.modes_and_secrets,
    "handlers": artifact.handlers,
    "routes": routes.routes,
    "variables": agreement.variables,
    "permissions": agreement.permissions,
    "limits": agreement.limits,
    "locks": agreement.locks,
    "image": agreement.image,
}


def examine(
    subject: Subject,
    stack: str = "",
    parameters: Mapping[str, str] | None = None,
    *,
    retraining: bool = True,
    say: Callable[[str], None] = print,
) -> list[Finding]:
    """Make all checks, tell what each found, and return the findings.

    Args:
        stack: asks the account about this stack, too; where there are no credentials, that is said.
        parameters: of the template, that are about to be deployed.
        retraining: whether the image will be deployed, too.

    Raises:
        OperationError: nothing is built.
    """
    if not (subject.build / "template.yaml").exists():
        raise OperationError("there is nothing to examine: run make build")
    checks: dict[str, Check] = {name: check for name, check in CHECKS.items() if retraining or name != "image"}
    if stack:
        clients: Any = boto3.client
        checks["account"] = lambda _: account.check_account(stack, _defaults(subject), parameters or {}, clients)
    return [finding for name, check in checks.items() for finding in _make(name, partial(check, subject), say)]


def _defaults(subject: Subject) -> dict[str, str]:
    return {name: str(each["Default"]) for name, each in subject.template["Parameters"].items()}


def _make(name: str, check: Callable[[], Iterator[Finding | str]], say: Callable[[str], None]) -> list[Finding]:
    told: list[Finding | str] = []
    try:
        told += check()
    except NotCheckedError as error:
        say(f"-   {name}: not checked: {error}")
        return []
    findings = [each for each in told if isinstance(each, Finding)]
    say(f"{'BAD' if findings else 'ok '} {name}: {'; '.join(each for each in told if isinstance(each, str))}")
    for finding in findings:
        say(f"    {finding.what}")
        say(f"      -> {finding.cure}")
    return findings
