"""The commands that train: `train`, into a folder, and `retrain`, from the bucket's data to a promotion."""

from __future__ import annotations

import argparse
import math
import os
import sys
from functools import partial
from pathlib import Path

from training.artifacts import OUTPUT
from training.lease import LeaseTakenError, held, new_holder
from training.quiet import quiet_libraries
from training.registry_commands import find_bucket

REFUSED = 1
BUSY = 75  # EX_TEMPFAIL in sysexits.h: try again later


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the command line."""
    train = commands.add_parser("train", help="train a model into a folder", description=_train.__doc__)
    train.set_defaults(command=_train)
    retrain = commands.add_parser(
        "retrain", help="train on the bucket's data, and promote the model if no worse", description=_retrain.__doc__
    )
    retrain.set_defaults(command=_retrain)
    for command in (train, retrain):
        command.add_argument(
            "--recipe",
            default="default",
            help="'default', 'quick', 'best' or 'reference' (as published); the README says how long each takes",
        )
        command.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="(default: artifacts)")
        command.add_argument(
            "--time-limit",
            type=_seconds,
            metavar="SECONDS",
            help="train for at most this long, on a schedule that fits; evaluation and export come after it",
        )
    train.add_argument("--data", metavar="PATH", help="MNIST as an npz file or a folder of IDX files, or 'embedded'")
    train.add_argument("--seed", type=_seed, default=1, help="seed of all random numbers (default: 1)")
    more = train.add_mutually_exclusive_group()
    more.add_argument(
        "--extra", type=Path, metavar="PATH", help="more labelled digits: a folder of 7/….png or 7_….png, or an npz"
    )
    more.add_argument(
        "--stored-extra", action="store_true", help="the bucket's labelled digits under datasets/extra/, as for retrain"
    )


def _train(options: argparse.Namespace) -> int:
    """Train a model, measure it on the test digits, export it, and write it with manifest and report to a folder.

    SIGINT (Ctrl-C) and SIGTERM stop training early: the best weights so far are evaluated and exported. A
    second signal, or one before training begins, leaves nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow takes seconds to import; the other commands need not wait for it.
    with quiet_libraries():
        from training import dataset, extra, fit, job, recipes
        from training.progress import ProgressLine

    recipe = recipes.find_recipe(options.recipe)
    bucket = find_bucket() if os.environ.get("DIGITS_BUCKET") else None
    found = dataset.find(options.data, bucket, os.environ)
    print(
        f"data: {found.name} from {found.source}: {len(found.training):,} training digits, "
        f"{len(found.holdout):,} holdout, {len(found.test):,} test",
    )
    if found.name != "mnist":
        print("data: this is a small part of MNIST; for a better model name all of it with --data or DIGITS_MNIST")
    if options.extra:
        found = extra.add_extra(found, options.extra, say=print)
    if options.stored_extra:
        found = extra.add_stored_extra(found, find_bucket(), say=print)
    print(f"recipe: {recipe.name}: {recipe.summary}", flush=True)
    say = partial(print, flush=True)
    stop = fit.StopRequest(options.time_limit)
    with stop.on_signals():
        progress = ProgressLine(sys.stdout)
        folder = job.run(recipe, found, options.seed, options.output, say=say, stop=stop, progress=progress)
    print(f"written to {folder}")
    return 0


def _retrain(options: argparse.Namespace) -> int:
    """Train on the bucket's data, publish the version, and promote it if it is no worse than the live one.

    MNIST is put into the bucket if it is missing there. The labelled pictures under datasets/extra/ are trained
    on too. If a version with the same data, recipe and code has already been decided on, nothing is done.

    Exit status: 0 promoted, or nothing to do; 1 refused; 2 error; 75 another retraining is running.
    SIGINT (Ctrl-C) and SIGTERM stop training early, as for train; the version is still decided on.
    """
    bucket = find_bucket()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_libraries():
        from training.fit import StopRequest
        from training.progress import ProgressLine
        from training.retraining import retrain

    stop = StopRequest(options.time_limit)
    try:
        # In this order, so that a stopped run releases the lease.
        with stop.on_signals(), held(bucket, new_holder()):
            retrained = retrain(
                bucket,
                options.recipe,
                options.output,
                stop=lambda: stop,
                environment=os.environ,
                say=partial(print, flush=True),
                progress=ProgressLine(sys.stdout),
            )
    except LeaseTakenError as error:
        print(f"busy: {error}", file=sys.stderr)
        return BUSY
    return REFUSED if retrained.outcome == "refuse" else 0


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**31:
        raise ValueError(text)
    return seed


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ValueError(text)
    return seconds
