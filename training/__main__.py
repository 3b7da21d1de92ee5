"""The command line of the training job."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from digits import numbers, reading, verdicts
from digits.errors import DataError, DigitsError, ImageError, UnreadableDigitError
from digits.model.identity import MODEL_FILE, READER_FILE
from digits.model.proof import LoadedModel, prove
from digits.pictures.images import FORMAT_NAMES
from digits.reading import Picture
from digits.registry.versions import Registry
from training import registry_commands, train_commands
from training.artifacts import OUTPUT, REPORT_FOLDER, fetch_report, latest_folder, read_folder
from training.registry_commands import find_bucket

_EPILOG = """\
environment:
  DIGITS_BUCKET         the bucket that holds the models
  AWS_ENDPOINT_URL_S3   address of an S3-compatible store (or AWS_ENDPOINT_URL); AWS if neither is set
  DIGITS_MNIST          where MNIST is, as for --data; if unset, the bucket, Keras's cache, its download
                        and the embedded subset of 5,000 digits are tried in this order
Credentials come from where the AWS SDK looks for them.

Errors are one line on standard error and exit status 2.
"""


_WIDTH = 6  # of what is read, in characters; longer numbers take more


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
        description="Train, test and publish models that read handwritten digits.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train_commands.add_commands(commands)

    test = commands.add_parser(
        "test", help="read images with the live model, or the last one trained here", description=test_command.__doc__
    )
    test.add_argument("images", nargs="+", metavar="IMAGE", help=f"a {FORMAT_NAMES} file of one digit")
    test.add_argument("--number", action="store_true", help="read rows of digits instead of one digit")
    test.set_defaults(command=test_command)

    report = commands.add_parser("report", help="fetch a version's report", description=report_command.__doc__)
    report.add_argument("version", metavar="VERSION", nargs="?", help="(default: the newest in artifacts)")
    report.add_argument("--json", action="store_true", help="print all figures as JSON instead")
    report.set_defaults(command=report_command)

    registry_commands.add_commands(commands)
    return parser


def test_command(options: argparse.Namespace) -> int:
    """Read images and print one line for each, in the order given.

    The model is the live one in the bucket that DIGITS_BUCKET names. Without a bucket, it is the last one trained here.
    """
    in_bucket = bool(os.environ.get("DIGITS_BUCKET"))
    loaded = Registry(find_bucket()).load() if in_bucket else _load_last_trained()
    model = f"model {loaded.manifest.version}" + ("" if in_bucket else f" of {OUTPUT}/, as DIGITS_BUCKET is not set")
    what, read = ("number", _read_number) if options.number else ("digit", _read_digit)
    print(f"{what:>{_WIDTH}}  {'confidence':>10}  {'sha256':12}  image        ({model})")
    status = 0
    for path in options.images:
        try:
            text, conf, accepted, digest = read(Picture.of_file(_read_file(path)), loaded)
        except ImageError as error:
            status = _fail(ImageError(f"{path}: {_in_words(error)}"))
            continue
        doubt = "" if accepted else f"  ({verdicts.NOT_SURE})"
        print(f"{text:>{_WIDTH}}  {conf:10.4f}  {digest[:12]}  {path}{doubt}")
    return status


def _read_digit(picture: Picture, loaded: LoadedModel) -> tuple[str, float, bool, str]:
    read = reading.read(picture, loaded)
    return str(read.pred), read.conf, read.accepted, read.prepared.sha256


def _read_number(picture: Picture, loaded: LoadedModel) -> tuple[str, float, bool, str]:
    read = numbers.read(numbers.find(picture), loaded)
    return read.text.replace("\n", " "), read.conf, read.accepted, read.sha256


def _in_words(error: ImageError) -> str:
    known = verdicts.in_words(error.verdict, len(error.boxes)) if isinstance(error, UnreadableDigitError) else None
    return known or str(error)


def _load_last_trained() -> LoadedModel:
    try:
        manifest, files = read_folder(latest_folder(OUTPUT))
    except DataError as error:
        raise DataError(f"{error}, or set DIGITS_BUCKET to the bucket that holds the models") from error
    return prove(manifest, files.get(MODEL_FILE, b""), reader=lambda: files.get(READER_FILE, b""))


def report_command(options: argparse.Namespace) -> int:
    """Sum up a version's report and say where it is. The report of a version not trained here is fetched first."""
    from training.report import METRICS, PAGE, summary

    version = options.version or latest_folder(OUTPUT).name
    folder = OUTPUT / version / REPORT_FOLDER
    if not ((folder / PAGE).is_file() and (folder / METRICS).is_file()):
        fetch_report(Registry(find_bucket()), version, folder)
    metrics = (folder / METRICS).read_text(encoding="utf-8")
    print(metrics if options.json else f"{summary(json.loads(metrics))}\nreport             {folder / PAGE}")
    return 0


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
