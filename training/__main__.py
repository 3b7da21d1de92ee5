"""The command line of the training job."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from digits import reading
from digits.errors import DigitsError, ImageError
from digits.reading import Picture
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from training import registry_commands
from training.artifacts import OUTPUT, REPORT_FOLDER, fetch_report, latest_folder
from training.quiet import quiet_libraries
from training.registry_commands import find_bucket

_EPILOG = """\
environment:
  DIGITS_BUCKET         the bucket that holds the models
  AWS_ENDPOINT_URL_S3   address of an S3-compatible store; AWS where it is not set
  DIGITS_MNIST          where MNIST is, as --data; looked for otherwise: the bucket, Keras's cache
                        or download, and last the embedded subset of 5,000 digits
Credentials are found as the AWS SDK finds them.

Errors are one line on standard error and exit status 2.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("absl", "boto3", "botocore", "s3transfer", "tensorflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        status: int = options.command(options)
        return status
    except DigitsError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _fail(error: DigitsError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train, try and publish models that read handwritten digits.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a model into a folder", description=train_command.__doc__)
    train.add_argument(
        "--recipe",
        default="default",
        help="'default', 'quick' (seconds), 'best' (minutes) or 'reference' (as published)",
    )
    train.add_argument("--data", metavar="PATH", help="MNIST as an npz file or a folder of IDX files, or 'embedded'")
    train.add_argument("--seed", type=_seed, default=1, help="of every random number (default: 1)")
    train.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="(default: artifacts)")
    more = train.add_mutually_exclusive_group()
    more.add_argument(
        "--extra", type=Path, metavar="PATH", help="more labelled digits: a folder of 7/….png or 7_….png, or an npz"
    )
    more.add_argument(
        "--stored-extra", action="store_true", help="those under datasets/extra/ in the bucket, as the schedule does"
    )
    train.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="SECONDS",
        help="train no longer than this, at a schedule that fits; evaluation and export come after it",
    )
    train.set_defaults(command=train_command)

    test = commands.add_parser("test", help="read images with the current model", description=test_command.__doc__)
    test.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a PNG, JPEG, GIF, BMP, WebP or TIFF file of one digit"
    )
    test.set_defaults(command=test_command)

    report = commands.add_parser("report", help="fetch a version's report", description=report_command.__doc__)
    report.add_argument("version", metavar="VERSION", nargs="?", help="(default: the newest in artifacts)")
    report.add_argument("--json", action="store_true", help="print all figures as JSON instead")
    report.set_defaults(command=report_command)

    registry_commands.add_commands(commands)
    return parser


def train_command(options: argparse.Namespace) -> int:
    """Train a model, measure it on the test digits, export it, and write it with manifest and report to a folder.

    SIGINT (Ctrl-C) and SIGTERM end the training early: the best weights so far are evaluated and exported. A
    second one, or one before training has begun, leaves nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow takes seconds to import, which the other commands need not wait for.
    with quiet_libraries():
        from training import dataset, extra, fit, job, recipes
        from training.progress import ProgressLine

    recipe = recipes.find_recipe(options.recipe)
    bucket = Bucket(os.environ["DIGITS_BUCKET"]) if os.environ.get("DIGITS_BUCKET") else None
    found = dataset.find(options.data, bucket, os.environ)
    print(
        f"data: {found.name} from {found.source}: {len(found.training):,} training digits, "
        f"{len(found.holdout):,} holdout, {len(found.test):,} test",
    )
    if found.name != "mnist":
        print("data: this is a small part of MNIST; name the whole with --data or DIGITS_MNIST for a better model")
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


def test_command(options: argparse.Namespace) -> int:
    """Read images with the current model: one line for each, in the order given."""
    loaded = Registry(find_bucket()).load()
    print(f"{'digit':5}  {'confidence':>10}  {'sha256':12}  image        (model {loaded.manifest.version})")
    status = 0
    for path in options.images:
        try:
            read = reading.read(Picture.of_file(_read_file(path)), loaded)
        except ImageError as error:
            status = _fail(ImageError(f"{path}: {error}"))
            continue
        print(f"{read.pred:5}  {read.conf:10.4f}  {read.prepared.sha256[:12]}  {path}")
    return status


def report_command(options: argparse.Namespace) -> int:
    """Name and sum up the report of a version: of one trained here, or else of a published one, which is fetched."""
    from training.report import METRICS, PAGE, summary

    version = options.version or latest_folder(OUTPUT).name
    folder = OUTPUT / version / REPORT_FOLDER
    if not ((folder / PAGE).is_file() and (folder / METRICS).is_file()):
        fetch_report(Registry(find_bucket()), version, folder)
    metrics = (folder / METRICS).read_text(encoding="utf-8")
    print(metrics if options.json else f"{summary(json.loads(metrics))}\nreport             {folder / PAGE}")
    return 0


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


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
