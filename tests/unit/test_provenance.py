"""What a model was made from."""

from __future__ import annotations

from pathlib import Path

from training import provenance


def test_the_code_that_decides_is_all_of_the_training_but_what_starts_it_and_what_uses_its_outcome() -> None:
    modules = {path.stem for path in Path(provenance.__file__).parent.glob("*.py")}
    assert modules >= provenance._AROUND
    assert modules - provenance._AROUND >= {"augment", "dataset", "evaluate", "export", "fit", "job", "recipes"}
    assert modules - provenance._AROUND >= {"additions", "doodles", "glyphs", "hands", "outliers", "pen", "remnants"}
    assert modules - provenance._AROUND >= {"answers", "blanks", "forms", "mixture", "paper", "refusals", "scenes"}


def test_a_changed_source_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "room").mkdir()
    (tmp_path / "room/b.py").write_text("y = 1")
    before = provenance.sources_sha256(tmp_path / "a.py", tmp_path / "room")
    assert provenance.sources_sha256(tmp_path / "a.py", tmp_path / "room") == before
    (tmp_path / "room/b.py").write_text("y = 2")
    assert provenance.sources_sha256(tmp_path / "a.py", tmp_path / "room") != before
