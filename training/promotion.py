"""Promotion: a challenger goes live only if it has shown that it is no worse than the live version.

Both are scored on the same digits in the same run: the frozen holdout, and the robustness table made from it.
A difference that is not significant would prove nothing, so the test is one of non-inferiority: with 95 %
confidence the challenger's accuracy is below the live version's by no more than a margin. Accuracy on the test
digits is reported, but plays no part in the decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from digits.errors import ConfigurationError, CorruptModelError, UnknownVersionError
from digits.model.contract import CLASSES
from digits.model.proof import LoadedModel
from digits.registry.bucket import Bucket
from digits.registry.decisions import Check, Decision, Scores, record
from digits.registry.pointer import Pointer
from digits.registry.versions import Registry
from training.dataset import Dataset, Part
from training.evaluate import calibration_error
from training.robustness import DistortedDigits

CONFIDENCE = 0.95  # one-sided
LOWEST_ACCURACY = 0.95  # on the holdout, even if nothing is live
LARGEST_BYTES = 2_000_000
MOST_MULTIPLY_ADDS = 20_000_000
MOST_EXCUSED = 0.2


@dataclass(frozen=True)
class Margins:
    """How much accuracy a challenger may lose, as a share of the digits.

    In each class and row it may lose a further fifth of the live model's error rate there.

    Attributes:
        calibration_error, distorted_calibration_error: the most that it may have; the live model's does not matter.
    """

    accuracy: float
    class_accuracy: float
    row_accuracy: float
    calibration_error: float
    distorted_calibration_error: float


MARGINS = Margins(0.003, 0.01, 0.02, 0.01, 0.025)
# A few hundred digits cannot show differences that small: one digit of a class's 50 is 2 points.
SMALL_MARGINS = Margins(0.02, 0.06, 0.04, 0.03, 0.05)
SMALL_HOLDOUT = 2_000


def promote(
    bucket: Bucket,
    version: str | LoadedModel,
    dataset: Dataset,
    distorted: DistortedDigits,
    *,
    force: str | None = None,
    dry_run: bool = False,
) -> tuple[Decision, Pointer | None]:
    """Decide on a published version, record the decision, and point the service at it where it says so.

    Args:
        version: its name, or what `Registry.publish` or `load` returned, which need not be read and proved again.
        dataset: has the holdout that the version was calibrated on.
        distorted: some digits of that holdout, in all rows of the robustness table.
        force: the reason for which it goes live whatever the checks say.
        dry_run: decide, and change nothing.

    Returns:
        The decision, and the pointer as it is then; None where the version was refused, or would be promoted.

    Raises:
        UnknownVersionError: the version is not published.
        CorruptModelError: it fails its own proofs.
        ConfigurationError: the holdout is another one.
        ConflictError: something else was promoted meanwhile.
    """
    registry = Registry(bucket)
    state = registry.live_state()
    challenger = registry.load(version) if isinstance(version, str) else version
    version = challenger.manifest.version
    if challenger.manifest.dataset.holdout_sha256 != dataset.holdout.sha256():
        raise ConfigurationError(
            f"{version} was chosen on the holdout of {challenger.manifest.dataset.name}, and {dataset.name} from "
            f"{dataset.source} has another: name the data set that it was trained on with --data or DIGITS_MNIST"
        )
    if state.version == version:
        return Decision(outcome="promote", decided_at=_now(), live=version), state.pointer
    live = _load_live(registry, state.version)
    unknown = state.etag is not None and live is None
    decision = decide(live, challenger, dataset.holdout, distorted, force=force, unknown=unknown)
    if dry_run:
        return decision, None
    record(bucket, version, decision)
    return decision, None if decision.outcome == "refuse" else registry.promote(challenger, state)


def decide(
    live: LoadedModel | None,
    challenger: LoadedModel,
    holdout: Part,
    distorted: DistortedDigits,
    *,
    force: str | None = None,
    unknown: bool = False,
) -> Decision:
    """Return whether the challenger should go live instead of the live model, and why.

    Args:
        unknown: whether the live version is one that this release cannot read, and so cannot compare with.
        force: an operator's reason to promote even if checks fail.
    """
    margins = SMALL_MARGINS if len(holdout) < SMALL_HOLDOUT else MARGINS
    new = _Answers(challenger, holdout, distorted)
    checks = [
        Check(name="accuracy", figure=new.right.mean(), rule="at least", limit=LOWEST_ACCURACY),
        Check(name="calibration error", figure=new.calibration_error, rule="at most", limit=margins.calibration_error),
        Check(
            name="calibration error, distorted digits",
            figure=new.distorted_calibration_error,
            rule="at most",
            limit=margins.distorted_calibration_error,
        ),
        Check(name="bytes", figure=len(challenger.classifier.model), rule="at most", limit=LARGEST_BYTES),
        Check(
            name="multiply-adds",
            figure=multiply_adds(challenger.classifier.model),
            rule="at most",
            limit=MOST_MULTIPLY_ADDS,
        ),
    ]
    scores = [new.scores()]
    if unknown:
        checks.append(Check(name="live models that can be scored", figure=0, rule="at least", limit=1))
    if live is not None:
        old = _Answers(live, holdout, distorted)
        scores.insert(0, old.scores())
        checks += _comparisons(old, new, holdout, margins)
    passed = all(check.passed for check in checks)
    return Decision(
        outcome="promote" if passed else "force" if force else "refuse",
        decided_at=_now(),
        live=live.manifest.version if live else None,
        reason=force,
        holdout_count=len(holdout),
        scores=scores,
        checks=checks,
    )


def non_inferiority_bound(gained: int, lost: int, count: int) -> float:
    """Return the lower 95 % confidence bound of the new accuracy minus the old one.

    The score interval for a difference of paired proportions (Tango, 1998), one-sided.

    Args:
        gained: how many digits only the new model reads correctly; lost, how many only the old one does.
        count: how many digits both have read.
    """
    quantile = norm.ppf(CONFIDENCE)

    def excess(difference: float) -> float:
        a, c = 2 * count, -lost * difference * (1 - difference)
        b = -gained - lost + (2 * count - gained + lost) * difference
        share_lost = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = count * (2 * share_lost + difference * (1 - difference))
        return gained - lost - count * difference - quantile * math.sqrt(max(0.0, variance))

    return max(-1.0, float(brentq(excess, -1 + 1e-9, (gained - lost) / count - 1e-9)))


def multiply_adds(model: bytes) -> int:
    """Return how many multiplications one image costs in the model's convolutions and dense layers."""
    interpreter = Interpreter(model_content=model)
    shapes = {tensor["index"]: tensor["shape"] for tensor in interpreter.get_tensor_details()}
    total = 0
    for operation in interpreter._get_ops_details():
        if operation["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights, output = shapes[operation["inputs"][1]], shapes[operation["outputs"][0]]
            # Every weight is used once at each position of the output.
            total += math.prod(weights) * math.prod(output[1:-1])
    return int(total)


def describe(version: str, decision: Decision) -> Iterator[str]:
    """Return the decision as lines to print, with the figures of the failed checks."""
    if decision.live == version and not decision.checks:
        yield f"{version} is live already"
        return
    verdict = {"promote": "promoted", "force": "promoted by force", "refuse": "refused"}[decision.outcome]
    yield f"{version}: {verdict}" + (f", over {decision.live}" if decision.live else "")
    for score in decision.scores:
        yield (
            f"  {score.version}  holdout {score.holdout_accuracy:.2%}, distorted {score.distorted_accuracy:.2%}, "
            f"calibration error {score.holdout_calibration_error:.2%} and {score.distorted_calibration_error:.2%}, "
            f"test {score.test_accuracy:.2%} (not decided on)"
        )
    yield f"  {len(decision.checks) - len(decision.failed)} of {len(decision.checks)} checks passed"
    for check in decision.failed:
        yield f"  failed: {check.name}: {check.figure:.6g}, wanted {check.rule} {check.limit:.6g}"
    if decision.reason:
        yield f"  reason: {decision.reason}"


class _Answers:
    """A model's answers on the holdout and on the distorted digits."""

    def __init__(self, model: LoadedModel, holdout: Part, distorted: DistortedDigits) -> None:
        self.model = model
        on_holdout = model.classifier.predict(holdout.images)
        self.right = on_holdout.argmax(axis=1) == holdout.labels
        self.calibration_error = calibration_error(on_holdout, holdout.labels)
        pooled = distorted.pooled()
        self.distorted_calibration_error = calibration_error(model.classifier.predict(pooled.images), pooled.labels)
        self.right_by_row = {
            name: row.readable & (model.classifier.predict(row.images).argmax(axis=1) == distorted.labels)
            for name, row in distorted.rows.items()
        }

    def scores(self) -> Scores:
        return Scores(
            version=self.model.manifest.version,
            holdout_accuracy=self.right.mean(),
            distorted_accuracy=np.mean([right.mean() for right in self.right_by_row.values()]),
            holdout_calibration_error=self.calibration_error,
            distorted_calibration_error=self.distorted_calibration_error,
            test_accuracy=self.model.manifest.test.accuracy,
        )


def _comparisons(old: _Answers, new: _Answers, holdout: Part, margins: Margins) -> Iterator[Check]:
    theirs, ours = old.model.manifest.dataset, new.model.manifest.dataset
    for name, figure, limit in (
        ("digits of the data set", ours.own_count, theirs.own_count),
        ("training digits", ours.training_count, theirs.training_count),
    ):
        yield Check(name=name, figure=figure, rule="at least", limit=limit)
    gained, lost = int((new.right & ~old.right).sum()), int((old.right & ~new.right).sum())
    bound = non_inferiority_bound(gained, lost, len(holdout))
    yield Check(name="accuracy, difference at 95 %", figure=bound, rule="at least", limit=-margins.accuracy)
    for digit in range(len(CLASSES)):
        chosen = holdout.labels == digit
        yield _loss(f"digit {digit}", old.right[chosen], new.right[chosen], margins.class_accuracy)
    for name, right in old.right_by_row.items():
        yield _loss(f"row {name}", right, new.right_by_row[name], margins.row_accuracy)


def _loss(name: str, old: NDArray[np.bool_], new: NDArray[np.bool_], margin: float) -> Check:
    limit = -(margin + MOST_EXCUSED * (1 - float(old.mean())))
    return Check(name=f"{name}, difference", figure=float(new.mean() - old.mean()), rule="at least", limit=limit)


def _load_live(registry: Registry, version: str | None) -> LoadedModel | None:
    """Return the live model, or None if there is none or this release cannot read it."""
    if version is None:
        return None
    try:
        return registry.load(version)
    except (UnknownVersionError, CorruptModelError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)
