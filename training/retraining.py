"""One retraining: the bucket's data, a training where something has changed, decision, promotion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from digits.errors import ConflictError, CorruptModelError
from digits.model.proof import LoadedModel
from digits.registry import decisions
from digits.registry.bucket import Bucket
from digits.registry.decisions import Decision
from digits.registry.versions import Registry
from training import dataset, job, promotion
from training.additions import additions
from training.artifacts import DISTORTED_FOLDER, read_folder
from training.dataset import Dataset
from training.extra import add_stored_extra
from training.fit import Progress, StopRequest
from training.judging import Judging, judging
from training.provenance import made_from
from training.recipes import Recipe, find_recipe

SEED = 1


@dataclass(frozen=True)
class Retrained:
    """What came of it.

    Attributes:
        version: the version that was made, or had been made before from the same.
        decision: the last one on it; None where it is live without one.
        changed: whether that decision was made now.
    """

    version: str
    decision: Decision | None
    changed: bool

    @property
    def outcome(self) -> Literal["promote", "refuse", "unchanged"]:
        """What to say of it in a word."""
        if not (self.changed and self.decision):
            return "unchanged"
        return "refuse" if self.decision.outcome == "refuse" else "promote"


def retrain(
    bucket: Bucket,
    recipe_name: str,
    output: Path,
    *,
    stop: Callable[[], StopRequest],
    environment: Mapping[str, str],
    say: Callable[[str], None],
    progress: Callable[[Progress], None] | None = None,
) -> Retrained:
    """Train on the bucket's data, publish, and promote what proves no worse than what is live.

    Where data, recipe and code are those of a version that has been decided on, nothing is done.

    Args:
        output: a folder that can be written.
        stop: tells what may end the training early; asked right before it begins.
        environment: may say where MNIST is, as `dataset.find` reads it.
        say: takes one line of what is going on.
        progress: is told about every step; without it, `say` about every epoch.

    Raises:
        DigitsError: it cannot be done.
    """
    recipe = find_recipe(recipe_name)
    data = _data(bucket, environment, say)
    registry = Registry(bucket)
    version = _made_before(registry, recipe, data)
    if version and _settled(bucket, version):
        say(f"nothing to do: {version} was made from the same data, recipe and code, and has been decided on")
        return Retrained(version, next(reversed(decisions.recorded(bucket, version)), None), changed=False)
    kept = output / DISTORTED_FOLDER
    if version:
        challenger = registry.load(version)
    else:
        # Made and kept before the training asks how much time is left.
        job.judging_parts(recipe, data, kept, say)
        additions(recipe, data.training, kept, say)
        say(f"recipe: {recipe.name}: {recipe.summary}")
        folder = job.run(recipe, data, SEED, output, say=say, stop=stop(), progress=progress or _each_epoch(say))
        challenger, version = registry.publish(*read_folder(folder)), folder.name
        say(f"published {version}")
    judged_by = judging(data.holdout, kept, say, with_numbers=True)
    decision = _decide(bucket, challenger, data, judged_by)
    for line in promotion.describe(version, decision):
        say(line)
    return Retrained(version, decision, changed=True)


def _decide(bucket: Bucket, challenger: LoadedModel, data: Dataset, judged_by: Judging) -> Decision:
    try:
        return promotion.promote(bucket, challenger, data, judged_by)[0]
    except ConflictError:  # something else was promoted meanwhile, and is what it has to stand beside
        return promotion.promote(bucket, challenger, data, judged_by)[0]


def _data(bucket: Bucket, environment: Mapping[str, str], say: Callable[[str], None]) -> Dataset:
    found = dataset.store_mnist(bucket, environment)
    if found:
        say(f"data: put MNIST from {found.source} into the bucket")
    else:
        found = dataset.find(None, bucket, environment)
    say(f"data: {found.name} from {found.source}: {len(found.training):,} training digits")
    return add_stored_extra(found, bucket, say)


def _made_before(registry: Registry, recipe: Recipe, data: Dataset) -> str | None:
    """Return the newest version that was made from the same data, recipe and code."""
    for version in reversed(registry.versions()):
        try:
            if made_from(registry.manifest(version), recipe, data, SEED):
                return version
        except CorruptModelError:
            continue
    return None


def _settled(bucket: Bucket, version: str) -> bool:
    """Tell whether a version is or was live, or has been decided on for good.

    A process may have been killed between a decision to promote and the promotion; where something else has gone
    live since then, that stays.
    """
    pointer = Registry(bucket).live_state().pointer
    if pointer and version in (pointer.version, pointer.previous):
        return True
    decided = decisions.recorded(bucket, version)
    if not decided or decided[-1].outcome not in ("promote", "force"):
        return bool(decided)
    return decided[-1].live != (pointer.version if pointer else None)


def _each_epoch(say: Callable[[str], None]) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        if progress.epoch_ended:
            epoch = f"epoch {progress.epoch}/{progress.epochs}"
            say(f"{progress.network}  {epoch}  holdout {progress.holdout_accuracy or 0:.2%}")

    return told
