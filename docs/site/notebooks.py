"""The tutorials as notebooks: ``python -m docs.site.notebooks``. ``make notebooks`` calls this.

One source: tutorials/NAME.py is a script, whose comments ``# %%`` mark the cells of the notebook
and the parts of the page. A notebook runs in a kernel of its own on the simulated RTL; an error in
a cell is an error here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jupytext
import nbformat

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["NOTEBOOKS", "TUTORIALS", "notebook", "run"]

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "tutorials"
OUT = ROOT / "build" / "docs" / "notebooks"
NOTEBOOKS = (
    "vta_get_started", "matrix_multiply_opt", "convolution_opt", "digits_network", "own_machine",
    "slow_layer", "better_schedule",
)  # fmt: skip
"""The scripts that are notebooks, in the order of the gallery."""
SECONDS = 900
"""Of one cell, at most: the first run builds the RTL."""


def notebook(name: str) -> NotebookNode:
    """The notebook of a script, without outputs. The docstring, which says how to call the script,
    is replaced by a cell with links."""
    made = jupytext.read(TUTORIALS / f"{name}.py", fmt="py:percent")
    cells = [cell for cell in made.cells if not cell.source.startswith('"""')]
    title, *rest = cells
    assert title.cell_type == "markdown" and title.source.startswith("# "), name
    links = nbformat.v4.new_markdown_cell(
        f"One source: this page, {{download}}`the script <scripts/{name}.py>`, and "
        f"{{download}}`the notebook <scripts/{name}.ipynb>`, which belong into the folder "
        f"`tutorials` of a checkout. The outputs are those of the notebook."
    )
    made.cells = [title, links, *rest]
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
    made.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
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

    made = notebook(name)
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
    names = parser.parse_args().names or NOTEBOOKS
    if unknown := set(names) - set(NOTEBOOKS):
        parser.error(f"no tutorial {', '.join(sorted(unknown))}; there are {', '.join(NOTEBOOKS)}")
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
