"""Publishing and promoting, against the embedded store."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from digits.errors import (
    ConfigurationError,
    ConflictError,
    CorruptModelError,
    NoModelError,
    OperationError,
    UnknownVersionError,
)
from digits.model.identity import new_version
from digits.model.manifest import Manifest
from digits.model.proof import prove
from digits.registry import tokens
from digits.registry.bucket import Bucket
from digits.registry.layout import POINTER_KEY, TOKENS_KEY, manifest_key, object_key
from digits.registry.pointer import Pointer
from digits.registry.versions import Registry

type Version = tuple[Manifest, dict[str, bytes]]


def another(version: Version, year: int = 2030) -> Version:
    """The same model under a later version."""
    manifest, files = version
    later = new_version(files["model.tflite"], datetime(year, 1, 1, tzinfo=UTC))
    return manifest.model_copy(update={"version": later}), files


def test_version_names_sort_by_time_and_carry_the_digest() -> None:
    name = new_version(b"model", datetime(2026, 11, 22, 5, 15, tzinfo=UTC))
    assert name == "20261122T051500Z-9372c470"


def test_a_published_version_holds_its_files_and_last_its_manifest(bucket: Bucket, version: Version) -> None:
    manifest, files = version
    Registry(bucket).publish(manifest, files)
    names = [*files, "manifest.json"]
    assert {"model.tflite", "model.keras", "report/index.html"} <= set(names)
    assert set(bucket.keys("models/")) == {object_key(manifest.version, name) for name in names}
    assert Registry(bucket).versions() == [manifest.version]
    assert Registry(bucket).manifest(manifest.version) == manifest
    assert Registry(bucket).live() is None


def test_publishing_the_same_again_changes_nothing(bucket: Bucket, version: Version) -> None:
    Registry(bucket).publish(*version)
    Registry(bucket).publish(*version)
    assert len(list(bucket.keys("models/"))) == len(version[1]) + 1


def test_a_version_is_never_overwritten(bucket: Bucket, version: Version) -> None:
    manifest, files = version
    bucket.create(object_key(manifest.version, "model.keras"), b"something else")
    with pytest.raises(ConflictError, match="exists with other contents"):
        Registry(bucket).publish(manifest, files)
    assert Registry(bucket).versions() == []


def test_files_that_the_manifest_does_not_describe_are_not_uploaded(bucket: Bucket, version: Version) -> None:
    manifest, files = version
    for wrong in ({**files, "model.tflite": b"x"}, {"model.tflite": files["model.tflite"]}):
        with pytest.raises(CorruptModelError, match="not those that its manifest describes"):
            Registry(bucket).publish(manifest, wrong)
    assert list(bucket.keys("")) == []


def test_the_pointer_names_the_version_its_digest_and_the_one_before(bucket: Bucket, version: Version) -> None:
    registry, newer = Registry(bucket), another(version)
    registry.publish(*version)
    registry.publish(*newer)
    registry.promote(version[0].version)
    pointer = registry.promote(newer[0].version)
    assert (pointer.version, pointer.previous) == (newer[0].version, version[0].version)
    assert registry.live() == pointer == Pointer.from_json(bucket.get(POINTER_KEY).data)
    assert registry.load().manifest == newer[0]


def test_promoting_what_is_current_changes_nothing(published: Bucket, version: Version) -> None:
    before = published.get(POINTER_KEY)
    Registry(published).promote(version[0].version)
    assert published.get(POINTER_KEY) == before


def test_an_unknown_version_cannot_be_promoted(bucket: Bucket) -> None:
    with pytest.raises(UnknownVersionError, match="no model 'x'"):
        Registry(bucket).promote("x")
    with pytest.raises(NoModelError):
        Registry(bucket).load()


def test_a_missing_bucket_is_named(published: Bucket) -> None:
    with pytest.raises(ConfigurationError, match="no bucket 'elsewhere'"):
        Registry(Bucket("elsewhere", published._client)).versions()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 3}, "schema_version"),
        ({"version": "latest"}, "version"),
        ({"goldens": []}, "goldens"),
        ({"files": None}, "files"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(version: Version, change: dict[str, object], message: str) -> None:
    document = {**json.loads(version[0].to_json()), **change}
    with pytest.raises(CorruptModelError, match=message):
        Manifest.from_json(json.dumps(document).encode())


def test_a_model_is_not_served_unproved(version: Version) -> None:
    manifest, files = version
    model = files["model.tflite"]
    wrong_golden = manifest.goldens[0].model_copy(update={"probabilities": manifest.goldens[1].probabilities})
    for changed, message in (
        ({"canonical_form": 99}, "canonical form 99"),
        ({"classes": list("abcdefghij")}, "classes than are served"),
        ({"input": manifest.input.model_copy(update={"dtype": "float32"})}, "another input"),
        ({"output": manifest.output.model_copy(update={"shape": [-1, 11]})}, "another input, output"),
        ({"goldens": [wrong_golden]}, "golden"),
        ({"files": {}}, "digest"),
    ):
        with pytest.raises(CorruptModelError, match=message):
            prove(manifest.model_copy(update=changed), model)
    assert prove(manifest, model).manifest == manifest


def test_a_pointer_that_cannot_be_read_is_told_and_can_be_replaced(published: Bucket, version: Version) -> None:
    published.replace(POINTER_KEY, b"{", published.get(POINTER_KEY).etag)
    with pytest.raises(CorruptModelError, match="promote a version to replace it"):
        Registry(published).live()
    Registry(published).promote(version[0].version)
    assert Registry(published).load().manifest == version[0]


def test_a_version_whose_model_is_damaged_is_not_promoted(bucket: Bucket, version: Version) -> None:
    Registry(bucket).publish(*version)
    key = object_key(version[0].version, "model.tflite")
    bucket.replace(key, b"damaged", bucket.get(key).etag)
    with pytest.raises(CorruptModelError, match="digest"):
        Registry(bucket).promote(version[0].version)
    assert Registry(bucket).live() is None


def test_a_manifest_under_another_versions_name_is_refused(bucket: Bucket, version: Version) -> None:
    manifest, files = version
    other = another(version)[0].version
    bucket.create(object_key(other, "model.tflite"), files["model.tflite"])
    bucket.create(manifest_key(other), manifest.to_json())
    with pytest.raises(CorruptModelError, match=f"says that it is {manifest.version}"):
        Registry(bucket).promote(other)


def test_tokens_are_kept_as_digests_only(bucket: Bucket) -> None:
    token = tokens.issue(bucket, "web")
    assert len(token) >= 43
    assert token.encode() not in bucket.get(TOKENS_KEY).data
    assert tokens.TokenSet.from_json(bucket.get(TOKENS_KEY).data).name_of(token) == "web"
    assert tokens.names(bucket).keys() == {"web"}


@pytest.mark.parametrize("name", ["", "two words", "ü", "-x", "a" * 65, "a\n"])
def test_odd_token_names_are_refused(bucket: Bucket, name: str) -> None:
    with pytest.raises(OperationError, match="no name for a token"):
        tokens.issue(bucket, name)
    assert list(bucket.keys("")) == []


def test_a_token_name_is_taken_once_and_free_after_revoking(bucket: Bucket) -> None:
    tokens.issue(bucket, "web")
    with pytest.raises(ConflictError, match="revoke it first"):
        tokens.issue(bucket, "web")
    tokens.revoke(bucket, "web")
    tokens.issue(bucket, "web")
    with pytest.raises(OperationError, match="no token 'phone'; there are: web"):
        tokens.revoke(bucket, "phone")
