"""The link check of the site."""

import re
from pathlib import Path

from docs.site.links import broken_links
from docs.site.notebooks import NOTEBOOKS
from docs.site.staging import DOCS, generated


def test_broken_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a b.html").write_text('<p id="there"><img src="picture.png">')
    (tmp_path / "folder" / "index.html").write_text(
        '<a href="../a%20b.html#there"><a href="../a%20b.html#gone"><a href="#nowhere">'
        '<a href="https://example.org"><script src="https://example.org/x.js"></script>'
    )
    (tmp_path / "top.html").write_text('<a href="folder/"><a href="missing.html">')
    assert broken_links(tmp_path) == [
        "a b.html: picture.png: no such page or place",
        "folder/index.html: #nowhere: no such page or place",
        "folder/index.html: ../a%20b.html#gone: no such page or place",
        "folder/index.html: https://example.org/x.js: needs a network",
        "top.html: missing.html: no such page or place",
    ]


def test_links_between_pages() -> None:
    """Every relative link of a page names a page that is there; `make docs` also checks places."""
    notebooks = (f"tutorials/{name}.ipynb" for name in NOTEBOOKS)
    made = {(DOCS / name).resolve() for name in (*generated(), *notebooks)}
    missing = [
        f"{page.relative_to(DOCS)}: {link}"
        for page in DOCS.rglob("*.md")
        for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (target := (page.parent / link).resolve()).exists() and target not in made
    ]
    assert missing == []


def test_every_page_is_in_an_index() -> None:
    """A page that no index.md lists has no place in the site."""
    listed = set()
    for index in DOCS.rglob("index.md"):
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", index.read_text(), re.M | re.S):
            for line in re.findall(r"^(?:.*<)?([^\s>]+)>?$", tree.split("\n\n", 1)[-1], re.M):
                listed |= {path.resolve() for path in index.parent.glob(f"{line}.md")}
    pages = {path.resolve() for path in DOCS.rglob("*.md")} - {(DOCS / "index.md").resolve()}
    assert sorted(str(path.relative_to(DOCS)) for path in pages - listed) == []
