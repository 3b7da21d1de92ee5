"""What CodeDeploy calls before a new version of the API gets traffic: it sends golden requests to that version.

Whatever goes wrong is reported as a failure, and the deployment is taken back; without a report CodeDeploy would wait
for an hour.
"""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from typing import Any, Literal

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# What a stack says in which nothing has been published or issued yet; any other 503 is a failure.
NO_MODEL, NO_TOKENS = "no model has been published yet", "no token has been issued yet"
# A first start and the load of a model take seconds; the function under test ends after 29.
_CONFIG = Config(connect_timeout=3, read_timeout=40, retries={"mode": "standard", "max_attempts": 2})


class CheckFailedError(Exception):
    """The new version does not answer as it should; the message says what was asked and answered."""


def handler(event: Any, context: Any) -> dict[str, str]:
    """Check the version that the environment names, unless that is turned off, and report to CodeDeploy.

    Args:
        event: `DeploymentId` and `LifecycleEventHookExecutionId`, as CodeDeploy sends them.
    """
    logger = Logger(service="pre_traffic")
    logger.append_keys(requestId=context.aws_request_id)
    version, is_on = os.environ["DIGITS_NEW_VERSION"], os.environ.get("DIGITS_PRE_TRAFFIC_CHECK") != "off"
    status: Literal["Succeeded", "Failed"] = "Failed"
    try:
        for line in check(version) if is_on else ["not checked: PreTrafficCheck is off"]:
            logger.info(line)
        status = "Succeeded"
    except (CheckFailedError, BotoCoreError, ClientError) as error:
        logger.error("%s must not get traffic: %s", version, error)  # noqa: TRY400  # the message says it all
    except Exception:
        logger.exception("%s could not be checked", version)
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )
    return {"status": status}


def check(version: str) -> list[str]:
    """Send golden requests to a version of the function, and return a line for each.

    They go the ways that callers' go: the page, a request whose token is not valid, the model, and then the version's
    own test, which sends the model's golden digits as pictures with a valid one. Where nothing has been published or
    issued yet, a version may say so; if what is live says otherwise, it looks in the wrong place.

    Raises:
        CheckFailedError: one is not answered as it should be.
        BotoCoreError, ClientError: the version cannot be invoked.
    """
    page = _expect(version, "GET", "/", HTTPStatus.OK)
    refused = _expect(version, "POST", "/v1/predict", HTTPStatus.UNAUTHORIZED, unless=NO_TOKENS)
    model = _expect(version, "GET", "/v1/model", HTTPStatus.OK, unless=NO_MODEL)
    lines = [f"the page: {page}", f"a token that is not valid: {refused}", f"the model: {model}"]
    if model != HTTPStatus.OK:
        return lines
    answer = _ask(version, {"self_test": True})
    if not answer.get("passed"):
        raise CheckFailedError(f"golden digits: {answer.get('detail', answer)}")
    return [*lines, f"golden digits: {answer['read']} read with {answer['model']}"]


def _expect(version: str, method: str, path: str, expected: int, unless: str = "") -> int:
    """Send a request and return its status, which has to be the expected one.

    Args:
        unless: what a 503 may say instead, if what is live says it, too.
    """
    request = _http_event(method, path)
    answer = _ask(version, request)
    status = answer.get("statusCode")
    if status != expected and not (_says(answer, unless) and _says(_ask(live(version), request), unless)):
        raise CheckFailedError(f"{method} {path} was answered with {status}: {str(answer)[:500]}")
    return int(status or 0)


def _says(answer: dict[str, Any], text: str) -> bool:
    is_unavailable = answer.get("statusCode") == HTTPStatus.SERVICE_UNAVAILABLE
    return is_unavailable and bool(text) and text in str(answer.get("body"))


def live(version: str) -> str:
    """Return the ARN of the alias that has the traffic, of the function that an ARN names a version of."""
    return f"{version.rpartition(':')[0]}:live"


def _ask(function: str, event: dict[str, Any]) -> dict[str, Any]:
    client = boto3.client("lambda", config=_CONFIG)
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    payload = answer["Payload"].read()
    if "FunctionError" in answer:
        raise CheckFailedError(f"the function failed: {payload[:500].decode(errors='replace')}")
    told = json.loads(payload)
    if not isinstance(told, dict):
        raise CheckFailedError(f"the function answered {str(told)[:500]}")
    return told


def _http_event(method: str, path: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"x-forwarded-proto": "https", "authorization": "Bearer of-a-deployment"},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "127.0.0.1"}, "stage": "$default"},
        "isBase64Encoded": False,
    }
