"""The commands on published models: publish, promote, roll back, list, verify, pin and prune."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from digits.errors import CorruptModelError, OperationError, UnknownVersionError
from digits.model.identity import MODEL_FILE
from digits.model.proof import LoadedModel
from digits.registry import decisions, retention
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from training.artifacts import DISTORTED_FOLDER, OUTPUT, latest_folder, read_folder


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the command line."""
    publish = commands.add_parser("publish", help="upload and promote a trained model", description=_publish.__doc__)
    publish.add_argument("folder", type=Path, nargs="?", help="a version's folder (default: the newest in artifacts)")
    publish.set_defaults(command=_publish, dry_run=False)

    promote = commands.add_parser("promote", help="make a model the live one", description=_promote.__doc__)
    promote.add_argument("version", metavar="VERSION")
    promote.set_defaults(command=_promote)

    for command in (publish, promote):
        command.add_argument("--data", metavar="PATH", help="the data set that the model was trained on, as for train")
        command.add_argument("--force", metavar="REASON", help="promote whatever the checks say, and why")

    rollback = commands.add_parser("rollback", help="go back to an earlier model", description=_rollback.__doc__)
    rollback.add_argument("version", metavar="VERSION", nargs="?", help="(default: the one before the live one)")
    rollback.add_argument("--reason", help="is recorded")
    for command in (promote, rollback):
        command.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    rollback.set_defaults(command=_rollback)

    models = commands.add_parser("models", help="list the published models", description=_models.__doc__)
    models.set_defaults(command=_models)

    for name, run, summary in (
        ("verify", _verify, "check the files of a published model"),
        ("pin", _pin, "keep a model from being pruned"),
        ("unpin", _unpin, "let a model be pruned again"),
    ):
        command = commands.add_parser(name, help=summary, description=run.__doc__)
        command.add_argument("version", metavar="VERSION")
        command.set_defaults(command=run)

    prune = commands.add_parser("prune", help="delete old models", description=_prune.__doc__)
    prune.add_argument("--keep", type=_count, required=True, metavar="N", help="how many of the newest stay at least")
    prune.add_argument("--dry-run", action="store_true", help="only tell what would go")
    prune.set_defaults(command=_prune)


def find_bucket() -> Bucket:
    """Return the bucket that the environment names.

    Raises:
        ConfigurationError: it names none.
    """
    return Bucket.from_environment(os.environ)


def _publish(options: argparse.Namespace) -> int:
    """Upload a trained model under its version, and promote it where it proves no worse than the live one."""
    registry = Registry(find_bucket())
    folder = options.folder or latest_folder(OUTPUT)
    manifest, files = read_folder(folder)
    challenger = registry.publish(manifest, files)
    print(f"published {manifest.version}", flush=True)
    return _decide(challenger, options, folder.parent)


def _promote(options: argparse.Namespace) -> int:
    """Point the service at a published model where it proves no worse than the live one; exit status 1 where not."""
    return _decide(Registry(find_bucket()).load(options.version), options, OUTPUT)


def _decide(challenger: LoadedModel, options: argparse.Namespace, output: Path) -> int:
    from training import dataset, promotion
    from training.judging import judging

    if options.force is not None and not options.force.strip():
        raise OperationError("--force needs a reason")
    bucket = find_bucket()
    version = challenger.manifest.version
    on_subset = challenger.manifest.dataset.name == dataset.SUBSET_NAME
    found = dataset.find(options.data or (dataset.EMBEDDED if on_subset else None), bucket, os.environ)
    judged_by = judging(found.holdout, output / DISTORTED_FOLDER, print, with_numbers=True)
    decision, pointer = promotion.promote(
        bucket, challenger, found, judged_by, force=options.force, dry_run=options.dry_run
    )
    print("\n".join(promotion.describe(version, decision)))
    if options.dry_run:
        print("nothing was changed")
        return int(decision.outcome == "refuse")
    if pointer is None:
        print(f"live is {decision.live}, as before" if decision.live else "nothing is live")
        return 1
    print(f"live is {pointer.version}" + (f", before it {pointer.previous}" if pointer.previous else ""))
    return 0


def _rollback(options: argparse.Namespace) -> int:
    """Point the service at the model before the live one, or at a given one that was live, without a test."""
    registry = Registry(find_bucket())
    taken_back = registry.live_state().version or "what could not be read"
    version = registry.rollback(options.version, options.reason, options.dry_run)
    print(f"live {'would be' if options.dry_run else 'is'} {version}, and {taken_back} taken back")
    return 0


def _models(_: argparse.Namespace) -> int:
    """List the published models, oldest first; * marks the live one, < the one before it, ! pinned ones."""
    bucket = find_bucket()
    registry, pinned = Registry(bucket), retention.pins(bucket)
    state = registry.live_state()
    pointer = state.pointer
    if state.etag is not None and pointer is None:
        print("what is live cannot be read: promote a version to replace it")
    live, before = (pointer.version, pointer.previous) if pointer else (None, None)
    versions = registry.versions()
    print(f"   {'version':25}  {'test accuracy':>13}  {'recipe':10}  {'trained on':>10}  {'bytes':>9}  last decision")
    for version in versions:
        mark = ("*" if version == live else "<" if version == before else " ") + ("!" if version in pinned else " ")
        try:
            manifest = registry.manifest(version)
            decided = decisions.recorded(bucket, version)
            size = manifest.files[MODEL_FILE].size_bytes
        except (CorruptModelError, UnknownVersionError) as error:
            print(f"{mark} {version:25}  {error}")
            continue
        print(
            f"{mark} {version:25}  {manifest.test.accuracy:>13.2%}  {manifest.recipe.name:10}  "
            f"{manifest.dataset.training_count:>10,}  {size:>9,}  "
            f"{decided[-1].outcome if decided else '–'}"
        )
    if not versions:
        print("   none")
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Check a published model: the digests of all files, the contract, and its answers to its golden digits."""
    manifest = Registry(find_bucket()).verify(options.version)
    print(f"{manifest.version}: {len(manifest.files)} files and {len(manifest.goldens)} golden answers are right")
    return 0


def _pin(options: argparse.Namespace) -> int:
    """Keep a published model whatever is pruned, as a deployment is pinned to it (DIGITS_MODEL_VERSION)."""
    retention.pin(find_bucket(), options.version)
    print(f"{options.version} is pinned")
    return 0


def _unpin(options: argparse.Namespace) -> int:
    """Let a published model be pruned again."""
    retention.unpin(find_bucket(), options.version)
    print(f"{options.version} is not pinned")
    return 0


def _prune(options: argparse.Namespace) -> int:
    """Delete old models, and what uploads that were given up have left.

    The live model, the one before it, and pinned ones stay.
    """
    gone = 0
    for version in retention.prune(find_bucket(), options.keep, options.dry_run):
        print(f"{'would delete' if options.dry_run else 'deleting'} {version}", flush=True)
        gone += 1
    print(f"{gone} {'would go' if options.dry_run else 'gone'}")
    return 0


def _count(text: str) -> int:
    if int(text) < 0:
        raise ValueError(text)
    return int(text)
