"""The folder that Sphinx reads."""

from pathlib import Path

from docs.site.staging import DOCS, stage


def test_pages_and_notebooks(tmp_path: Path) -> None:
    source, notebooks = tmp_path / "source", tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "own_machine.ipynb").write_text("with outputs")
    source.mkdir()
    (source / "old.md").write_text("a page that was removed")
    stage(source, notebooks)
    assert not (source / "old.md").exists()
    tutorials = source / "tutorials"
    assert (tutorials / "own_machine.ipynb").read_text(encoding="utf-8") == "with outputs"
    assert '"outputs": []' in (tutorials / "slow_layer.ipynb").read_text(encoding="utf-8")
    assert (tutorials / "scripts" / "slow_layer.py").exists()
    assert (source / "reference" / "registers.md").exists()
    for path in DOCS.rglob("*.md"):
        copy = source / path.relative_to(DOCS)
        title, text = path.read_text(encoding="utf-8").split("\n", 1)
        assert copy.read_text(encoding="utf-8").startswith(title)
        assert copy.read_text(encoding="utf-8").endswith(text)


def test_what_did_not_change_is_not_written(tmp_path: Path) -> None:
    stage(tmp_path, tmp_path / "none")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")}
    stage(tmp_path, tmp_path / "none")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")} == before
