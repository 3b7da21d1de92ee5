"""What a fresh stack is given, against an emulated CloudFormation."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from samcli.cli.types import CfnParameterOverridesType
from samcli.yamlhelper import yaml_parse

from digits.errors import ConfigurationError, OperationError
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.layout import TOKENS_KEY
from digits.registry.versions import Registry
from local import deploy
from local.deploy import ROOT, resolve
from local.doctor.subject import Finding
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
    monkeypatch.setattr(deploy, "accept", lambda name: ran.append(f"accept {name}"))
    deploy.finish(stack)
    printed = capsys.readouterr().out
    bucket = Bucket.from_environment({**os.environ, "DIGITS_BUCKET": "the-stacks-bucket"})
    assert ran == ["train", "publish", f"accept {stack}"]
    assert Registry(bucket).load().manifest.version == trained.name
    assert "https://api.example" in printed
    token = next(line.split()[1] for line in printed.splitlines() if line.startswith("token "))
    assert tokens.TokenSet.from_json(bucket.get(TOKENS_KEY).data).name_of(token) == "first"

    tokens.issue(bucket, f"{deploy.TEST_TOKENS}left")
    deploy.finish(stack)
    assert ran == ["train", "publish", *[f"accept {stack}"] * 2]
    tokens.revoke(bucket, f"{deploy.TEST_TOKENS}left")
    assert tokens.names(bucket).keys() == {"first"}


def test_a_deployment_that_is_not_accepted_says_so_and_stays(
    stack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deploy, "run_training", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(OperationError, match="is deployed, and does not pass"):
        deploy.finish(stack)
    assert "token " not in capsys.readouterr().out


def test_a_stack_that_is_not_there_is_not_tested(stack: str) -> None:
    with pytest.raises(ConfigurationError, match="'elsewhere' cannot be described"):
        deploy.accept("elsewhere")


# The steps


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The parameters of the stack that is deployed already; none at first."""
    parameters: dict[str, str] = {}
    monkeypatch.setattr(deploy, "_deployed", lambda _: parameters)
    return parameters


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, there: dict[str, str]) -> list[list[str]]:
    """What would be run; the machine has what a deployment needs, and the doctor finds nothing."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(deploy, "check_prerequisites", lambda *_: None)
    monkeypatch.setattr(deploy, "examine", lambda *_, **__: [])
    monkeypatch.setattr(deploy, "finish", lambda stack: ran.append(["finish", stack]))
    return ran


def test_a_stage_is_a_section_of_samconfig(steps: list[list[str]]) -> None:
    deploy.run(resolve("production", parameters=["RetrainSchedule=cron(0 3 ? * MON *)", "ModelVersion="]))
    build, sam, finish = steps
    assert build == ["make", "build-all", "ARCHITECTURE=x86_64"]
    assert sam[1:6] == ["deploy", "--config-env", "production", "--stack-name", "lambda-digits-production"]
    given = sam[sam.index("--parameter-overrides") + 1 :]
    expected = {
        "DeploymentPreference": "Canary10Percent5Minutes",
        "Architecture": "x86_64",
        "Retraining": "on",
        "RetrainSchedule": "cron(0 3 ? * MON *)",
        "ModelVersion": "",
    }
    assert CfnParameterOverridesType().convert(tuple(given), None, None) == expected
    assert finish == ["finish", "lambda-digits-production"]


def test_without_retraining_neither_docker_nor_a_registry_is_asked_for(
    steps: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "template.yaml", tmp_path / "template.yaml")
    monkeypatch.setattr(deploy, "BUILD", tmp_path)
    deploy.run(resolve("default", "mine", retraining="off", architecture="arm64"))
    build, sam, _ = steps
    assert build == ["make", "build", "ARCHITECTURE=arm64"]
    template = yaml_parse(Path(sam[sam.index("--template-file") + 1]).read_text())
    assert not [name for name in template["Resources"] if name.startswith("Retrain")]
    assert {"Architecture=arm64", "Retraining=off"} <= set(sam)


def test_what_the_build_depends_on_stays_as_the_stack_has_it(there: dict[str, str]) -> None:
    assert (resolve("default").retraining, resolve("default").architecture) == (True, "x86_64")
    there |= {"Retraining": "off", "Architecture": "arm64", "ModelVersion": "kept by CloudFormation"}
    assert resolve("default").parameters == {"Retraining": "off", "Architecture": "arm64"}
    assert resolve("default", retraining="on").retraining
    for parameter in ("Retraining=on", "Architecture=arm64"):
        with pytest.raises(ConfigurationError, match="is set by"):
            resolve("default", parameters=[parameter])


@pytest.mark.parametrize(("hinders", "deployed"), [(True, False), (False, True)])
def test_nothing_is_deployed_that_the_doctor_finds_a_hindrance_of(
    steps: list[list[str]], monkeypatch: pytest.MonkeyPatch, hinders: bool, deployed: bool
) -> None:
    monkeypatch.setattr(deploy, "examine", lambda *_, **__: [Finding("w", "c", hinders)])
    with contextlib.nullcontext() if deployed else pytest.raises(OperationError, match="nothing is deployed"):
        deploy.run(resolve("default"))
    assert (len(steps) > 1) is deployed


def test_a_step_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, steps: list[list[str]]) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=3))
    with pytest.raises(OperationError, match="the step 'build' ended with status 3"):
        deploy.run(resolve("default"))


def test_what_is_missing_is_said_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, str]
) -> None:
    def no_docker(command: list[str], **_: object) -> SimpleNamespace:
        return SimpleNamespace(returncode=int(command[0] == "docker"))

    monkeypatch.setattr(subprocess, "run", no_docker)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=r"needs credentials.*; a Docker.*RETRAINING=off"):
        deploy.check_prerequisites(resolve("default"))
    with pytest.raises(ConfigurationError) as caught:
        deploy.check_prerequisites(resolve("default", retraining="off"))
    assert "Docker" not in str(caught.value)


def test_a_stage_and_a_parameter_that_make_no_sense_are_refused(there: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="no stage 'moon'"):
        resolve("moon")
    with pytest.raises(ConfigurationError, match="Name=value"):
        resolve("default", parameters=["SnapStart"])


def test_every_stage_has_tags_and_a_stack(there: dict[str, str]) -> None:
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for name, stage in stages.items():
        if name != "version":
            assert f"stage={name}" in stage["deploy"]["parameters"]["tags"]
            assert "application=lambda-digits" in stage["deploy"]["parameters"]["tags"]
            assert resolve(name).stack.startswith("lambda-digits")


def test_old_images_are_expired(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, str] = {}
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stackcompanion/retrainfunctionrepo:retrain-1"
    clients = {
        "lambda": SimpleNamespace(get_function=lambda **_: {"Code": {"ImageUri": image}}),
        "ecr": SimpleNamespace(put_lifecycle_policy=asked.update),
    }
    monkeypatch.setattr(deploy, "_outputs", lambda _: {"RetrainFunctionName": "retrain"})
    monkeypatch.setattr(boto3, "client", lambda name, **_: clients[name])
    deploy._expire_images(stack)
    assert asked["repositoryName"] == "stackcompanion/retrainfunctionrepo"
    (rule,) = json.loads(asked["lifecyclePolicyText"])["rules"]
    assert (rule["selection"]["countNumber"], rule["action"]) == (3, {"type": "expire"})


def test_a_stack_is_deleted_only_by_its_name(
    stack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(deploy, "_step", lambda _, command: ran.append(command))
    with pytest.raises(OperationError, match="nothing is deleted"):
        deploy.destroy(stack, ask=lambda _: "y")
    assert not ran
    deploy.destroy(stack, ask=lambda _: stack)
    assert ran[0][1:] == ["delete", "--stack-name", stack, "--no-prompts"]
    assert "kept     s3://the-stacks-bucket" in capsys.readouterr().out
