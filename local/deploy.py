"""A stack from nothing to its first answer, and away again; the steps of `make deploy` and `make destroy`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_dump, yaml_parse

from digits.errors import ConfigurationError, OperationError
from digits.registry import tokens
from digits.registry.bucket import Bucket, first_line
from digits.registry.versions import Registry
from local.api_test import SAMPLE, curl_line
from local.build import BUILD, without_retraining
from local.doctor.account import parameters_of
from local.doctor.checklist import examine
from local.doctor.subject import Subject
from local.programs import program
from local.stack import run_training

ROOT = Path(__file__).parents[1]
FIRST_TOKEN = "first"
# Of the acceptance tests, which revoke them; one that is left of a run that was killed is no caller's.
TEST_TOKENS = "acceptance-"
# What more than the template depends on.
DEFAULTS = {"Retraining": "on", "Architecture": "x86_64"}
KEPT_IMAGES = 3


@dataclass(frozen=True)
class Deployment:
    """What is deployed, and where.

    Attributes:
        stage: a section of samconfig.toml.
        stack: its name.
        parameters: of the template; others keep what they have.
    """

    stage: str
    stack: str
    parameters: dict[str, str]

    @property
    def retraining(self) -> bool:
        """Whether there is a function that retrains, which takes a Docker engine."""
        return self.parameters["Retraining"] == "on"

    @property
    def architecture(self) -> str:
        """What the other functions run on."""
        return self.parameters["Architecture"]


def resolve(
    stage: str, stack: str = "", parameters: Sequence[str] = (), retraining: str = "", architecture: str = ""
) -> Deployment:
    """Return what is meant by what an operator said.

    Args:
        stack: empty is that of the stage.
        parameters: `Name=value`, which win over those of the stage.
        retraining, architecture: empty is as the stage says, or as the stack has it, or as the template does.

    Raises:
        ConfigurationError: there is no such stage, or a parameter makes no sense.
    """
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    if stage not in stages or stage == "version":
        raise ConfigurationError(f"samconfig.toml has no stage {stage!r}")
    name = stack or stages[stage]["global"]["parameters"]["stack_name"]
    of_stage = shlex.split(stages[stage]["deploy"]["parameters"].get("parameter_overrides", ""))
    own, staged = _named(parameters), _named(of_stage)
    chosen = {"Retraining": retraining, "Architecture": architecture}
    for parameter in chosen.keys() & own.keys():
        raise ConfigurationError(f"{parameter} is set by {parameter.upper()}=…: more than the template depends on it")
    kept = {**DEFAULTS, **{each: value for each, value in _deployed(name).items() if each in DEFAULTS}}
    return Deployment(stage, name, {**kept, **staged, **{n: v for n, v in chosen.items() if v}, **own})


def _named(parameters: Sequence[str]) -> dict[str, str]:
    for each in parameters:
        if "=" not in each:
            raise ConfigurationError(f"a parameter is Name=value, and not {each!r}")
    return dict(each.split("=", 1) for each in parameters)


def _deployed(stack: str) -> dict[str, str]:
    """Return the parameters of the stack; none where it is not there, or nobody may ask, which comes out later."""
    client: Any = boto3.client
    try:
        return parameters_of(stack, client)
    except (BotoCoreError, ClientError):
        return {}


def overrides(deployment: Deployment) -> list[str]:
    """Return the parameters as SAM takes them: one that is empty, or has spaces, in quotes of its own."""
    return [f"{name}={_quoted(value)}" for name, value in deployment.parameters.items()]


def _quoted(value: str) -> str:
    return f'"{value}"' if not value or " " in value else value


def run(deployment: Deployment) -> None:
    """Build, examine and deploy a stack, give it what it still needs, and test it.

    Raises:
        OperationError: a step failed; it says which, and what stands by then.
    """
    stack, architecture, retraining = deployment.stack, deployment.architecture, deployment.retraining
    check_prerequisites(deployment)
    _step("build", ["make", "build-all" if retraining else "build", f"ARCHITECTURE={architecture}"])
    print("== doctor", flush=True)
    found = examine(Subject(BUILD, ROOT, architecture), stack, deployment.parameters, retraining=retraining)
    if any(finding.hinders for finding in found):
        raise OperationError("nothing is deployed: see the findings above")
    template = BUILD / "template.yaml"
    if not retraining:
        template = BUILD / "without-retraining.yaml"
        template.write_text(yaml_dump(without_retraining(yaml_parse((BUILD / "template.yaml").read_text()))))
    command = [program("sam"), "deploy", "--config-env", deployment.stage, "--stack-name", stack]
    parameters = ["--parameter-overrides", *overrides(deployment)]
    _step("deploy", [*command, "--template-file", str(template), *parameters])
    finish(stack)


def check_prerequisites(deployment: Deployment) -> None:
    """Make sure that what a deployment needs is there, before anything is built.

    Raises:
        ConfigurationError: something is missing; the message says what.
    """
    missing = []
    try:
        boto3.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        missing.append(f"credentials and a region for AWS ({first_line(error)}): set AWS_PROFILE or run aws configure")
    if deployment.retraining and not _succeeds(["docker", "info"]):
        missing.append("a Docker engine for the retrain function's image: start one, or deploy with RETRAINING=off")
    if not _succeeds(["make", "--version"]):
        missing.append("make")
    if missing:
        raise ConfigurationError(f"a deployment needs {'; '.join(missing)}")


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _step(name: str, command: list[str]) -> None:
    print(f"== {name}", flush=True)
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        raise OperationError(f"the step {name!r} ended with status {status}")


def stack_output(stack: str, name: str) -> str:
    """Return an output of a deployed stack, by its name in template.yaml.

    Raises:
        ConfigurationError: no such stack or output, or AWS cannot be reached.
    """
    outputs = _outputs(stack)
    if name not in outputs:
        raise ConfigurationError(f"the stack {stack!r} has no output {name!r}")
    return outputs[name]


def _outputs(stack: str) -> dict[str, str]:
    try:
        (description,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"the stack {stack!r} cannot be described: {error}") from error
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def finish(stack: str) -> None:
    """Give a deployed stack its first model and token, each where there is none, and test it.

    Raises:
        OperationError: training or the test failed.
    """
    os.environ["DIGITS_BUCKET"] = stack_output(stack, "BucketName")
    bucket = Bucket.from_environment(os.environ)
    if Registry(bucket).live() is None:
        run_training("train")
        try:
            run_training("publish")
        except OperationError:
            if Registry(bucket).live() is None:  # not because the first scheduled training was faster
                raise
    _expire_images(stack)
    print("== acceptance", flush=True)
    accept(stack)
    url = stack_output(stack, "ApiUrl")
    print(f"URL      {url}")
    if any(not name.startswith(TEST_TOKENS) for name in tokens.names(bucket)):
        print("tokens   issued before; for another: make token NAME=…")
        return
    token = tokens.issue(bucket, FIRST_TOKEN)
    print(f"token    {token}   (shown this once)")
    print(f"try it   {curl_line(url, token, SAMPLE)}")


def accept(stack: str) -> None:
    """Run the acceptance tests against a deployed stack.

    Raises:
        ConfigurationError: there is no such stack.
        OperationError: one of them failed; the stack stays as it is.
    """
    stack_output(stack, "ApiUrl")  # that there is one
    command = [sys.executable, "-m", "pytest", "-q", "tests/acceptance"]
    finished = subprocess.run(command, cwd=ROOT, env={**os.environ, "AWS_SAM_STACK_NAME": stack}, check=False)
    if finished.returncode:
        raise OperationError(f"{stack} is deployed, and does not pass its acceptance tests: see above")


def _expire_images(stack: str) -> None:
    """Have the registry that SAM made for the retrain function keep the last images alone."""
    function = _outputs(stack).get("RetrainFunctionName")
    if function is None:
        return
    image = boto3.client("lambda").get_function(FunctionName=function)["Code"]["ImageUri"]
    repository = image.partition("/")[2].partition("@")[0].partition(":")[0]
    rule = {
        "rulePriority": 1,
        "description": f"the last {KEPT_IMAGES} images",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    client = boto3.client("ecr")
    client.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps({"rules": [rule]}))


def destroy(stack: str, *, ask: Callable[[str], str] = input) -> None:
    """Delete a stack, what SAM uploaded for it, and its images; the bucket with models and tokens stays.

    Args:
        ask: returns what a person answers; only the stack's own name goes on.

    Raises:
        OperationError: it was not confirmed, or a step failed.
    """
    bucket = stack_output(stack, "BucketName")
    print(f"This deletes the stack {stack}. The bucket {bucket} stays, with models, tokens and batches.", flush=True)
    if ask(f"Type {stack} to go on: ").strip() != stack:
        raise OperationError("nothing is deleted")
    _step("delete", [program("sam"), "delete", "--stack-name", stack, "--no-prompts"])
    print(f"kept     s3://{bucket}   (docs/operations.md tells how to delete it)")
