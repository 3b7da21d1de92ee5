"""One line of the log for each request, with what operators ask about; CloudWatch takes its metrics from it as well.

Where the time of a request went is told to callers, too: in the header `server-timing` (W3C Server Timing).

The format is that of the other functions, which have it from Powertools: JSON, and in it metrics as CloudWatch's
embedded metric format has them. Powertools would cost a cold start 23 ms of processor and 50 modules. Lambda's
runtime writes the JSON, and takes the fields from `extra`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digits.errors import CorruptModelError, DigitsError, NoModelError, NoTokensError
from functions.predict_api.schemas import FieldNumber, Form, Number, Numbers, Prediction, Predictions, Problem

SERVICE = "predict_api"
# From which confidence on an answer counts where.
_BUCKETS = {0.99: "confidence_99_100", 0.9: "confidence_90_99", 0.5: "confidence_50_90", 0.0: "confidence_below_50"}

logger = logging.getLogger(__name__)

type Told = Prediction | Predictions | Number | Numbers | Form | Problem


class ServerTiming:
    """Adds up the time spent in each phase of one request."""

    def __init__(self) -> None:
        self._milliseconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time until the end of the block, exceptions included."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._milliseconds[name] = self._milliseconds.get(name, 0) + (time.perf_counter() - started) * 1000

    def note(self, name: str) -> None:
        """Mention something that has no duration of its own, before what has."""
        self._milliseconds = {name: 0.0, **self._milliseconds}

    def forget(self, name: str) -> None:
        """Leave a phase out, as one that was none."""
        del self._milliseconds[name]

    @property
    def milliseconds(self) -> dict[str, float]:
        """The phases that have a duration, in milliseconds."""
        return {name: taken for name, taken in self._milliseconds.items() if taken}

    def header(self) -> str:
        """Return the header's value, durations in milliseconds."""
        return ", ".join(f"{name};dur={milliseconds:.3f}" for name, milliseconds in self._milliseconds.items())


@dataclass
class RequestLog:
    """What becomes known of a request on its way.

    Attributes:
        token: the name of the token that let it in.
        timing: where its time went.
        counts: how many pictures, or fields, were answered how; the names are those of metrics.
        error: the class of what the whole request failed with.
    """

    token: str | None = None
    timing: ServerTiming | None = None
    counts: Counter[str] = field(default_factory=Counter)
    error: type[DigitsError] | None = None

    def tell(self, told: Told) -> None:
        """Note an answer: what is accepted, how certain it is, and what is refused."""
        answers = list(_single(told))
        self.counts["answers"] = len(answers)
        for each in answers:
            if isinstance(each, Problem):
                self.counts[f"refused_{each.verdict or 'unusable'}"] += 1
            else:
                self.counts["accepted" if each.accepted else "doubtful"] += 1
                self.counts[next(name for least, name in _BUCKETS.items() if each.conf >= least)] += 1


def _single(told: Told) -> Iterator[Prediction | FieldNumber | Problem]:
    if isinstance(told, Predictions):
        yield from told.predictions
    elif isinstance(told, Numbers):
        yield from told.readings
    elif isinstance(told, Form):
        yield from told.fields.values()
    else:
        yield told


class LogMiddleware:
    """Writes the line of each request once it is answered. No picture, no token and no address goes into it."""

    def __init__(self, app: ASGIApp, namespace: str) -> None:
        """Bind the application.

        Args:
            namespace: CloudWatch's, for the metrics; without one there are none.
        """
        self._app = app
        self._namespace = namespace
        self._cold = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        log, status = RequestLog(), 0
        scope["state"]["log"] = log
        started, cold, self._cold = time.perf_counter(), self._cold, False

        async def note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            fields = self._fields(scope, log, status, cold)
            fields["duration_ms"] = round((time.perf_counter() - started) * 1000, 3)
            logger.info("%s %s: %d", fields["method"], fields["route"], status, extra=fields)

    def _fields(self, scope: Scope, log: RequestLog, status: int, cold: bool) -> dict[str, Any]:
        loaded = scope["app"].state.container.model.value
        fields: dict[str, Any] = {
            "service": SERVICE,
            "method": scope["method"],
            "route": _route(scope),
            "status": status,
            "cold": int(cold),
            "token": log.token,
            "model": loaded and loaded.manifest.version,
            "error": log.error and log.error.__name__,
        }
        metrics: dict[str, float] = {"cold": int(cold), **log.counts}
        if status == 401:
            metrics["authentication_failures"] = 1
        if log.error and issubclass(log.error, NoModelError | CorruptModelError | NoTokensError):
            metrics["not_ready"] = 1
        if loaded:
            metrics["model_age_days"] = round((time.time() - loaded.manifest.created_at.timestamp()) / 86400, 2)
        for name, milliseconds in (log.timing.milliseconds if log.timing else {}).items():
            fields[f"{name}_ms"] = round(milliseconds, 3)
        if self._namespace:
            fields["_aws"] = _embedded(self._namespace, metrics, by_model=loaded is not None)
        return {name: value for name, value in (fields | metrics).items() if value is not None}


def _route(scope: Scope) -> str:
    """Return the path of the route that was found, as it is declared; what callers make up is not told."""
    if "route" in scope:
        path: str = scope["route"].path
        return path
    # A page's file, whose path has no parameters.
    return str(scope["path"]).removeprefix(scope.get("root_path", "")) if "endpoint" in scope else "none"


def _embedded(namespace: str, metrics: dict[str, float], *, by_model: bool) -> dict[str, Any]:
    """Return what tells CloudWatch which fields of a line are metrics; answers are counted by model, too."""
    names = [{"Name": name, "Unit": "None" if name.endswith("_days") else "Count"} for name in metrics]
    told = [{"Namespace": namespace, "Dimensions": [["service"]], "Metrics": names}]
    if by_model and "answers" in metrics:
        answers = [{"Name": "answers", "Unit": "Count"}]
        told.append({"Namespace": namespace, "Dimensions": [["service", "model"]], "Metrics": answers})
    return {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": told}
