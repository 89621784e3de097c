"""The tutorials as notebooks: ``python -m docs.site.notebooks``. ``make notebooks`` calls this.

One source for each: tutorials/NAME.py is a script, whose comments ``# %%`` mark the cells of the
notebook and the parts of the page; docs/tutorials/NAME.md is a page whose blocks of Python are the
cells. A notebook runs in a kernel of its own on the simulated RTL; an error in a cell is an error
here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jupytext
import nbformat

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "NOTEBOOKS", "PAGES", "TUTORIALS", "notebook", "page_notebook", "run", "script_of", "sources",
]  # fmt: skip

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "tutorials"
PAGE_FOLDER = ROOT / "docs" / "tutorials"
OUT = ROOT / "build" / "docs" / "notebooks"
NOTEBOOKS = (
    "vta_get_started", "matrix_multiply_opt", "convolution_opt", "digits_network", "read_text",
    "own_machine", "slow_layer", "better_schedule",
)  # fmt: skip
"""The scripts that are notebooks, in the order of the gallery."""
PAGES = ("kernel",)
"""The pages of docs/tutorials that are notebooks, too. Tests compare what they print."""
SECONDS = 900
"""Of one cell, at most: the first run builds the RTL."""


def sources(name: str) -> str:
    """A sentence for the page of a tutorial, with links to its script and its notebook."""
    return (
        f"One source: this page, {{download}}`the script <scripts/{name}.py>`, and "
        f"{{download}}`the notebook <scripts/{name}.ipynb>`. Scripts and notebooks belong into the "
        f"folder `tutorials` of a checkout."
    )


def page_notebook(name: str) -> NotebookNode:
    """The notebook of a page, without outputs. What its blocks print is left out."""
    text = (PAGE_FOLDER / f"{name}.md").read_text(encoding="utf-8")
    text = re.sub(r"^```text\n.*?^```\n", "", text, flags=re.MULTILINE | re.DOTALL)
    made = jupytext.reads(text, fmt="md")
    return _numbered(made)


def script_of(made: NotebookNode) -> str:
    """A notebook as a script."""
    return str(jupytext.writes(made, fmt="py:percent"))


def notebook(name: str) -> NotebookNode:
    """The notebook of a script, without outputs. The docstring, which says how to call the script,
    is replaced by a cell with links."""
    made = jupytext.read(TUTORIALS / f"{name}.py", fmt="py:percent")
    cells = [cell for cell in made.cells if not cell.source.startswith('"""')]
    title, *rest = cells
    assert title.cell_type == "markdown" and title.source.startswith("# "), name
    links = nbformat.v4.new_markdown_cell(sources(name))
    made.cells = [title, links, *rest]
    return _numbered(made)


def _numbered(made: NotebookNode) -> NotebookNode:
    """With the same identifiers of cells at each build, and the kernel's name."""
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
    made.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    made.nbformat, made.nbformat_minor = 4, 5
    return made


def run(name: str, config: Path) -> NotebookNode:
    """The notebook with its outputs.

    Parameters
    ----------
    name : str
    config : Path
        The vta_config.json of the machine that ``vta.get_env()`` gives.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises.
    """
    from nbclient import NotebookClient

    made = page_notebook(name) if name in PAGES else notebook(name)
    client = NotebookClient(
        made,
        timeout=SECONDS,
        extra_arguments=["--log-level=ERROR"],  # a warning that the kernel is reached by TCP
        resources={"metadata": {"path": str(TUTORIALS)}},
    )
    client.execute(env={**os.environ, "VTA_CONFIG": str(config)})
    for cell in made.cells:
        cell.metadata.pop("execution", None)  # times of day
    return made


def main() -> int:
    """Run notebooks and write them, with their outputs, into build/docs/notebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a tutorial; default: all")
    names = parser.parse_args().names or (*NOTEBOOKS, *PAGES)
    if unknown := set(names) - {*NOTEBOOKS, *PAGES}:
        parser.error(
            f"no tutorial {', '.join(sorted(unknown))}; there are {', '.join((*NOTEBOOKS, *PAGES))}"
        )
    OUT.mkdir(parents=True, exist_ok=True)
    config = OUT / "simulated-rtl.json"
    config.write_text(json.dumps({"TARGET": "tsim"}))
    for name in names:
        start = time.perf_counter()
        nbformat.write(run(name, config), OUT / f"{name}.ipynb")
        print(f"{OUT.relative_to(ROOT) / name}.ipynb ({time.perf_counter() - start:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
