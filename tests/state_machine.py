"""The state machine of batches in moto's Step Functions, with the handler of this process in place of Lambda's.

What moto 5.2 does not do is left to a deployed run: see `test_batch_state_machine`.
"""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.config import default_user_config
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

type Document = dict[str, Any]
type Handle = Callable[[Document], Document]

DEFINITION = Path(__file__).parents[1] / "functions/batch/state_machine.asl.json"
_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:BatchFunction"
_ROLE = "arn:aws:iam::123456789012:role/BatchStateMachineRole"
_MOST_SECONDS = 60.0


def definition() -> Document:
    """Return the definition, as it stands in the repository."""
    read: Document = json.loads(DEFINITION.read_text())
    return read


def for_moto(given: Document) -> Document:
    """Return a definition that moto takes: its items come one by one, each in the form of a batch of one."""
    changed = copy.deepcopy(given)
    read_all = changed["States"]["ReadAll"]
    read_all["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "STANDARD"
    batcher, _ = read_all.pop("ItemBatcher"), read_all.pop("ResultWriter")
    read_all["ItemSelector"] = {
        "BatchInput": batcher["BatchInput"],
        "Items.$": "States.Array($$.Map.Item.Value)",
    }
    return changed


@dataclass(frozen=True)
class StateMachine:
    """The state machine, to be executed."""

    address: str
    client: SFNClient
    arn: str

    def execute(self, order: Document) -> Document:
        """Return how an execution ended, as Step Functions describes it."""
        name = uuid.uuid4().hex
        started = self.client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(order))
        execution = started["executionArn"]
        end = time.monotonic() + _MOST_SECONDS
        while (described := self.client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"{execution} does not end"
            time.sleep(0.05)
        return {**described}


@contextmanager
def running(handle: Handle) -> Iterator[StateMachine]:
    """Run the state machine, which has a handler do its tasks, one at a time."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOTO_PORT", address.rpartition(":")[2])
        patched.setenv("NO_PROXY", "127.0.0.1,localhost")
        patched.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
        patched.setitem(default_user_config, "lambda", {"use_docker": False})
        patched.setattr(LambdaSimpleBackend, "invoke", _invoker(handle))
        client = boto3.client("stepfunctions", endpoint_url=address)
        text = json.dumps(for_moto(definition())).replace("${BatchFunctionArn}", _FUNCTION)
        arn = client.create_state_machine(name="batch", definition=text, roleArn=_ROLE)["stateMachineArn"]
        yield StateMachine(address, client, arn)
    server.stop()


def _invoker(handle: Handle) -> Callable[..., bytes]:
    one_at_a_time = Lock()  # as in a container

    def invoke(*called: Any) -> bytes:
        *_, body, _, response_headers = called
        try:
            with one_at_a_time:
                told = handle(json.loads(body))
        except Exception as error:  # as Lambda tells it
            response_headers["x-amz-function-error"] = "Unhandled"
            told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["…", "…"]}
        return json.dumps(told).encode()

    return invoke
