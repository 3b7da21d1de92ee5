"""Whether the account can take the stack, and the stack is still what was deployed; needs credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from digits.registry.bucket import first_line
from local.doctor.subject import Finding, NotCheckedError

# https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html, "Supported Regions": all commercial ones but these.
WITHOUT_SNAPSTART = {"ap-east-2", "ap-southeast-6"}
NOT_COMMERCIAL = ("cn-", "us-gov-", "us-iso", "eusc-")
_MEMORY_QUOTA = "Function memory maximum"
# What an account keeps free of reservations.
LEAST_UNRESERVED = 100
_DRIFT_SECONDS, _POLL_SECONDS = 120.0, 3.0

type Clients = Callable[[str], Any]


def check_account(
    stack: str, defaults: Mapping[str, str], wanted: Mapping[str, str], clients: Clients
) -> Iterator[Finding | str]:
    """Compare the account's quotas, its region and the stack's resources with what the stack wants.

    Args:
        defaults: the template's parameters; those of a stack that is there count for more.
        wanted: those that are about to be set, which count most.

    Raises:
        NotCheckedError: there are no credentials.
    """
    try:
        identity = clients("sts").get_caller_identity()
        region = clients("lambda").meta.region_name
        deployed = parameters_of(stack, clients)
    except (BotoCoreError, ClientError) as error:
        raise NotCheckedError(f"AWS does not answer: {first_line(error)}") from error
    yield f"account {identity['Account']}, {region}"
    parameters = {**defaults, **deployed, **wanted}
    yield from _snapshots(parameters, region)
    yield from _if_allowed("concurrency", lambda: _concurrency(parameters, clients))
    yield from _if_allowed("memory", lambda: _memory(parameters, clients))
    if deployed:
        yield from _if_allowed("drift", lambda: _drift(stack, clients))


def parameters_of(stack: str, clients: Clients) -> dict[str, str]:
    """Return the parameters of a deployed stack; none where it is not there."""
    try:
        (described,) = clients("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return {}
    return {each["ParameterKey"]: each["ParameterValue"] for each in described.get("Parameters", [])}


def _if_allowed(name: str, ask: Callable[[], Iterator[Finding | str]]) -> Iterator[Finding | str]:
    """Pass on what asking gives; what may not be asked is said, and is no finding."""
    try:
        yield from ask()
    except (BotoCoreError, ClientError) as error:
        yield f"{name}: not told ({first_line(error)})"


def _concurrency(parameters: dict[str, str], clients: Clients) -> Iterator[Finding | str]:
    limit = clients("lambda").get_account_settings()["AccountLimit"]
    at_once, free = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    yield f"{at_once} containers at once, {free} of them not reserved"
    wanted = int(parameters.get("ReservedConcurrency") or 0)
    if wanted and at_once - wanted < LEAST_UNRESERVED:
        what = f"ReservedConcurrency={wanted} leaves fewer than {LEAST_UNRESERVED} of the account's {at_once}"
        yield Finding(what, "ask AWS for more concurrent executions (Service Quotas), or reserve none")


def _memory(parameters: dict[str, str], clients: Clients) -> Iterator[Finding | str]:
    pages = clients("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="lambda")
    quotas = (quota for page in pages for quota in page["Quotas"])
    allowed = next((int(each["Value"]) for each in quotas if each["QuotaName"] == _MEMORY_QUOTA), None)
    if allowed is None:
        yield "memory of a function: not told; new accounts have 3,008 MB"
        return
    yield f"{allowed:,} MB of memory for a function"
    for name, value in parameters.items():
        if name.endswith("MemoryMegabytes") and int(value) > allowed:
            yield Finding(
                f"{name}={value} is more than the account's {allowed}", f"deploy with {name}={allowed} or less"
            )


def _snapshots(parameters: dict[str, str], region: str) -> Iterator[Finding | str]:
    has = region not in WITHOUT_SNAPSTART and not region.startswith(NOT_COMMERCIAL)
    yield f"SnapStart is {'there' if has else 'not there'} in {region}"
    if parameters.get("SnapStart") == "on" and not has:
        yield Finding(f"{region} has no SnapStart", "deploy with SnapStart=off, or elsewhere")


def _drift(stack: str, clients: Clients) -> Iterator[Finding | str]:
    client = clients("cloudformation")
    detection = client.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
    end = time.monotonic() + _DRIFT_SECONDS
    while True:
        status = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if status["DetectionStatus"] != "DETECTION_IN_PROGRESS" or time.monotonic() > end:
            break
        time.sleep(_POLL_SECONDS)
    if status["DetectionStatus"] != "DETECTION_COMPLETE":
        why = status.get("DetectionStatusReason", status["DetectionStatus"])
        yield f"drift: not told of every resource ({why})"
    drifts = client.describe_stack_resource_drifts(
        StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
    )["StackResourceDrifts"]
    for drift in drifts:
        changed = ", ".join(each["PropertyPath"] for each in drift.get("PropertyDifferences", [])) or "the whole of it"
        what = f"{drift['LogicalResourceId']} is {drift['StackResourceDriftStatus'].lower()} by hand: {changed}"
        cure = "put it back, or put the change into template.yaml: a deployment writes over it"
        yield Finding(what, cure, hinders=False)
    if not drifts:
        yield f"{stack} is as it was deployed"
