"""The model, the digits and the thresholds that a benchmark of accuracy works with, and how it is asked for them."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from digits.model.classifier import Classifier
from digits.model.identity import MODEL_FILE, READER_FILE
from digits.model.manifest import Manifest
from digits.model.proof import LazyReader
from training import dataset
from training.artifacts import OUTPUT, latest_folder, read_folder
from training.dataset import Dataset


@dataclass(frozen=True)
class Measured:
    """A trained model.

    Attributes:
        numbers: its reader, if it has one.
    """

    manifest: Manifest
    classifier: Classifier
    numbers: LazyReader

    @property
    def thresholds(self) -> tuple[float | None, float | None]:
        """The upper and the lower threshold of its manifest."""
        return self.manifest.acceptance_threshold, self.manifest.rejection_threshold


def parser(program: str, description: str, count: int) -> argparse.ArgumentParser:
    """Return a parser of what these benchmarks share.

    Args:
        count: how many pictures of each kind, where nothing else is asked for.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m {program}", description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--model", type=Path, metavar="FOLDER", help="instead of the newest in artifacts")
    made.add_argument("--data", metavar="PATH", help="MNIST, as the training command takes it")
    made.add_argument("--count", type=positive, metavar="N", default=count, help="pictures of each kind")
    made.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures besides")
    return made


def positive(text: str) -> int:
    """Return a number that is at least 1; a `ValueError`, which a parser tells, says that it is not."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def folder_of(options: argparse.Namespace) -> Path:
    """Return the folder of the model that is asked for.

    Raises:
        DataError: there is none.
    """
    folder: Path = options.model or latest_folder(OUTPUT)
    return folder


def model_of(options: argparse.Namespace) -> Measured:
    """Return the model that is asked for.

    Raises:
        DataError: there is none.
        CorruptModelError: it cannot be read.
    """
    manifest, files = read_folder(folder_of(options))
    numbers = LazyReader(manifest, partial(files.__getitem__, READER_FILE))
    return Measured(manifest, Classifier(files[MODEL_FILE]), numbers)


def digits_of(options: argparse.Namespace) -> Dataset:
    """Return the data set that is asked for.

    Raises:
        DataError: what is found is damaged, or a given path is missing.
    """
    return dataset.find(options.data, None, os.environ)
