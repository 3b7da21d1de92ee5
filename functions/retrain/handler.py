"""The handler that EventBridge Scheduler invokes: retrains and reports the outcome."""

from __future__ import annotations

import json
import os
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from digits.errors import OperationError
from digits.registry.bucket import Bucket
from digits.registry.decisions import Decision
from functions.retrain.settings import Settings
from training.lease import LeaseTakenError, held

# For calibration, export, evaluation, report, upload and decision after training.
SAFETY_SECONDS = 180.0
LEAST_SECONDS = 20.0  # of training


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Retrain once, for any event, and return the outcome.

    Errors are raised: the invocation is asynchronous, so Lambda retries it and then notifies the
    function's on-failure destination.
    """
    logger = Logger(service="retrain")
    logger.append_keys(requestId=context.aws_request_id)
    settings = Settings.from_environment(os.environ)
    bucket = Bucket(settings.bucket, endpoint=settings.endpoint)
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    logger.info("retraining with recipe %s, asked for by %s", settings.recipe, json.dumps(event))
    try:
        with held(bucket, context.aws_request_id, remaining):
            return _retrain(settings, bucket, event, context, logger)
    except LeaseTakenError as error:
        logger.warning("%s", error)
        _count("busy", 0)
        return {"outcome": "busy", "detail": str(error)}
    except Exception:
        _count("failed", 0)
        raise


def _retrain(settings: Settings, bucket: Bucket, event: Any, context: Any, logger: Logger) -> dict[str, Any]:
    # TensorFlow takes seconds to import; a run that finds the lease taken need not wait for it.
    from training.fit import StopRequest
    from training.retraining import retrain

    def stop() -> StopRequest:
        seconds = _training_seconds(context)
        logger.info("%.0f seconds for training", seconds)
        return StopRequest(seconds)

    started = time.monotonic()
    retrained = retrain(
        bucket,
        settings.recipe,
        Path(tempfile.gettempdir()) / "artifacts",
        stop=stop,
        environment=os.environ,
        say=logger.info,
    )
    decision = retrained.decision.model_dump(mode="json") if retrained.decision else None
    _count(retrained.outcome, time.monotonic() - started)
    if settings.topic and (retrained.changed or _untold(event, retrained.decision)):
        _tell(settings.topic, retrained.version, decision)
    return {"outcome": retrained.outcome, "version": retrained.version, "decision": decision}


def _training_seconds(context: Any) -> float:
    """Return how long training may take so that the rest still fits in before Lambda's timeout."""
    remaining: float = context.get_remaining_time_in_millis() / 1000
    limit = remaining - SAFETY_SECONDS
    if limit < LEAST_SECONDS:
        raise OperationError(
            f"there are {remaining:.0f} seconds left, and {SAFETY_SECONDS + LEAST_SECONDS:.0f} are needed: "
            "give the function more time, or train in a container"
        )
    return limit


def _untold(event: Any, decision: Decision | None) -> bool:
    """Return whether a decision was made for this very event, by a try that failed before it could report it."""
    try:
        scheduled_at = datetime.fromisoformat(event["scheduled_at"])
        return decision is not None and decision.decided_at >= scheduled_at
    except (KeyError, TypeError, ValueError):
        return False


def _count(outcome: str, seconds: float) -> None:
    metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or "LambdaDigits")
    metrics.add_dimension("outcome", outcome)
    metrics.add_metric("retrainings", MetricUnit.Count, 1)
    metrics.add_metric("retrain_seconds", MetricUnit.Seconds, round(seconds, 1))
    metrics.flush_metrics()


def _tell(topic: str, version: str, decision: Any) -> None:
    """Send one message with the decision and its figures."""
    subject = f"Lambda Digits: {version}: {decision['outcome']}"
    message = json.dumps({"version": version, "decision": decision}, indent=2)
    boto3.client("sns").publish(TopicArn=topic, Subject=subject, Message=message)
