"""What a fresh stack still needs once its resources exist: a first model and a first token."""

from __future__ import annotations

import os

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from digits.errors import ConfigurationError, OperationError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from local.api_test import SAMPLE, curl_line
from local.stack import run_training

FIRST_TOKEN = "first"


def stack_output(stack: str, name: str) -> str:
    """Return an output of a deployed stack, by its name in template.yaml.

    Raises:
        ConfigurationError: no such stack or output, or AWS cannot be reached.
    """
    try:
        (description,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"the stack {stack!r} cannot be described: {error}") from error
    for output in description.get("Outputs", []):
        if output.get("OutputKey") == name:
            return output["OutputValue"]
    raise ConfigurationError(f"the stack {stack!r} has no output {name!r}")


def finish(stack: str) -> None:
    """Train and publish the first model and issue the first token, each where there is none.

    Raises:
        OperationError: training failed.
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
    url = stack_output(stack, "ApiUrl")
    print(f"URL      {url}")
    if tokens.names(bucket):
        print("tokens   issued before; for another: make token NAME=…")
        return
    token = tokens.issue(bucket, FIRST_TOKEN)
    print(f"token    {token}   (shown this once)")
    print(f"try it   {curl_line(url, token, SAMPLE)}")
