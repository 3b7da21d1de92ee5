"""The definition of the state machine: what a deployment would refuse, and what would only show when it is executed.

cfn-lint looks into a definition where it stands in CloudFormation's own resource, and not in SAM's. It does not follow
`Next`, so that the ways through the states are followed here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from cfnlint import ManualArgs, lint  # type: ignore[import-untyped]
from pydantic import BaseModel

from digits.errors import NoModelError, StoreError
from digits.registry.bucket import Bucket
from functions.batch.errors import SourceError, WorkerError
from functions.batch.models import Models
from functions.batch.tasks import Begin, Merge, ReadItems, run_task
from tests.state_machine import Document, definition
from tests.template import resolved

TASKS: dict[str, type[BaseModel]] = {"begin": Begin, "read": ReadItems, "merge": Merge}


def faults(template: Document) -> list[str]:
    """Return what cfn-lint has against a template, as rule and message."""
    found = lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"]))
    return [f"{fault.rule.id} {fault.message}" for fault in found]


def wrapped(given: Document) -> Document:
    """Return a template whose state machine has a definition."""
    properties = {
        "RoleArn": "arn:aws:iam::123456789012:role/BatchStateMachineRole",
        "Definition": given,
        "DefinitionSubstitutions": {"BatchFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:BatchFunction"},
    }
    return {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}


def machines(given: Document) -> Iterator[Document]:
    """Yield a definition, and those that it has its items go through."""
    yield given
    for state in given["States"].values():
        if "ItemProcessor" in state:
            yield from machines(state["ItemProcessor"])


def tasks(given: Document) -> list[Document]:
    return [state for machine in machines(given) for state in machine["States"].values() if state["Type"] == "Task"]


def check_ways(given: Document) -> None:
    """Make sure that the ways through the states lead to all of them, and nowhere else."""
    for machine in machines(given):
        ways = {machine["StartAt"], *(state["Next"] for state in machine["States"].values() if "Next" in state)}
        assert ways == machine["States"].keys()


def test_the_definition_has_no_faults() -> None:
    assert faults(wrapped(definition())) == []
    check_ways(definition())


def broken(*path: str, value: Any) -> Document:
    given = copy.deepcopy(definition())
    place = given
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return given


@pytest.mark.parametrize(
    "given",
    [
        broken("StartAt", value="Nowhere"),
        broken("States", "ReadAll", "ItemProcessor", "StartAt", value="Nowhere"),
        broken("States", "Merge", "End", value="yes"),
        broken("States", "Merge", "TimeOutSeconds", value=900),
        broken("States", "ReadAll", "Type", value="Maps"),
    ],
)
def test_a_definition_with_a_fault_is_found(given: Document) -> None:
    assert any(fault.startswith("E3601 ") for fault in faults(wrapped(given)))


def test_a_way_to_nowhere_is_found() -> None:
    with pytest.raises(AssertionError):
        check_ways(broken("States", "Begin", "Next", value="Nowhere"))
    with pytest.raises(AssertionError):
        check_ways(broken("States", "Begin", "Next", value="Merge"))  # past the state that reads


def test_the_template_that_sam_makes_has_no_faults(template: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of resources that wait for each other, too, which `sam validate` does not see."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert faults(resolved(template)) == []
    events = template["Resources"]["BatchFunction"]["Properties"]["Events"]
    events["Dropped"] = {"Type": "S3", "Properties": {"Bucket": {"Ref": "Bucket"}, "Events": "s3:ObjectCreated:*"}}
    assert any(fault.startswith("E3004 ") for fault in faults(resolved(template)))


def test_every_task_is_one_that_the_function_knows_with_its_members() -> None:
    payloads = [state["Parameters"]["Payload"] for state in tasks(definition())]
    assert {payload["task"] for payload in payloads} == TASKS.keys()
    for payload in payloads:
        members = {name.removesuffix(".$") for name in payload} - {"task"}
        assert members == TASKS[payload["task"]].model_fields.keys()
        with pytest.raises(SourceError, match="the task cannot be done"):  # and not "there is no task"
            run_task({"task": payload["task"]}, cast(Bucket, None), cast(Models, None))


def test_what_may_pass_is_tried_again_and_what_may_not_is_not() -> None:
    for state in tasks(definition()):
        (retry,) = state["Retry"]
        assert {StoreError.__name__, "Lambda.TooManyRequestsException"} <= {*retry["ErrorEquals"]}
        ours = {name for name in retry["ErrorEquals"] if not name.startswith("Lambda.")}
        assert ours <= {StoreError.__name__, NoModelError.__name__, WorkerError.__name__}
        assert (retry["JitterStrategy"], retry["BackoffRate"]) == ("FULL", 2)


def test_a_batch_is_read_within_the_time_and_size_of_an_express_execution() -> None:
    read_all = definition()["States"]["ReadAll"]
    assert read_all["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    (task,) = tasks(read_all["ItemProcessor"])
    assert task["TimeoutSeconds"] < 300
    # The function is given the batch, and with it the task and its own name.
    assert read_all["ItemBatcher"]["MaxInputBytesPerBatch"] + 1_000 < 256 * 2**10
