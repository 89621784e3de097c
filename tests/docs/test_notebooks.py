"""The tutorials as notebooks. `make notebooks` runs all of them on the simulated RTL."""

import json
from pathlib import Path

import nbformat
import pytest

from docs.site.notebooks import NOTEBOOKS, PAGES, notebook, page_notebook, run, script_of
from vta.config import VTAConfig


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells(name: str) -> None:
    """A title, links to the sources, and code without the docstring of the script."""
    title, links, *rest = notebook(name).cells
    assert title.cell_type == "markdown" and title.source.startswith("# ")
    assert f"scripts/{name}.py" in links.source
    code = [cell for cell in rest if cell.cell_type == "code"]
    assert len(code) >= 3 and not any("python tutorials/" in cell.source for cell in code)


def test_a_run_has_outputs(tmp_path: Path) -> None:
    """Also: a tutorial with a command line has the machine of VTA_CONFIG in a notebook."""
    config = tmp_path / "small.json"
    config.write_text(json.dumps(VTAConfig.preset("ulx3s_85f").replace(target="sim").to_dict()))
    made = run("vta_get_started", config)
    shown = "".join(
        output.text for cell in made.cells for output in cell.get("outputs", ()) if "text" in output
    )
    assert "Vector add on sim: the result equals NumPy's." in shown
    assert "int32[1, 64, 1, 4]" in shown


@pytest.mark.parametrize("name", PAGES)
def test_a_page_as_a_notebook(name: str) -> None:
    """Its code and its text, without what the code prints."""
    made = page_notebook(name)
    code = [cell.source for cell in made.cells if cell.cell_type == "code"]
    assert len(code) > 5 and code[0].startswith("import numpy as np")
    assert "```text" not in "".join(cell.source for cell in made.cells)
    compile(script_of(made), name, "exec")


@pytest.mark.parametrize("name", [*NOTEBOOKS, *PAGES])
def test_notebooks_are_valid(name: str) -> None:
    nbformat.validate(page_notebook(name) if name in PAGES else notebook(name))
