"""The link check of the site."""

from pathlib import Path

from docs.site.links import broken_links


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
