"""Promotion: a challenger goes live only if it has shown that it is no worse than the live version.

Both are scored on the same pictures in the same run: the frozen holdout, the robustness table made from it, and what
must be refused. A difference that is not significant would prove nothing, so the test is one of non-inferiority: with
95 % confidence the challenger's accuracy is below the live version's by no more than a margin. Accuracy on the test
digits is reported, but plays no part in the decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from ai_edge_litert.interpreter import Interpreter

from digits.errors import ConfigurationError, CorruptModelError, UnknownVersionError
from digits.model.proof import LoadedModel
from digits.registry.bucket import Bucket
from digits.registry.decisions import Check, Decision, record
from digits.registry.pointer import Pointer
from digits.registry.versions import Registry
from training.comparison import MARGINS, SMALL_HOLDOUT, SMALL_MARGINS, ScoredModel, comparisons, promises
from training.dataset import Dataset
from training.judging import Judging

LARGEST_BYTES = 2_000_000
MOST_MULTIPLY_ADDS = 20_000_000
LARGEST_READER_BYTES = 1_200_000
MOST_READER_MULTIPLY_ADDS = 1_000_000  # a column


def promote(
    bucket: Bucket,
    version: str | LoadedModel,
    dataset: Dataset,
    judging: Judging,
    *,
    force: str | None = None,
    dry_run: bool = False,
) -> tuple[Decision, Pointer | None]:
    """Decide on a published version, record the decision, and point the service at it where it says so.

    Args:
        version: its name, or what `Registry.publish` or `load` returned, which need not be read and proved again.
        dataset: has the holdout that the version was calibrated on.
        judging: what is made out of that holdout.
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
    decision = decide(live, challenger, judging, force=force, unknown=unknown)
    if dry_run:
        return decision, None
    record(bucket, version, decision)
    return decision, None if decision.outcome == "refuse" else registry.promote(challenger, state)


def decide(
    live: LoadedModel | None,
    challenger: LoadedModel,
    judging: Judging,
    *,
    force: str | None = None,
    unknown: bool = False,
) -> Decision:
    """Return whether the challenger should go live instead of the live model, and why.

    Args:
        judging: what both are judged by.
        unknown: whether the live version is one that this release cannot read, and so cannot compare with.
        force: an operator's reason to promote even if checks fail.
    """
    margins = SMALL_MARGINS if len(judging.digits) < SMALL_HOLDOUT else MARGINS
    new = ScoredModel(challenger, judging)
    checks = [*promises(new, margins), *_sizes("", challenger.classifier.model, LARGEST_BYTES, MOST_MULTIPLY_ADDS)]
    if challenger.numbers.exists:
        reader = challenger.numbers.get().network.model
        checks += _sizes("reader, ", reader, LARGEST_READER_BYTES, MOST_READER_MULTIPLY_ADDS)
    scores = [new.scores()]
    if unknown:
        checks.append(Check(name="live models that can be scored", figure=0, rule="at least", limit=1))
    if live is not None:
        old = ScoredModel(live, judging)
        scores.insert(0, old.scores())
        checks += comparisons(old, new, margins)
    passed = all(check.passed for check in checks)
    return Decision(
        outcome="promote" if passed else "force" if force else "refuse",
        decided_at=_now(),
        live=live.manifest.version if live else None,
        reason=force,
        holdout_count=len(judging.digits),
        scores=scores,
        checks=checks,
    )


def _sizes(whose: str, model: bytes, largest: int, most: int) -> list[Check]:
    return [
        Check(name=f"{whose}bytes", figure=len(model), rule="at most", limit=largest),
        Check(name=f"{whose}multiply-adds", figure=multiply_adds(model), rule="at most", limit=most),
    ]


def multiply_adds(model: bytes) -> int:
    """Return how many multiplications one input of the least size costs in convolutions and dense layers."""
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


def _load_live(registry: Registry, version: str | None) -> LoadedModel | None:
    """Return the live model, or None if there is none or this release cannot read it."""
    if version is None:
        return None
    try:
        return registry.load(version).whole()
    except (UnknownVersionError, CorruptModelError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)
