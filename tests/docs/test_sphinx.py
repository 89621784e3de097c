"""What the settings of the site add to Sphinx, on a folder of a few pages."""

import io
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

import docs.site

SETTINGS = Path(docs.site.__file__).parent
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'


def build(folder: Path, page: str) -> tuple[str, str]:
    """The HTML of a page, and the warnings."""
    (folder / "index.md").write_text(page, encoding="utf-8")
    warnings = io.StringIO()
    with docutils_namespace():
        app = Sphinx(
            folder, SETTINGS, folder / "html", folder / "trees", "html", status=None,
            warning=warnings, freshenv=True,
        )  # fmt: skip
        app.build()
    return (folder / "html" / "index.html").read_text(encoding="utf-8"), warnings.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_pictures_in_two_themes(tmp_path: Path) -> None:
    for name in ("both.svg", "both-dark.svg", "one.svg"):
        (tmp_path / name).write_text(PICTURE)
    html, warnings = build(tmp_path, "# Page\n\n![two](both.svg)\n\n![one](one.svg)\n")
    assert warnings == ""
    assert 'class="only-light" src="_images/both.svg"' in html
    assert 'class="only-dark" src="_images/both-dark.svg"' in html
    assert html.count("_images/one.svg") == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_references_in_docstrings(tmp_path: Path) -> None:
    """To what has no page: code without a link. To what does not exist: a warning."""
    page = (
        "# Page\n```{eval-rst}\n:func:`vta.compiler.ops.tiling.choose` :func:`vta.nothing`\n```\n"
    )
    html, warnings = build(tmp_path, page)
    assert "vta.compiler.ops.tiling.choose" in html
    (warning,) = [line for line in warnings.splitlines() if line]
    assert "target not found: vta.nothing" in warning
