"""What EventBridge Scheduler calls: retrain, and tell what came of it."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3

from digits.bucket import Bucket
from functions.retrain.lease import LeaseTakenError, held
from functions.retrain.settings import Settings

NAMESPACE = "LambdaDigits"

logger = logging.getLogger(__name__)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Retrain once, whatever the event says, and return the outcome.

    What goes wrong is raised: the invocation is asynchronous, so Lambda tries again and then tells the
    function's on-failure destination.
    """
    logging.getLogger().setLevel(logging.INFO)
    settings = Settings.from_environment(os.environ)
    bucket = Bucket(settings.bucket)
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    logger.info("retraining with recipe %s, asked for by %s", settings.recipe, json.dumps(event))
    try:
        with held(bucket, context.aws_request_id, remaining):
            outcome = _retrain(settings, bucket, context)
    except LeaseTakenError as error:
        logger.warning("%s", error)
        return {"outcome": "busy", "detail": str(error)}
    if settings.topic and outcome["outcome"] != "unchanged":
        _tell(settings.topic, outcome)
    return outcome


def _retrain(settings: Settings, bucket: Bucket, context: Any) -> dict[str, Any]:
    # TensorFlow takes seconds to import, which a run that finds the lease taken need not wait for.
    from functions.retrain.retraining import retrain

    started = time.monotonic()
    retrained = retrain(
        bucket,
        settings.recipe,
        Path(tempfile.gettempdir()) / "artifacts",
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
        environment=os.environ,
        say=logger.info,
    )
    decision = retrained.decision
    outcome = decision.outcome if decision else "unchanged"
    _count(outcome, time.monotonic() - started)
    return {
        "outcome": outcome,
        "version": retrained.version,
        "decision": decision.model_dump(mode="json") if decision else None,
    }


def _count(outcome: str, seconds: float) -> None:
    """Print metrics in CloudWatch's embedded metric format."""
    metrics = [{"Name": "Retrainings", "Unit": "Count"}, {"Name": "RetrainSeconds", "Unit": "Seconds"}]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["Outcome"]], "Metrics": metrics}
    document = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "Outcome": outcome,
        "Retrainings": 1,
        "RetrainSeconds": round(seconds, 1),
    }
    print(json.dumps(document), flush=True)


def _tell(topic: str, outcome: dict[str, Any]) -> None:
    """Send one message with the decision and its figures."""
    subject = f"Lambda Digits: {outcome['version']}: {outcome['outcome']}"
    boto3.client("sns").publish(TopicArn=topic, Subject=subject, Message=json.dumps(outcome, indent=2))
