"""The built batch function under Lambda's own runtime, and a batch on this machine that is killed again and again."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.emulator import Container, artifact_environment, emulated
from digits.registry.bucket import Bucket
from digits.registry.versions import Registry
from functions.batch.answering import Reading
from functions.batch.results import Document
from functions.batch.runs import lines_key, summary_key
from local import batch
from local.build import BATCH, bare_python
from local.store import BUCKET, EmbeddedStore
from tests import events
from tests.conftest import ROOT
from training import dataset

MOST_MEGABYTES = 300
HANDLER = "functions.batch.handler.handler"
# As `python -m local batch`, but keeps its place after every fifty pictures.
KEEPING_PLACE_OFTEN = (
    "import sys; from functions.batch import reading; from local.__main__ import main; "
    "reading.PART_LINES = 50; sys.exit(main(sys.argv[1:]))"
)


def dropped(key: str) -> Document:
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": key}},
    }


def png(pixels: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(file, "PNG")
    return file.getvalue()


def test_digits() -> bytes:
    """The test digits of the embedded data set, which the trained model's manifest tells the accuracy on."""
    part = dataset.load_subset().test
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
            archive.writestr(f"{label}/{number:05}.png", png(image))
    return file.getvalue()


test_digits.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture
def batch_function(build: Path, runtime_client: Path, published: Bucket, store: EmbeddedStore) -> Iterator[Container]:
    """The built function in a cold container, with nothing else than what the artifact holds."""
    environment = artifact_environment(runtime_client, store.environment(), name=BATCH)
    with emulated(bare_python(), HANDLER, environment | {"AWS_LAMBDA_FUNCTION_TIMEOUT": "900"}) as container:
        yield container


def test_the_built_function_reads_the_test_digits_as_the_manifest_says(
    batch_function: Container, published: Bucket
) -> None:
    published.create("batch/in/digits.zip", test_digits())
    summary = batch_function(dropped("batch/in/digits.zip"))
    model = Registry(published).load(summary["model"]["version"])
    part = dataset.load_subset().test
    probabilities = model.classifier.predict(part.images)
    lines = [json.loads(line) for line in published.get(lines_key("digits.zip")).data.splitlines()]
    read = [line.get("pred", answer) for line, answer in zip(lines, probabilities.argmax(axis=1).tolist(), strict=True)]
    # The manifest's accuracy is the network's, which refuses nothing.
    assert np.mean(read == part.labels) == pytest.approx(model.manifest.test.accuracy)
    refused = summary["pictures"] - summary["outcomes"]["accepted"] - summary["outcomes"]["not accepted"]
    assert refused < 0.02 * len(part)
    assert [line["index"] for line in lines] == list(range(summary["pictures"]))
    assert [line["name"].rpartition("/")[2] for line in lines] == [f"{number:05}.png" for number in range(len(lines))]
    assert batch_function.memory_kilobytes() / 1024 < MOST_MEGABYTES


def test_the_built_function_reads_numbers_and_the_pages_of_a_pdf(batch_function: Container, published: Bucket) -> None:
    page = Image.open(io.BytesIO(events.number_file())).convert("L")
    file = io.BytesIO()
    page.save(file, "PDF", save_all=True, append_images=[page, page], resolution=75)
    published.create("batch/in/numbers/scan.pdf", file.getvalue())
    summary = batch_function(dropped("batch/in/numbers/scan.pdf"))
    lines = [json.loads(line) for line in published.get(lines_key("numbers/scan.pdf")).data.splitlines()]
    assert [line["page"] for line in lines] == [1, 2, 3]
    assert {line["text"] for line in lines} == {"2026"}
    assert summary["outcome"] == "done"


def test_what_fails_leaves_lambda_with_one_line_for_a_person(batch_function: Container, published: Bucket) -> None:
    published.create("batch/in/broken.zip", test_digits()[:-100])
    answer = batch_function(dropped("batch/in/broken.zip"))
    assert answer["errorType"] == "BatchFailedError"
    assert answer["errorMessage"] == "batch/in/broken.zip: the archive is damaged or truncated"
    assert json.loads(published.get(summary_key("broken.zip")).data)["outcome"] == "failed"


def test_a_batch_that_is_killed_twenty_times_ends_with_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    archive, out, chance = tmp_path / "digits.zip", tmp_path / "out", random.Random(20)  # noqa: S311
    samples = [np.asarray(Image.open(io.BytesIO(events.digit_file(digit))).convert("L")) for digit in range(10)]
    with zipfile.ZipFile(archive, "w") as made:
        for number in range(12_000):
            made.writestr(f"{number % 10}/{number:05}.png", png(np.roll(samples[number % 10], number % 3, axis=0)))
    command = [sys.executable, "-c", KEEPING_PLACE_OFTEN, "batch", str(archive), "--artifacts", str(trained.parent)]
    kills = 0
    while not (out / "digits.zip.summary.json").exists():
        assert kills < 200
        with subprocess.Popen([*command, "--out", str(out)], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            place = len(list(out.glob(".batch/work/*/lines/*")))
            while process.poll() is None and len(list(out.glob(".batch/work/*/lines/*"))) == place:
                time.sleep(0.005)
            if kills < 20:
                time.sleep(chance.uniform(0, 0.08))
                process.kill()
                kills += 1
            assert process.stderr is not None
            assert "error" not in process.stderr.read()
    assert kills == 20
    whole = batch.run(archive, tmp_path / "whole", Reading(), output=trained.parent)
    assert (out / "digits.zip.jsonl").read_bytes() == (tmp_path / "whole/digits.zip.jsonl").read_bytes()
    assert whole["pictures"] == 12_000


@pytest.mark.docker
def test_sam_local_invoke_reads_what_its_event_says_was_dropped(build: Path, trained: Path) -> None:
    event = events.FOLDER / "batch_object_created.json"
    command = [sys.executable, "-m", "local", "invoke", "--event", str(event), "--artifacts", str(trained.parent)]
    finished = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    summary = json.loads(finished.stdout.strip().splitlines()[-1])
    assert (summary["outcome"], summary["pictures"], summary["labels"]["right"]) == ("done", 10, 10)
