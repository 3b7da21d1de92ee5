"""What a fresh stack is given, against an emulated CloudFormation."""

from __future__ import annotations

import json
import os
from pathlib import Path

import boto3
import pytest

from digits.errors import ConfigurationError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.layout import TOKENS_KEY
from digits.registry.versions import Registry
from local import deploy
from local.store import EmbeddedStore
from training.__main__ import main as training_command

TEMPLATE = {
    "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "the-stacks-bucket"}}},
    "Outputs": {"BucketName": {"Value": {"Ref": "Bucket"}}, "ApiUrl": {"Value": "https://api.example"}},
}


@pytest.fixture
def stack(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """A deployed stack with the outputs of template.yaml."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.environment()["AWS_ENDPOINT_URL_S3"])
    boto3.client("cloudformation").create_stack(StackName="digits-test", TemplateBody=json.dumps(TEMPLATE))
    return "digits-test"


def test_outputs_are_read_by_name(stack: str) -> None:
    assert deploy.stack_output(stack, "BucketName") == "the-stacks-bucket"
    with pytest.raises(ConfigurationError, match="no output 'Nothing'"):
        deploy.stack_output(stack, "Nothing")
    with pytest.raises(ConfigurationError, match="'elsewhere' cannot be described"):
        deploy.stack_output("elsewhere", "BucketName")


def test_a_fresh_stack_gets_a_model_and_a_token_once(
    stack: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def run_training(command: str) -> None:
        ran.append(command)
        if command == "publish":
            assert training_command(["publish", str(trained)]) == 0

    monkeypatch.setattr(deploy, "run_training", run_training)
    deploy.finish(stack)
    printed = capsys.readouterr().out
    bucket = Bucket.from_environment({**os.environ, "DIGITS_BUCKET": "the-stacks-bucket"})
    assert ran == ["train", "publish"]
    assert Registry(bucket).load().manifest.version == trained.name
    assert "https://api.example" in printed
    token = next(line.split()[1] for line in printed.splitlines() if line.startswith("token "))
    assert tokens.TokenSet.from_json(bucket.get(TOKENS_KEY).data).name_of(token) == "first"

    deploy.finish(stack)
    assert ran == ["train", "publish"]
    assert tokens.names(bucket).keys() == {"first"}
