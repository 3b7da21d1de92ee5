"""Archives of a batch, those of ill will among them: nothing in them costs more than the limits tell."""

from __future__ import annotations

import tarfile

import pytest

from functions.batch import archives
from functions.batch.labels import MOST_LABELS
from tests import batches
from tests.batches import DIGITS, MEGABYTE

KINDS = ("a.zip", "a.tar", "a.tar.gz")


# Files as they should be


@pytest.mark.parametrize("name", KINDS)
def test_what_systems_put_beside_files_is_passed_over(name: str) -> None:
    beside = ("__MACOSX/7/._a.png", "7/.DS_Store", "Thumbs.db", "7/._a.png", "LABELS.csv")
    members = dict.fromkeys(beside, b"name,label\n") | {"7/a.png": DIGITS[7]}
    assert batches.names(batches.source(name, batches.packed(name, members)).items()) == ["7/a.png"]


# Files that cannot be read, each a line


@pytest.mark.parametrize("inner", ["inner.zip", "inner.tar.gz", "INNER.7z", "inner.rar", "named.png"])
@pytest.mark.parametrize("name", KINDS)
def test_an_archive_in_an_archive_is_not_opened(name: str, inner: str) -> None:
    data = batches.packed(name, {inner: batches.zipped({"a.png": DIGITS[1]}), "b.png": DIGITS[2]})
    first, second = batches.source(name, data).items()
    assert batches.problem(first) == "an archive in an archive is not opened"
    assert batches.problem(second) is None


@pytest.mark.parametrize("name", KINDS)
def test_a_tar_in_an_archive_is_no_picture(name: str) -> None:
    (item,) = batches.source(name, batches.packed(name, {"inner": batches.tarred({"a.png": DIGITS[1]})})).items()
    assert batches.problem(item) is not None


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("../../7/a.png", "7"),
        ("/etc/passwd", None),
        ("7\\a.png", None),
        ("C:\\7\\a.png", None),
        ("./7/./a.png", None),
        ("7//a.png", None),
        ("\u202egnp.a", None),
        ("line\nbreak", None),
        ("7" * 5_000, None),
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_a_path_names_a_line_and_does_nothing(name: str, path: str, label: str | None) -> None:
    (item,) = batches.source(name, batches.packed(name, {path: DIGITS[7]})).items()
    assert (item.name, item.label) == (path, label)
    assert batches.problem(item) is None


def test_names_that_are_no_text_are_shown_as_far_as_they_are() -> None:
    tar = batches.tarred({"7/bad-.png": DIGITS[7]}, kind=tarfile.GNU_FORMAT)
    header = tar.replace(b"7/bad-.png", b"7/bad\xff.png", 1)[:512]
    (item,) = batches.source("a.tar", batches.summed(header) + tar[512:]).items()
    assert (item.name, item.label) == ("7/bad\ufffd.png", "7")
    data = batches.zipped({"7/bad-.png": DIGITS[7]}).replace(b"7/bad-.png", b"7/bad\xff.png")
    (item,) = batches.source("a.zip", data).items()
    assert (item.label, batches.problem(item)) == ("7", None)


@pytest.mark.parametrize("name", KINDS)
def test_a_large_file_is_a_line_and_is_not_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches.limit(monkeypatch, "MOST_FILE_BYTES", 2_000)
    first, second = batches.source(name, batches.packed(name, {"a.png": bytes(2_001), "b.png": DIGITS[1]})).items()
    assert batches.problem(first) == "the file has 2,001 bytes, where up to 2,000 are read"
    assert batches.problem(second) is None


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_file_is_a_line(name: str) -> None:
    (item,) = batches.source(name, batches.packed(name, {"a.png": b""})).items()
    assert batches.problem(item) == "the image is empty"


# Limits of the whole


def bomb(name: str) -> bytes:
    """An archive of 50 MB of nothing."""
    return batches.packed(name, {f"{number}.png": bytes(MEGABYTE) for number in range(50)})


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_an_archive_that_unpacks_to_too_many_times_its_size_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bomb(name)
    monkeypatch.setattr(archives, "RATIO_COUNTS_FROM", 10 * MEGABYTE)
    assert "times its size" in batches.refused(name, data)
    monkeypatch.setattr(archives, "MOST_RATIO", 2_000)
    monkeypatch.setattr(archives, "MOST_UNPACKED_BYTES", 20 * MEGABYTE)
    assert "up to 20,971,520 are read" in batches.refused(name, data)
    monkeypatch.setattr(archives, "MOST_UNPACKED_BYTES", 60 * MEGABYTE)
    assert len(list(batches.source(name, data).items())) == 50


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_of_too_many_files_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = batches.packed(name, dict.fromkeys("abcd", DIGITS[1]))
    batches.limit(monkeypatch, "MOST_MEMBERS", 4)
    assert len(list(batches.source(name, data).items())) == 4
    batches.limit(monkeypatch, "MOST_MEMBERS", 3)
    assert batches.refused(name, data) in (
        "the archive has 4 entries, where up to 3 are read",
        "the archive has more than 3 members",
    )


# Labels


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("table", "told"),
    [
        (b"nonsense", "labels.csv needs a header with 'name' and 'label'"),
        (b"\xff\xfe", "labels.csv is no table in CSV"),
        (b"x" * 3_000, "labels.csv: the file has 3,000 bytes"),
    ],
)
def test_a_table_of_labels_that_cannot_be_read_is_no_small_matter(
    name: str, table: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches.limit(monkeypatch, "MOST_FILE_BYTES", 2_000)
    assert batches.refused(name, batches.packed(name, {"labels.csv": table, "a.png": DIGITS[1]})).startswith(told)


@pytest.mark.parametrize("name", KINDS)
def test_tables_of_labels_do_not_fill_the_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_LABELS >= archives.MOST_MEMBERS
    monkeypatch.setattr("functions.batch.archives.MOST_LABELS", 15)
    table = b"name,label\n" + b"".join(b"%d,1\n" % number for number in range(10))
    assert len(list(batches.source(name, batches.packed(name, {"a": b"", "1/labels.csv": table})).items())) == 1
    assert "labels" in batches.refused(name, batches.packed(name, {"1/labels.csv": table, "2/labels.csv": table}))
