"""The folder that Sphinx reads: the pages of docs/, the generated pages, the notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from docs.pictures import history
from docs.pictures.measured import measured
from docs.site import (
    commands,
    exercises,
    instruction_set,
    python_api,
    registers,
    root_pages,
    rtl_blocks,
)
from docs.site.notebooks import (
    NOTEBOOKS,
    PAGES,
    TUTORIALS,
    notebook,
    page_notebook,
    script_of,
    sources,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["generated", "stage"]

DOCS = Path(__file__).parents[1]
KINDS = {".md", ".svg", ".png"}


def generated() -> dict[str, str]:
    """The generated pages: the path in the site, the text."""
    return {
        **root_pages.pages(),
        **exercises.pages(),
        **{f"pictures/{name}": text for name, text in {**measured(), **history.pictures()}.items()},
        "reference/instruction-set.md": instruction_set.page(),
        "reference/registers.md": registers.page(),
        "reference/commands.md": commands.page(),
        **{f"reference/rtl/{name}": text for name, text in rtl_blocks.pages().items()},
        **{f"reference/python/{name}": text for name, text in python_api.pages().items()},
    }


def stage(source: Path, notebooks: Path) -> None:
    """Make ``source`` the folder that Sphinx reads. Files that are as they were keep their time, so
    that Sphinx reads only what has changed.

    Parameters
    ----------
    source : Path
        Is made; what does not belong to the site is removed from it.
    notebooks : Path
        Notebooks with their outputs, pages of the folder ``tutorials``. One that is not there has
        no outputs on its page.
    """
    wanted: dict[str, bytes] = {
        str(path.relative_to(DOCS)): path.read_bytes() for path in _pages(DOCS)
    }
    wanted |= {name: text.encode() for name, text in generated().items()}
    wanted |= _tutorials(notebooks)
    for path in list(source.rglob("*")):
        if path.is_file() and str(path.relative_to(source)) not in wanted:
            path.unlink()
    _write(source, wanted)


def _tutorials(ran: Path) -> dict[str, bytes]:
    """The pages of tutorials, with links to their scripts and notebooks, and those files."""
    out = {}
    for name in NOTEBOOKS:
        empty = nbformat.writes(notebook(name)).encode()
        path = ran / f"{name}.ipynb"
        out[f"tutorials/{name}.ipynb"] = path.read_bytes() if path.exists() else empty
        out[f"tutorials/scripts/{name}.ipynb"] = empty
        out[f"tutorials/scripts/{name}.py"] = (TUTORIALS / f"{name}.py").read_bytes()
    for name in PAGES:
        text = (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
        title, rest = text.split("\n", 1)
        made = page_notebook(name)
        out[f"tutorials/{name}.md"] = f"{title}\n\n{sources(name)}\n{rest}".encode()
        out[f"tutorials/scripts/{name}.ipynb"] = nbformat.writes(made).encode()
        out[f"tutorials/scripts/{name}.py"] = script_of(made).encode()
    return out


def _pages(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in KINDS and DOCS / "site" not in path.parents:
            yield path


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
